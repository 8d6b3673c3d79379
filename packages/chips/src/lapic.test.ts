import { expect, test } from 'vitest'
import { destinations, type Ipi } from './apic-message.ts'
import { Lapic, type LapicOptions } from './lapic.ts'
import * as R from './lapic-registers.ts'
import { TestClock } from './test-clock.ts'

function make(options: Partial<LapicOptions> = {}): { lapic: Lapic; clock: TestClock; ipis: Ipi[]; eois: number[] } {
  const clock = new TestClock()
  const ipis: Ipi[] = []
  const eois: number[] = []
  const lapic = new Lapic({
    id: 0,
    bsp: true,
    clock,
    tsc: { nsAtTsc: (tsc) => tsc / 2n },
    sendIpi: (ipi) => ipis.push(ipi),
    eoi: (vector) => eois.push(vector),
    ...options,
  })
  return { lapic, clock, ipis, eois }
}

function enabled(options: Partial<LapicOptions> = {}): ReturnType<typeof make> {
  const made = make(options)
  made.lapic.write(R.APIC_SVR, 0x1ff)
  return made
}

const fixed = (vector: number, trigger: 'edge' | 'level' = 'edge') => ({ vector, deliveryMode: 0, trigger }) as const

test('reset state: software disabled, LVT masked but virtual wire on the bootstrap processor', () => {
  const { lapic } = make()
  expect(lapic.read(R.APIC_SVR)).toBe(0xff)
  expect(lapic.read(R.APIC_LVT_TIMER)).toBe(0x10000)
  expect(lapic.read(R.APIC_DFR)).toBe(0xffffffff)
  expect(lapic.read(R.APIC_VERSION)).toBe(0x50014)
  expect(lapic.acceptsExtInt).toBe(true)
  expect(make({ bsp: false, id: 1 }).lapic.acceptsExtInt).toBe(false)
  expect(lapic.accept(fixed(0x40))).toBe(false)
})

test('priorities: PPR of the vector in service and TPR hold lower classes back', () => {
  const { lapic } = enabled()
  lapic.accept(fixed(0x41))
  lapic.accept(fixed(0x61))
  expect(lapic.acknowledge()).toBe(0x61)
  expect(lapic.read(R.APIC_PPR)).toBe(0x60)
  expect(lapic.highestPending()).toBe(-1)
  lapic.accept(fixed(0x6f))
  expect(lapic.highestPending()).toBe(-1)
  lapic.accept(fixed(0x70))
  expect(lapic.acknowledge()).toBe(0x70)
  lapic.write(R.APIC_EOI, 0)
  lapic.write(R.APIC_EOI, 0)
  expect(lapic.acknowledge()).toBe(0x6f)
  lapic.write(R.APIC_EOI, 0)
  lapic.cr8 = 4
  expect(lapic.read(R.APIC_TPR)).toBe(0x40)
  expect(lapic.highestPending()).toBe(-1)
  lapic.write(R.APIC_TPR, 0x3f)
  expect(lapic.cr8).toBe(3)
  expect(lapic.highestPending()).toBe(0x41)
})

test('nothing pending gives the spurious vector without a bit in service', () => {
  const { lapic } = enabled()
  expect(lapic.acknowledge()).toBe(0xff)
  expect(lapic.read(R.APIC_ISR + 0x70)).toBe(0)
})

test('EOI of a level vector is broadcast, of an edge vector not', () => {
  const { lapic, eois } = enabled()
  lapic.accept(fixed(0x51, 'level'))
  expect(lapic.read(R.APIC_TMR + 0x20)).toBe(1 << 0x11)
  lapic.accept(fixed(0x52))
  lapic.acknowledge()
  lapic.write(R.APIC_EOI, 0)
  expect(eois).toEqual([])
  lapic.acknowledge()
  lapic.write(R.APIC_EOI, 0)
  expect(eois).toEqual([0x51])
})

