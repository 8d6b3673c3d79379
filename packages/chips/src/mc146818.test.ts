import { expect, test } from 'vitest'
import { Mc146818 } from './mc146818.ts'
import { TestClock } from './test-clock.ts'

/** 2026-11-22 20:59:58.5 UTC, a Sunday. */
const START = Date.UTC(2026, 10, 22, 20, 59, 58) / 1000 + 0.5

function make(): {
  rtc: Mc146818
  clock: TestClock
  irqs: () => number
  get: (i: number) => number
  set: (i: number, v: number) => void
} {
  const clock = new TestClock()
  const zero = clock.now()
  let count = 0
  const rtc = new Mc146818({
    clock,
    unixTime: () => START + Number(clock.now() - zero) / 1e9,
    irq: (level) => void (count += level ? 1 : 0),
  })
  const get = (index: number): number => {
    rtc.index = index
    return rtc.read()
  }
  const set = (index: number, value: number): void => {
    rtc.index = index
    rtc.write(value)
  }
  return { rtc, clock, irqs: () => count, get, set }
}

test('time in BCD, binary and twelve hours', () => {
  const { get, set, clock } = make()
  expect([0, 2, 4, 6, 7, 8, 9, 0x32].map(get)).toEqual([0x58, 0x59, 0x20, 1, 0x22, 0x11, 0x26, 0x20])
  set(0x0b, 0x06)
  expect([0, 2, 4, 7, 8, 9].map(get)).toEqual([58, 59, 20, 22, 11, 26])
  set(0x0b, 0x00)
  expect(get(4)).toBe(0x88)
  clock.advance(2_000_000_000n)
  expect([get(0), get(2), get(4)]).toEqual([0x00, 0x00, 0x89])
})

test('update in progress just before the second', () => {
  const { get, clock } = make()
  expect(get(0x0a)).toBe(0x26)
  clock.advance(499_900_000n)
  expect(get(0x0a)).toBe(0xa6)
  clock.advance(200_000n)
  expect(get(0x0a)).toBe(0x26)
})

test('setting the time stops and restarts the clock', () => {
  const { get, set, clock } = make()
  set(0x0b, 0x82)
  for (const [index, value] of [
    [0, 0x30],
    [2, 0x15],
    [4, 0x07],
    [7, 0x01],
    [8, 0x02],
    [9, 0x30],
  ] as const)
    set(index, value)
  clock.advance(60_000_000_000n)
  expect(get(0)).toBe(0x30)
  set(0x0b, 0x02)
  clock.advance(5_000_000_000n)
  expect([0, 2, 4, 7, 8, 9].map(get)).toEqual([0x35, 0x15, 0x07, 0x01, 0x02, 0x30])
})

test('periodic interrupt: 1024 Hz, each acknowledged by reading C', () => {
  const { rtc, get, set, clock } = make()
  let handled = 0
  set(0x0b, 0x42)
  for (let i = 0; i < 4096; i++) {
    clock.advance(1_000_000_000n / 4096n, rtc)
    if (get(0x0c) & 0x40) handled++
  }
  expect(handled).toBeGreaterThanOrEqual(1023)
  expect(handled).toBeLessThanOrEqual(1025)
})

test('update-ended and alarm interrupts', () => {
  const { rtc, get, set, clock, irqs } = make()
  set(1, 0x00)
  set(3, 0x00)
  set(5, 0xc0)
  set(0x0b, 0x22)
  clock.advance(1_000_000_000n, rtc)
  expect(irqs()).toBe(0)
  expect(get(0x0c)).toBe(0x10 | (get(0x0c) & 0x40) | 0x40)
  clock.advance(1_000_000_000n, rtc)
  expect(irqs()).toBe(1)
  expect(get(0x0c) & 0xb0).toBe(0xb0)
  set(0x0b, 0x12)
  clock.advance(1_000_000_000n, rtc)
  expect(irqs()).toBe(2)
})

test('NVRAM, valid RAM bit, state', () => {
  const { rtc, get, set } = make()
  set(0x15, 0x80)
  expect(get(0x0d)).toBe(0x80)
  const other = make()
  other.rtc.load(structuredClone(rtc.save()))
  expect(other.get(0x15)).toBe(0x80)
})
