import { Mc146818 } from '@guestmode/chips'
import { expect, test } from 'vitest'
import { storeMemorySizes } from '../isa/cmos.ts'
import { SerialPort } from '../isa/serial.ts'
import { leaf } from '../testing/fake-kvm.ts'
import { FakeHostMemory, ram } from '../testing/memory.ts'
import { guestCpuid, hasFeature } from './cpuid.ts'
import { GuestMemory } from './guest-memory.ts'
import { IrqLines } from './irq-lines.ts'
import { HIGH_RAM } from './layout.ts'

test('guest memory: bounds, and the engine is told of every write', () => {
  const host = new FakeHostMemory(0x10000)
  const memory = new GuestMemory(host)
  expect(memory.write(0xfffe, Uint8Array.of(1, 2))).toBe(true)
  expect(memory.write(0xffff, Uint8Array.of(1, 2))).toBe(false)
  expect(memory.readU16(0xfffe)).toBe(0x0201)
  expect(memory.readU16(0xffff)).toBeUndefined()
  expect(memory.view(-1, 1)).toBeUndefined()
  expect(memory.view(0, 2 ** 40)).toBeUndefined()
  expect(memory.view(HIGH_RAM, 1)).toBeUndefined()
  expect(memory.view(2 ** 60, 1)).toBeUndefined()
  expect(host.writes).toEqual([[0xfffe, 2]])
})

test('memory beyond 3 GiB is found above 4 GiB', () => {
  const reached: [number, number][] = []
  const bytes = { subarray: (from: number, to: number) => void reached.push([from, to]) }
  const host = { address: 0n, size: 0xd0000000, bytes, written: () => undefined }
  const memory = new GuestMemory(host as never)
  expect([memory.lowSize, memory.highSize]).toEqual([0xc0000000, 0x10000000])
  memory.view(HIGH_RAM + 16, 4)
  memory.view(0xbfffffff, 1)
  memory.view(0xbfffffff, 2)
  memory.view(0xc0000000, 1)
  expect(reached).toEqual([
    [0xc0000010, 0xc0000014],
    [0xbfffffff, 0xc0000000],
  ])
})

test('outputs on one interrupt input are ORed', () => {
  const driven: [number, boolean][] = []
  const irqs = new IrqLines((gsi, level) => void driven.push([gsi, level]))
  const [a, b] = [irqs.line(4), irqs.line(4)]
  a(true)
  b(true)
  a(true)
  a(false)
  b(false)
  expect(driven).toEqual([
    [4, true],
    [4, false],
  ])
})

test('CPUID: features off, paravirtual leaves off, one processor', () => {
  const supported = [
    leaf(1, { ebx: 0x07100800, ecx: 0x80000000, edx: 0xffffffff }),
    leaf(0xb, { ebx: 8, edx: 9 }),
    leaf(0x40000000, { eax: 0x40000001 }),
    leaf(0x80000001, { edx: 0x20100000 }),
  ]
  const guest = guestCpuid(supported, { disable: ['lm', 'kvm', 'hypervisor'] })
  expect(hasFeature(supported, 'lm')).toBe(true)
  expect([hasFeature(guest, 'lm'), hasFeature(guest, 'nx'), hasFeature(guest, 'hypervisor')]).toEqual([false, true, false])
  expect(guest.map((entry) => entry.function)).toEqual([1, 0xb, 0x80000001])
  expect([guest[0]?.ebx, guest[1]?.ebx, guest[1]?.edx]).toEqual([0x00010800, 1, 0])
})

test('NVRAM tells the memory sizes', () => {
  const rtc = new Mc146818({ clock: { now: () => 0n }, unixTime: () => 0 })
  storeMemorySizes(rtc, { lowSize: 0xc0000000, highSize: 0x40000000 } as GuestMemory)
  const byte = (index: number): number => {
    rtc.index = index
    return rtc.read()
  }
  expect([0x15, 0x16, 0x17, 0x18, 0x34, 0x35, 0x5b, 0x5c, 0x5d].map(byte)).toEqual([
    0x80, 0x02, 0x00, 0xfc, 0x00, 0xbf, 0x00, 0x40, 0x00,
  ])
  storeMemorySizes(rtc, ram(2 << 20))
  expect([0x17, 0x18, 0x34].map(byte)).toEqual([0x00, 0x04, 0x00])
})

test('serial: input that does not fit waits, OUT2 gates the interrupt', () => {
  const levels: boolean[] = []
  let resumed = 0
  const backend = {
    write: () => undefined,
    resume: () => void resumed++,
    onReceive: undefined as ((bytes: Uint8Array) => number) | undefined,
  }
  const port = new SerialPort({ backend: backend as never, irq: (level) => void levels.push(level) })
  port.write(2, 1)
  port.write(1, 1)
  expect(backend.onReceive?.(new Uint8Array(20))).toBe(16)
  expect(levels).toEqual([])
  port.write(4, 8)
  expect(levels).toEqual([true])
  port.read(0)
  expect(resumed).toBe(1)
})
