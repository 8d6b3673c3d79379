import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { GUESTS, tryGuest, type GuestFiles } from '../src/index.ts'
import { wrapForQemu } from './pvh.ts'
import { qemuVersion, runQemu, type Step } from './qemu.ts'

/**
 * Shows that the guests are good: they boot on QEMU. Whoever looks for a fault in our machine knows then that it is not the guest's.
 * It tells nothing about our machine, so the quick run leaves it out.
 */
const qemu = process.env['GUESTMODE_GUESTS'] === 'quick' ? undefined : qemuVersion()
const SERIAL = ['-serial', 'stdio']

const linux = (console_ = 'ttyS0') => ({
  args: (files: GuestFiles) => [
    '-m',
    '256',
    '-kernel',
    files['kernel']!,
    '-initrd',
    files['initrd']!,
    '-append',
    `console=${console_} quiet`,
    ...SERIAL,
  ],
  steps: [
    { wait: /@@ USERSPACE[^]*@@ SHELL[^]*# /, send: 'echo $((40 + 2)) answers\n' },
    { wait: /42 answers[^]*# /, send: 'exit\n' },
    { wait: /@@ DONE/ },
  ],
})

/** With less memory the amd64 installer asks about that before it asks for the language. */
const installer = {
  args: (files: GuestFiles) => [
    '-m',
    '1024',
    '-kernel',
    files['kernel']!,
    '-initrd',
    files['initrd']!,
    '-append',
    'console=ttyS0 quiet',
    ...SERIAL,
  ],
  steps: [{ wait: /Select a language|Choose the language/ }],
}

const bench = (kernel: string) => ({
  kernel,
  args: (files: GuestFiles) => [
    '-m',
    '256',
    '-kernel',
    files['kernel']!,
    '-initrd',
    files['initrd']!,
    '-append',
    'console=ttyS0 quiet vmbench=sieve,fib',
    ...SERIAL,
  ],
  steps: [{ wait: /@@ USERSPACE/, send: '' }, { wait: /@@ END sieve .*chk=[0-9a-f]+[^]*@@ END fib .*chk=[0-9a-f]+[^]*@@ DONE/ }],
})

const memtest = (kind: string) => ({
  args: (files: GuestFiles) => ['-m', '64', '-kernel', files[kind]!, '-append', 'console=ttyS0,115200', ...SERIAL],
  steps: [{ wait: /Memtest86\+ v?6\.10[^]*Pass/ }],
})

type Boot = { kernel?: string; args: (files: GuestFiles) => string[]; steps: Step[] }
const BOOTS: readonly [guest: string, Boot][] = [
  ['cloud-amd64', linux()],
  ['amd64', linux()],
  ['686-pae', linux()],
  ['686', linux()],
  ['installer-amd64', installer],
  ['installer-i386', installer],
  ['memtest86+', memtest('ia32')],
  ['memtest86+', memtest('x64')],
  ['bench-amd64', bench('cloud-amd64')],
  ['bench-i386', bench('686-pae')],
]

describe.runIf(qemu !== undefined)(qemu ?? 'skipped: QEMU is not installed, or this is the quick run', () => {
  test.each(BOOTS)('%s', async (name, boot, context?: { skip(note: string): never }) => {
    void context
    const got = await tryGuest(name)
    if (got.files === undefined) return skipped(got.reason)
    const kernel = boot.kernel === undefined ? undefined : await tryGuest(boot.kernel)
    if (kernel !== undefined && kernel.files === undefined) return skipped(kernel.reason)
    const { seconds } = await runQemu(boot.args({ ...kernel?.files, ...got.files }), boot.steps, 180_000)
    console.log(`${name}: ${seconds.toFixed(1)} s`)
  })

  test('default', async () => {
    const got = await tryGuest('default')
    if (got.files === undefined) return skipped(got.reason)
    const boot = JSON.parse(readFileSync(got.files['boot']!, 'utf8')) as { loadAddress: number; entry64: number }
    const elf = join(tmpdir(), `guest-pvh-${process.pid}.elf`)
    writeFileSync(elf, wrapForQemu({ image: readFileSync(got.files['kernel']!), ...boot }))
    try {
      const machine = ['-M', 'microvm,acpi=off,pit=on,pic=on,rtc=on,isa-serial=off', '-cpu', 'max', '-m', '512']
      const console_ = ['-device', 'virtio-serial-device', '-device', 'virtconsole,chardev=c', '-chardev', 'stdio,id=c']
      const command = ['-kernel', elf, '-initrd', got.files['initrd']!, '-append', 'console=hvc0 reboot=t panic=-1 quiet']
      const { output, status, seconds } = await runQemu(
        [...machine, ...command, ...console_],
        [
          { wait: /\x1b\[\?25h/, send: '2 + 40\r' }, // eslint-disable-line no-control-regex
          { wait: /\b42\r\n[^]*\x1b\[\?25h/, send: 'exit\r' }, // eslint-disable-line no-control-regex
        ],
        120_000,
      )
      expect(output).toContain('42')
      expect(status).toBe(0)
      console.log(`default: ${seconds.toFixed(1)} s`)
    } finally {
      rmSync(elf, { force: true })
    }
  })
})

function skipped(reason: string): void {
  console.log(`skipped: ${reason}`)
}

test('every guest has a description', () => {
  for (const { about } of Object.values(GUESTS)) expect(about).not.toBe('')
})
