import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { MachineSpec, SessionCommand, SessionEvent } from '@guestmode/session'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { planMachine } from '../src/run/plan.ts'
import { runMachine } from '../src/run/run-machine.ts'
import type { StartVm } from '../src/run/vm.ts'
import { fakeStreams } from './fake-streams.ts'

const stats = { time: 2_000_000_000n, vm: { exits: 1000 }, vcpu: { halt_exits: 0 } }

/** A machine that says what it is told. */
class FakeVm {
  spec: MachineSpec | undefined
  readonly commands: SessionCommand[] = []
  terminated = false
  say!: (event: SessionEvent) => void
  onCommand: ((command: SessionCommand) => void) | undefined
  readonly start: StartVm = (spec, onEvent) => {
    this.spec = spec
    this.say = onEvent
    return {
      send: (command) => {
        this.commands.push(command)
        this.onCommand?.(command)
      },
      terminate: () => (this.terminated = true),
    }
  }
}

const boot = { kind: 'linux', image: Uint8Array.of(1), commandLine: '' } as const

function run(words: object = {}, resetIsEnd = false) {
  const process_ = fakeStreams()
  const vm = new FakeVm()
  const plan = planMachine({ reboot: true, ...words }, { name: 'test', memory: 2 ** 28, console: 'serial', screen: undefined })
  const outcome = runMachine({ plan, boot, resetIsEnd, streams: process_.streams, startVm: vm.start })
  return { ...process_, vm, outcome }
}

let folder: string
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'guestmode-run-'))))
afterAll(() => rmSync(folder, { recursive: true }))
const soon = () => new Promise((resolve) => setTimeout(resolve, 10))
const bytes = (text: string) => Buffer.from(text, 'latin1')

test('output and input', async () => {
  const { vm, stdin, out, outcome } = run()
  expect(vm.spec).toMatchObject({ memory: 2 ** 28, boot })
  vm.say({ type: 'output', channel: 0, bytes: bytes('login: ') })
  stdin.write('root\n')
  await soon()
  expect(out()).toBe('login: ')
  expect(vm.commands).toContainEqual({ type: 'drained', amount: 7 })
  expect(vm.commands).toContainEqual({ type: 'input', channel: 0, bytes: Uint8Array.from(bytes('root\n')) })
  stdin.end()
  await soon()
  vm.say({ type: 'ended', end: { kind: 'power-off' }, stats })
  expect(await outcome).toEqual({ status: 0 })
})

test.each<[SessionEvent, number, RegExp]>([
  [{ type: 'ended', end: { kind: 'reset', by: 'keyboard controller' }, stats }, 6, /asked for a reset \(keyboard controller\)/],
  [{ type: 'ended', end: { kind: 'triple-fault', facts: { rip: '0x7c00' } }, stats }, 8, /triple fault[^]*rip=0x7c00/],
  [{ type: 'ended', end: { kind: 'debug-exit', status: 7 }, stats }, 7, /^$/],
  [{ type: 'ended', end: { kind: 'internal-error', reason: 'no', facts: {} }, stats }, 10, /^guestmode: internal error: no\n$/],
  [{ type: 'ended', end: { kind: 'quit' }, stats }, 0, /terminated/],
])('ends: %o', async (event, status, message) => {
  const { vm, err, outcome } = run({ reboot: false })
  vm.say(event)
  expect(await outcome).toEqual({ status })
  expect(err()).toMatch(message)
})

test('a guest without a power-off ends well by its reset', async () => {
  const { vm, err, outcome } = run({ reboot: false }, true)
  vm.say({ type: 'ended', end: { kind: 'reset', by: 'keyboard controller' }, stats })
  expect([await outcome, err()]).toEqual([{ status: 0 }, ''])
})

test.each<[SessionEvent, number, RegExp]>([
  [{ type: 'refused', message: 'the initrd does not fit' }, 2, /^the initrd does not fit$/],
  [{ type: 'failed', message: 'x is undefined', stack: 'at y' }, 12, /^guestmode failed: x is undefined$/],
])('%o', async (event, status, message) => {
  const { vm, outcome } = run()
  vm.say(event)
  await expect(outcome).rejects.toMatchObject({ status, message: expect.stringMatching(message) as string })
  expect(vm.terminated).toBe(true)
})

test('counters, traces and files', async () => {
  const serial = join(folder, 'serial')
  const trace = join(folder, 'trace')
  const { vm, err, out, outcome } = run({ serial: ['stdio', `file:${serial}`], d: ['pio'], D: trace, stats: true })
  vm.say({ type: 'output', channel: 1, bytes: bytes('to the file') })
  vm.say({ type: 'trace', events: [{ name: 'kvm_pio', rw: 'read', port: 0x60, size: 1, count: 1, val: 2 }] })
  vm.say({ type: 'ended', end: { kind: 'power-off' }, stats })
  await outcome
  expect(readFileSync(serial, 'utf8')).toBe('to the file')
  expect(readFileSync(trace, 'utf8')).toBe('kvm_pio: rw=read port=0x60 size=1 count=1 val=0x2\n')
  expect(err()).toMatch(/KVM counters after 2\.0 s:\n {2}exits +1,000 {2}500\/s\n$/)
  expect(out()).toBe('')
})

test('a reader that has gone away ends the machine', async () => {
  const { vm, streams, err, outcome } = run()
  vm.onCommand = ({ type }) => {
    if (type === 'stop') vm.say({ type: 'ended', end: { kind: 'quit' }, stats })
  }
  streams.stdout.emit('error', Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }))
  expect([await outcome, err()]).toEqual([{ status: 0 }, ''])
})

test('a signal ends the machine and then the process', async () => {
  const before = process.listenerCount('SIGTERM')
  const { vm, outcome } = run()
  vm.onCommand = ({ type }) => {
    if (type === 'stop') vm.say({ type: 'ended', end: { kind: 'quit' }, stats })
  }
  process.emit('SIGTERM', 'SIGTERM')
  expect(await outcome).toEqual({ status: 0, signal: 'SIGTERM' })
  expect(process.listenerCount('SIGTERM')).toBe(before)
})

test('a sender is held up while the guest takes nothing', async () => {
  const { vm, stdin, outcome } = run()
  const sent = () => vm.commands.reduce((sum, command) => sum + (command.type === 'input' ? command.bytes.length : 0), 0)
  const piece = Buffer.alloc(16384, 0x61)
  for (let i = 0; i < 64; i++) stdin.write(piece)
  await soon()
  expect(sent()).toBeLessThan(4 * 65536)
  for (let i = 0; i < 100; i++) {
    vm.say({ type: 'taken', channel: 0, count: 16384 })
    await Promise.resolve()
    if (i % 10 === 0) await soon()
  }
  await soon()
  expect(sent()).toBe(64 * 16384)
  vm.say({ type: 'ended', end: { kind: 'power-off' }, stats })
  await outcome
})

test('a serial file that cannot be made is said before the machine starts', () => {
  expect(() => run({ serial: [`file:${folder}/no/such/place`] })).toThrow(/there is no such file/)
})
