import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { getDemoGuest } from './index.ts'

const qemu = spawnSync('qemu-system-x86_64', ['--version'], { encoding: 'utf8' }).stdout?.split('\n')[0]

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'demo-'))
  writeFileSync(join(folder, 'demo'), getDemoGuest().kernel)
})
afterAll(() => rmSync(folder, { recursive: true }))

/** Boots on QEMU; types a command at each prompt. */
function boot(commands: readonly string[], append = '', cpu = 'max'): Promise<{ output: string; status: number | null }> {
  return new Promise((resolve, reject) => {
    const devices = ['-serial', 'stdio', '-device', 'isa-debug-exit,iobase=0xf4,iosize=4']
    const machine = ['-accel', 'tcg', '-cpu', cpu, '-m', '32', '-display', 'none', '-nodefaults', '-no-reboot', ...devices]
    const child = spawn('qemu-system-x86_64', [...machine, '-kernel', join(folder, 'demo'), '-append', append], { stdio: 'pipe' })
    let output = ''
    let prompts = 0
    const timer = setTimeout(() => child.kill('SIGKILL'), 30_000)
    child.stdout.setEncoding('latin1').on('data', (text: string) => {
      output += text.replaceAll('\r', '')
      if (/halted|spinning|panic/.test(output)) setTimeout(() => child.kill('SIGKILL'), 300)
      while (output.split('demo> ').length - 1 > prompts && prompts < commands.length)
        child.stdin.write(`${commands[prompts++]}\r`)
    })
    child.stdin.on('error', () => undefined)
    child.on('error', reject)
    child.on('close', (status) => {
      clearTimeout(timer)
      resolve({ output, status })
    })
  })
}

describe.runIf(qemu !== undefined)(qemu ?? 'skipped: QEMU is not installed (apt-get install qemu-system-x86)', () => {
  test('every mode passes its checks, and the prompt takes commands', async () => {
    const { output, status } = await boot(['help', 'modes', 'mem', 'nonsense', 'upx\btime', 'halt'])
    for (const mode of ['Protected mode', 'Real mode', '32-bit paging', 'PAE paging', 'Long mode', 'Processes']) {
      expect(output).toMatch(new RegExp(`^  ${mode}: passed [1-9]\\d*, failed 0$`, 'm'))
    }
    expect(output).not.toContain('FAILED')
    expect(output).toMatch(/000000100000-000001\w+ {2}usable/)
    expect(output).toContain("no such command; 'help' lists them")
    expect(output).toMatch(/\d+ ticks, 100 a second/)
    expect([output.endsWith('power off\n'), status]).toEqual([true, 0])
  }, 40_000)

  test('three processes advance, each in a space of its own', async () => {
    const waiting = new Array<string>(30).fill('uptime')
    const { output } = await boot(['ps', ...waiting, 'fault', 'ps', 'halt'])
    const rows = [...output.matchAll(/^ (\d) {2}(\w+) +(\w+) +([0-9a-f]{8}) +(\d+) +(\d+) +(\d+) +(\d+) +(\d+)$/gm)].map((m) =>
      m.slice(1),
    )
    expect(rows.length).toBe(6)
    for (const [, , , table, , , , , wrong] of rows) expect([wrong, rows.filter((r) => r[3] === table).length]).toEqual(['0', 2])
    const rounds = (name: string) => rows.filter((r) => r[1] === name).map((r) => Number(r[6]))
    const [before, after] = rounds('primes') as [number, number]
    expect(after).toBeGreaterThan(before)
    expect(output).toMatch(/process counter {2}killed by exception 14 at 0000000000100000/)
    expect(rows.at(-3)?.slice(1, 3)).toEqual(['counter', 'dead'])
  }, 40_000)

  test.each([
    ['crash', /triple fault\n$/, 0],
    ['reboot', /reset\n$/, 0],
    ['undefined', /panic: exception 6 at 0000/, null],
    ['spin', /spinning\n$/, null],
  ])(
    '%s, given on the command line',
    async (command, said, status) => {
      const run = await boot([], `run:${command}`)
      expect(run.output).toMatch(said)
      expect(run.status).toBe(status)
    },
    40_000,
  )

  test('a processor without long mode stops after PAE', async () => {
    const { output } = await boot([], '', 'pentium3')
    expect(output).toMatch(/PAE paging\n[^]*no long mode; halted\n$/)
  }, 40_000)
})
