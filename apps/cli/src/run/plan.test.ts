import { describe, expect, test } from 'vitest'
import type { RunWords } from '../args/run-options.ts'
import { planMachine, type PlanDefaults } from './plan.ts'

const MIB = 2 ** 20
const defaults: PlanDefaults = { name: 'k', memory: 256 * MIB, console: 'serial', screen: { columns: 80, rows: 24 } }
const plan = (words: Partial<RunWords> = {}, other: Partial<PlanDefaults> = {}) =>
  planMachine({ reboot: true, ...words }, { ...defaults, ...other })

test('a kernel has its console on COM1', () => {
  const { spec, backends, name } = plan()
  expect(spec).toMatchObject({ memory: 256 * MIB, noReboot: false, virtio: [], serial: [{ channel: 0 }] })
  expect([backends, name]).toEqual([[{ kind: 'stdio' }], 'k'])
  expect(spec.debugExit).toBeUndefined()
})

test('the default guest has its console on virtio, of the terminal’s size', () => {
  const { spec } = plan({}, { console: 'virtio' })
  expect(spec).toMatchObject({ serial: [], virtio: [{ kind: 'console', channel: 0, size: { columns: 80, rows: 24 } }] })
})

test('channels are numbered as they come', () => {
  const { spec, backends } = plan({ serial: ['none', 'file:log', 'mon:stdio'], debugcon: 'file:debug' })
  expect(spec.serial).toEqual([undefined, { channel: 0 }, { channel: 1, size: { columns: 80, rows: 24 } }])
  expect(spec.debugConsole).toEqual({ channel: 2 })
  expect(backends).toEqual([{ kind: 'file', path: 'log' }, { kind: 'stdio' }, { kind: 'file', path: 'debug' }])
})

test.each<[Partial<RunWords>, object]>([
  [{ m: '1G' }, { memory: 1024 * MIB }],
  [{ device: ['isa-debug-exit,iobase=0xf4,iosize=0x04'] }, { debugExit: 0xf4 }],
  [{ device: ['isa-debug-exit'] }, { debugExit: 0x501 }],
  [{ device: ['virtio-rng'] }, { virtio: [{ kind: 'rng' }] }],
  [{ device: ['virtio-serial-device', 'virtconsole'] }, { virtio: [{ kind: 'console', channel: 0 }], serial: [] }],
  [{ cpu: 'default,-lm,x2apic=off' }, { cpu: { disable: ['lm', 'x2apic'] } }],
  [{ smp: 'cpus=1' }, {}],
  [{ machine: 'pc,virtio=command-line' }, { announceVirtio: 'command-line' }],
  [{ accel: 'guestmode,mmu=naive' }, { engine: { mmu: 'naive' } }],
  [{ icount: true }, { engine: { instructionsPerMicrosecond: 62.5 } }],
  [{ icount: 'shift=0' }, { engine: { instructionsPerMicrosecond: 1000 } }],
  [{ rtc: 'base=2026-01-31T12:00:00', seed: '7' }, { engine: { unixTime: Date.UTC(2026, 0, 31, 12) / 1000, seed: 7 } }],
  [
    { d: ['exit,kvm_pio'], trace: ['kvm_mmu_s*'] },
    {
      trace: [
        'kvm_exit',
        'kvm_pio',
        'kvm_mmu_set_accessed_bit',
        'kvm_mmu_set_dirty_bit',
        'kvm_mmu_sync_page',
        'kvm_mmu_set_spte',
      ],
    },
  ],
  [{ reboot: false }, { noReboot: true }],
  [{ display: 'none', net: 'none', nographic: true, nodefaults: true }, {}],
])('%j', (words, spec) => {
  expect(plan(words).spec).toMatchObject(spec)
})

describe('refused, and what to give instead', () => {
  test.each<[Partial<RunWords>, RegExp]>([
    [{ m: '1' }, /^-m 1: the machine needs at least 2 MiB/],
    [{ m: '100G' }, /^-m 100G: a machine can have 3584 MiB at most/],
    [{ m: 'lots' }, /^-m lots: give a number of MiB/],
    [{ cpu: 'host' }, /the only model is 'default'/],
    [{ cpu: 'default,+avx' }, /'\+avx' takes no feature away/],
    [{ smp: '4' }, /one processor/],
    [{ accel: 'kvm' }, /^-accel kvm: the host’s own KVM cannot be used yet/],
    [{ accel: 'tcg' }, /the engine is 'guestmode'/],
    [{ accel: 'guestmode,mmu=fast' }, /mmu=nested/],
    [{ accel: 'guestmode,speed=9' }, /has no property 'speed': it has mmu/],
    [{ device: ['e1000'] }, /the devices to add are/],
    [{ device: ['isa-debug-exit,iobase=hello'] }, /'hello' is not a number from 0 to 65535/],
    [{ serial: ['stdio', 'stdio'] }, /the terminal has another device already/],
    [{ serial: ['stdio'], device: ['virtio-console'] }, /the terminal has another device already/],
    [{ serial: ['pty'] }, /^-serial pty: give stdio, none, or file:PATH/],
    [{ serial: ['none', 'none', 'none', 'none', 'none'] }, /4 serial ports, not 5/],
    [{ d: ['nonsense'] }, /no such trace point; -d help lists them/],
    [{ D: 'file' }, /say with -d which/],
    [{ icount: 'shift=77' }, /-icount shift: '77' is not a number from 0 to 10/],
    [{ rtc: 'base=yesterday' }, /give base=utc/],
    [{ machine: 'q35' }, /the only machine is 'pc'/],
    [{ display: 'gtk' }, /only -display none/],
  ])('%j', (words, message) => {
    expect(() => plan(words)).toThrow(message)
  })
})