test('one-shot timer with divider', () => {
  const { lapic, clock } = enabled()
  lapic.write(R.APIC_DIVIDE, 3)
  lapic.write(R.APIC_LVT_TIMER, 0xec)
  lapic.write(R.APIC_INITIAL_COUNT, 1000)
  clock.advance(8_000n, lapic)
  expect(lapic.read(R.APIC_CURRENT_COUNT)).toBe(500)
  expect(lapic.highestPending()).toBe(-1)
  clock.advance(8_000n, lapic)
  expect(lapic.acknowledge()).toBe(0xec)
  expect(lapic.nextEvent()).toBeUndefined()
  expect(lapic.read(R.APIC_CURRENT_COUNT)).toBe(0)
})

test('periodic timer goes on and merges what came late', () => {
  const { lapic, clock } = enabled()
  lapic.write(R.APIC_DIVIDE, 0xb)
  lapic.write(R.APIC_LVT_TIMER, 0x200ec)
  lapic.write(R.APIC_INITIAL_COUNT, 1_000_000)
  let fired = 0
  for (let i = 0; i < 5; i++) {
    clock.advance(1_000_000n, lapic)
    while (lapic.highestPending() >= 0) {
      lapic.acknowledge()
      lapic.write(R.APIC_EOI, 0)
      fired++
    }
  }
  expect(fired).toBe(5)
  clock.advance(7_300_000n)
  lapic.advance(clock.now())
  expect((lapic.nextEvent() ?? 0n) - clock.now()).toBe(700_000n)
})

test('a period that is too short is stretched', () => {
  const { lapic, clock } = enabled()
  lapic.write(R.APIC_LVT_TIMER, 0x200ec)
  lapic.write(R.APIC_INITIAL_COUNT, 1)
  lapic.advance(clock.now() + 10n)
  expect((lapic.nextEvent() ?? 0n) - clock.now()).toBeGreaterThanOrEqual(200_000n)
  expect(lapic.read(R.APIC_CURRENT_COUNT)).toBe(1)
})

test('TSC deadline', () => {
  const { lapic, clock } = enabled()
  lapic.write(R.APIC_LVT_TIMER, 0x400ec)
  lapic.write(R.APIC_INITIAL_COUNT, 5)
  expect(lapic.nextEvent()).toBeUndefined()
  lapic.tscDeadline = (clock.now() + 1000n) * 2n
  clock.advance(999n, lapic)
  expect(lapic.highestPending()).toBe(-1)
  clock.advance(1n, lapic)
  expect(lapic.highestPending()).toBe(0xec)
  expect(lapic.tscDeadline).toBe(0n)
  lapic.write(R.APIC_LVT_TIMER, 0xec)
  lapic.tscDeadline = 99999n
  expect(lapic.nextEvent()).toBeUndefined()
})

test('ICR: INIT, startup, self; illegal vector goes to the error register', () => {
  const { lapic, ipis } = enabled()
  lapic.write(R.APIC_ICR_HIGH, 0x01000000)
  lapic.write(R.APIC_ICR, 0x4500)
  lapic.write(R.APIC_ICR, 0x8500)
  lapic.write(R.APIC_ICR, 0x0608)
  lapic.write(R.APIC_ICR, 0x40040)
  expect(ipis.map((ipi) => [ipi.deliveryMode, ipi.vector, ipi.dest, ipi.shorthand])).toEqual([
    [5, 0, 1, 'none'],
    [6, 8, 1, 'none'],
    [0, 0x40, 1, 'self'],
  ])
  lapic.write(R.APIC_LVT_ERROR, 0xfe)
  lapic.write(R.APIC_ICR, 0x0005)
  expect(lapic.highestPending()).toBe(0xfe)
  lapic.write(R.APIC_ESR, 0)
  expect(lapic.read(R.APIC_ESR)).toBe(R.ESR_SEND_ILLEGAL_VECTOR)
  lapic.read(0x3d0)
  lapic.write(R.APIC_ESR, 0)
  expect(lapic.read(R.APIC_ESR)).toBe(R.ESR_ILLEGAL_REGISTER)
})

