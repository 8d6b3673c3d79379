/** The built program as a process: signals, pipes, terminals, ways to end. Its guest is the built-in one. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { program, runGuestmode } from './session.ts'

let folder: string
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'guestmode-program-'))))
afterAll(() => rmSync(folder, { recursive: true }))

const PROMPT = /demo> /
const timeoutMs = 40_000

describe('ways to end', () => {
  test('power off', async () => {
    const { status, output, errors } = await runGuestmode(['demo'], [{ wait: PROMPT, send: 'halt\r' }], { timeoutMs })
    expect([status, errors]).toEqual([0, ''])
    expect(output).not.toContain('FAILED')
  })

  test.each<[command: string, status: number, message: RegExp]>([
    ['reboot', 6, /^guestmode: the guest asked for a reset \(keyboard controller\)\n$/],
    ['crash', 8, /^guestmode: the guest’s processor shut down: a triple fault.*\n {2}.*rip=/],
  ])('%s, under -no-reboot', async (command, wanted, message) => {
    const steps = [{ wait: PROMPT, send: `${command}\r` }]
    const { status, errors } = await runGuestmode(['demo', '-no-reboot'], steps, { timeoutMs })
    expect(status).toBe(wanted)
    expect(errors).toMatch(message)
  })

  test('the debug exit', async () => {
    const kernel = join(folder, 'debug-exit')
    writeFileSync(kernel, multiboot([0xb0, 0x03, 0xe6, 0xf4, 0xf4]))
    const { status, errors } = await runGuestmode(['-kernel', kernel, '-device', 'isa-debug-exit,iobase=0xf4'], [], { timeoutMs })
    expect([status, errors]).toEqual([7, ''])
  })

  test('a reset starts the guest again', async () => {
    const steps = [
      { wait: PROMPT, send: 'reboot\r' },
      { wait: /Long mode[^]*demo> /, send: 'halt\r' },
    ]
    expect((await runGuestmode(['demo'], steps, { timeoutMs })).status).toBe(0)
  })

  test('a guest that executes an undefined instruction, with nobody to handle that', async () => {
    const kernel = join(folder, 'undefined')
    writeFileSync(kernel, multiboot([0x0f, 0x0b]))
    const { status, errors } = await runGuestmode(['-kernel', kernel, '-no-reboot'], [], { timeoutMs })
    expect(status).toBe(8)
    expect(errors).toMatch(/triple fault/)
  })

  test.each(['spin', 'undefined'])('a guest that hangs (%s) is ended by a signal', async (command) => {
    const steps = [{ wait: PROMPT, send: `${command}\r` }, { wait: /spinning|panic/ }]
    const result = await runGuestmode(['demo'], steps, { timeoutMs, stopAfterSteps: true })
    expect(result).toMatchObject({ status: null, signal: 'SIGTERM', errors: '' })
  })
})

test.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)('%s ends the machine, then the process as the signal does', async (name) => {
  let pid = 0
  const result = runGuestmode(['demo', '-name', 'victim'], [{ wait: PROMPT }], {
    timeoutMs,
    stopAfterSteps: true,
    onDone: (id) => {
      pid = id
      expect(readFileSync(`/proc/${id}/cmdline`, 'utf8')).toContain('guestmode victim')
      process.kill(id, name)
      return new Promise((resolve) => setTimeout(resolve, 2000))
    },
  })
  expect(await result).toMatchObject({ status: null, signal: name })
  expect(pid).not.toBe(0)
})

test('a pipe that is closed ends it quietly', () => {
  const { stdout, stderr } = spawnSync('sh', ['-c', `"${process.execPath}" "${program}" demo < /dev/null | head -n 3`], {
    encoding: 'utf8',
    timeout: timeoutMs,
  })
  expect(stdout).toMatch(/demonstration/)
  expect(stderr).toBe('')
})

test('the end of standard input leaves the guest running', async () => {
  const script = `"${process.execPath}" "${program}" demo -append run:halt < /dev/null; echo "status $?"`
  await runGuestmode([], [{ wait: /demo> [^]*status 0/ }], { timeoutMs, command: ['sh', '-c', script] })
})

const script = spawnSync('script', ['--version'], { encoding: 'utf8' }).stdout
describe.runIf(script)(script ? 'on a terminal' : 'skipped: on a terminal (util-linux’ script is not installed)', () => {
  const onTerminal = (command: string, steps: { wait: RegExp; send?: string }[]) =>
    runGuestmode([], steps, { timeoutMs, command: ['script', '-qefc', `${command}; echo "status $?"; stty -a`, '/dev/null'] })
  const guestmode = `'${process.execPath}' '${program}'`

  test('Ctrl-A H helps, Ctrl-A X quits, Ctrl-C goes to the guest, and the terminal is as before', async () => {
    const { output } = await onTerminal(`${guestmode} demo`, [
      { wait: PROMPT, send: '\x01h' },
      { wait: /Ctrl-A X +quit[^]*to the guest/, send: '\x03uptime\r' },
      { wait: /ticks/, send: '\x01x' },
      { wait: /terminated/ },
      { wait: /status 0[^]*(?<!-)\bicanon [^]*extproc/ },
    ])
    expect(output).toMatch(/[^-]isig icanon [^]*[^-]echo /)
    expect(output).toMatch(/(?<!-)\bopost/)
  })

  test('a bad command line leaves it alone', async () => {
    await onTerminal(`${guestmode} -kernel /none`, [{ wait: /there is no such file[^]*status 2[^]*(?<!-)\bicanon / }])
  })
})

test('trace points', async () => {
  const trace = join(folder, 'trace')
  await runGuestmode(['demo', '-d', 'exit,pio', '-D', trace], [{ wait: PROMPT, send: 'halt\r' }], { timeoutMs })
  const lines = readFileSync(trace, 'utf8').trimEnd().split('\n')
  expect(lines.filter((line) => /^kvm_exit: .*exitReason=IO_INSTRUCTION /.test(line)).length).toBeGreaterThan(10)
  expect(lines.filter((line) => /^kvm_pio: rw=write port=0x3f8 size=1 /.test(line)).length).toBeGreaterThan(10)
  expect(lines.every((line) => /^kvm_(exit|pio): /.test(line))).toBe(true)
})

test('with -icount two runs are the same run', async () => {
  const args = ['demo', '-icount', '-seed', '1', '-rtc', 'base=2026-01-01', '-append', 'run:uptime;ps;halt']
  const [first, second] = [await runGuestmode(args, [], { timeoutMs }), await runGuestmode(args, [], { timeoutMs })]
  expect(first.output).toMatch(/\d+ ticks/)
  expect(second.output).toBe(first.output)
})

test('shadow page tables in place of EPT', async () => {
  const args = ['demo', '-accel', 'guestmode,mmu=naive', '-append', 'run:halt']
  const { status, output } = await runGuestmode(args, [{ wait: PROMPT }], { timeoutMs })
  expect(status).toBe(0)
  expect(output).not.toContain('FAILED')
})

/** A multiboot kernel that consists of this code. */
function multiboot(code: readonly number[]): Uint8Array {
  const image = new Uint8Array(4096)
  const view = new DataView(image.buffer)
  const flags = 0x10000
  const fields = [0x1badb002, flags, -(0x1badb002 + flags) >>> 0, 0x100000, 0x100000, 0x101000, 0x101000, 0x100020]
  fields.forEach((value, i) => view.setUint32(i * 4, value, true))
  image.set(code, 0x20)
  return image
}
