/** Real guests, booted by the program as a user starts it. GUESTMODE_GUESTS=quick leaves out those that take long. */
import { writeSync } from 'node:fs'
import { tryGuest, type GuestFiles } from '@guestmode/guests'
import { expect, test, type TestContext } from 'vitest'
import { readStat, runGuestmode, type Result } from './session.ts'

const all = process.env['GUESTMODE_GUESTS'] !== 'quick'
const minutes = (n: number): number => n * 60_000

function report(guest: string, { stepSeconds, seconds, cpuSeconds }: Result, steps: readonly string[]): void {
  const times = steps.map((step, i) => `${step} ${stepSeconds[i]?.toFixed(1)} s`)
  writeSync(1, `  ${guest}: ${[...times, `end ${seconds.toFixed(1)} s`, `CPU ${cpuSeconds.toFixed(1)} s`].join(', ')}\n`)
}

/** The guest's files; without them the test is skipped, and says why. */
async function files(name: string, { skip }: TestContext): Promise<GuestFiles> {
  const got = await tryGuest(name)
  if (got.files) return got.files
  writeSync(1, `  skipped: ${got.reason}\n`)
  return skip(got.reason)
}

const PROMPT = /\x1b\[\?25h/ // eslint-disable-line no-control-regex

test('default: Linux and Nushell, from nothing but the command', async (context) => {
  await files('default', context)
  const result = await runGuestmode(
    ['-stats'],
    [
      { wait: PROMPT, send: '2 + 2\r' },
      { wait: /\b4\r?\n[^]*\x1b\[\?25h/, send: 'sys host | get kernel_version\r' }, // eslint-disable-line no-control-regex
      { wait: /6\.12\.\d+[^]*\x1b\[\?25h/, send: 'exit\r' }, // eslint-disable-line no-control-regex
    ],
    { timeoutMs: minutes(5) },
  )
  report('default', result, ['prompt', '2 + 2', 'kernel version'])
  expect(result.status).toBe(0)
  expect(result.errors).toMatch(/KVM counters/)
})

test('an idle guest leaves the processor alone', async (context) => {
  await files('default', context)
  let share = NaN
  await runGuestmode([], [{ wait: PROMPT }], {
    timeoutMs: minutes(5),
    stopAfterSteps: true,
    onDone: async (pid) => {
      await new Promise((resolve) => setTimeout(resolve, 3000))
      const before = readStat(`/proc/${pid}/stat`).own
      await new Promise((resolve) => setTimeout(resolve, 5000))
      share = (readStat(`/proc/${pid}/stat`).own - before) / 5
    },
  })
  writeSync(1, `  idle at the prompt: ${(share * 100).toFixed(1)} % of a core\n`)
  expect(share).toBeLessThan(0.05)
})

test.for<[guest: string, quick: boolean, uname: RegExp]>([
  ['cloud-amd64', true, /Linux .*cloud-amd64.* x86_64/],
  ['686-pae', true, /Linux .*686-pae.* i686/],
  ['686', false, /Linux .*-686 .* i686/],
  ['amd64', false, /Linux .*-amd64 .* x86_64/],
])('%s: a shell, then power off', async ([guest, quick, uname], context) => {
  if (!quick && !all) context.skip('a long one: npm run test:guests')
  const { kernel, initrd } = await files(guest, context)
  const result = await runGuestmode(
    ['-m', '256M', '-kernel', kernel as string, '-initrd', initrd as string, '-append', 'console=ttyS0 quiet', '-nographic'],
    [
      { wait: /@@ USERSPACE/ },
      { wait: /@@ SHELL[^]*# /, send: 'echo $((40 + 2)) answers; uname -a\n' },
      { wait: /42 answers[^]*# /, send: 'exit\n' },
      { wait: /@@ DONE/ },
    ],
    { timeoutMs: minutes(8) },
  )
  report(guest, result, ['userspace', 'shell', 'answer', 'shut down'])
  expect(result.output).toMatch(uname)
  expect(result.status).toBe(0)
})

test.for(['installer-amd64', 'installer-i386'])('%s: its language menu', async (guest, context) => {
  if (!all) context.skip('a long one: npm run test:guests')
  const { kernel, initrd } = await files(guest, context)
  const result = await runGuestmode(
    ['-m', '1G', '-kernel', kernel as string, '-initrd', initrd as string, '-append', 'console=ttyS0 quiet'],
    [{ wait: /Select a language|Choose the language/ }],
    { timeoutMs: minutes(10), stopAfterSteps: true },
  )
  report(guest, result, ['menu'])
})

test.for(['ia32', 'x64'])('memtest86+ %s: its passes', async (kind, context) => {
  if (!all) context.skip('a long one: npm run test:guests')
  const kernel = (await files('memtest86+', context))[kind]
  const result = await runGuestmode(
    ['-m', '64M', '-kernel', kernel as string, '-append', 'console=ttyS0,115200'],
    [{ wait: /Memtest86\+ v?6\.10/ }, { wait: /Pass[^]*\b1\d?%/ }],
    { timeoutMs: minutes(5), stopAfterSteps: true },
  )
  report(`memtest86+ ${kind}`, result, ['banner', 'tests'])
})