test('destinations: physical, broadcast, flat, cluster, lowest priority', () => {
  const lapics = [0, 1, 2].map((id) => enabled({ id, bsp: id === 0 }).lapic)
  const to = (dest: number, destMode: 'physical' | 'logical', deliveryMode: 0 | 1 = 0): number[] =>
    destinations(lapics, { vector: 0x40, deliveryMode, destMode, dest, trigger: 'edge' }).map((lapic) => lapic.id)
  lapics.forEach((lapic, i) => lapic.write(R.APIC_LDR, (1 << i) * 0x1000000))
  expect(to(1, 'physical')).toEqual([1])
  expect(to(0xff, 'physical')).toEqual([0, 1, 2])
  expect(to(5, 'logical')).toEqual([0, 2])
  lapics[0]?.write(R.APIC_TPR, 0x20)
  expect(to(7, 'logical', 1)).toEqual([1])
  for (const lapic of lapics) lapic.write(R.APIC_DFR, 0)
  lapics.forEach((lapic, i) => lapic.write(R.APIC_LDR, (0x10 * (i >> 1) + (1 << (i & 1))) * 0x1000000))
  expect(to(0x03, 'logical')).toEqual([0, 1])
  expect(to(0x11, 'logical')).toEqual([2])
})

test('x2APIC: MSR access, derived LDR, transitions that fault', () => {
  const { lapic, ipis } = enabled({ id: 18, bsp: false })
  expect(lapic.readMsr(0x802)).toBeUndefined()
  expect(lapic.writeApicBase(R.APIC_DEFAULT_BASE | R.APIC_BASE_X2APIC)).toBe(false)
  expect(lapic.writeApicBase(R.APIC_DEFAULT_BASE | R.APIC_BASE_ENABLE | R.APIC_BASE_X2APIC)).toBe(true)
  expect(lapic.writeApicBase(R.APIC_DEFAULT_BASE | R.APIC_BASE_ENABLE)).toBe(false)
  expect(lapic.readMsr(0x802)).toBe(18n)
  expect(lapic.readMsr(0x80d)).toBe(0x10004n)
  expect(lapic.writeMsr(0x802, 1n)).toBe(false)
  expect(lapic.writeMsr(0x80b, 1n)).toBe(false)
  expect(lapic.readMsr(0x80e)).toBeUndefined()
  expect(lapic.writeMsr(0x830, 0x1234_0000_0040n)).toBe(true)
  expect(ipis[0]?.dest).toBe(0x1234)
  expect(lapic.writeMsr(0x83f, 0x55n)).toBe(true)
  expect(ipis[1]).toMatchObject({ vector: 0x55, shorthand: 'self' })
  expect(lapic.matches(0x10004, 'logical', true)).toBe(true)
  expect(lapic.writeApicBase(R.APIC_DEFAULT_BASE)).toBe(true)
  expect(lapic.highestPending()).toBe(-1)
})

test('save has KVM’s layout, and a load resumes the timer', () => {
  const { lapic, clock } = enabled({ id: 3, bsp: false })
  lapic.write(R.APIC_DIVIDE, 0xb)
  lapic.write(R.APIC_LVT_TIMER, 0xec)
  lapic.write(R.APIC_INITIAL_COUNT, 10_000)
  clock.advance(4_000n, lapic)
  lapic.accept(fixed(0x61, 'level'))
  const state = structuredClone(lapic.save())
  expect(state.regs.length).toBe(1024)
  expect(new DataView(state.regs.buffer).getUint32(R.APIC_ID, true)).toBe(0x03000000)
  expect(new DataView(state.regs.buffer).getUint32(R.APIC_IRR + 0x30, true)).toBe(2)
  const other = make({ bsp: false })
  other.lapic.load(state)
  expect(other.lapic.read(R.APIC_CURRENT_COUNT)).toBe(6_000)
  expect(other.lapic.acknowledge()).toBe(0x61)
  other.clock.advance(6_000n, other.lapic)
  expect(other.lapic.highestPending()).toBe(0xec)
})
