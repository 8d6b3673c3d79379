import { expect, test } from 'vitest'
import { I8254 } from './i8254.ts'
import { Port61 } from './port61.ts'
import { TestClock } from './test-clock.ts'

const TICK = 838.0953
const ticks = (n: number): bigint => BigInt(Math.round(n * TICK))

function board(): { clock: TestClock; pit: I8254; edges: () => number } {
  const clock = new TestClock()
  let count = 0
  let last = true
  const pit = new I8254({
    clock,
    out0: (level) => {
      if (level && !last) count++
      last = level
    },
  })
  return { clock, pit, edges: () => count }
}

function program(pit: I8254, channel: number, mode: number, count: number, bcd = 0): void {
  pit.write(3, (channel << 6) | 0x30 | (mode << 1) | bcd)
  pit.write(channel, count & 0xff)
  pit.write(channel, count >> 8)
}

function counter(pit: I8254, channel: number): number {
  pit.write(3, channel << 6)
  return pit.read(channel) | (pit.read(channel) << 8)
}

test('mode 2: HZ=100 gives a hundred edges a second, none drifting away', () => {
  const { clock, pit, edges } = board()
  program(pit, 0, 2, 11932)
  clock.advance(10_000_000_000n, pit)
  expect(edges()).toBe(Math.floor((10 * 1193182) / 11932))
  expect(pit.missedTicks).toBe(0)
})

test('a late owner gets one edge and the number of those it missed', () => {
  const { clock, pit, edges } = board()
  program(pit, 0, 3, 11932)
  clock.advance(ticks(11932 * 5 + 100))
  pit.advance(clock.now())
  expect(edges()).toBe(1)
  expect(pit.missedTicks).toBe(4)
})

test('periods too short to follow are merged', () => {
  const { clock, pit, edges } = board()
  program(pit, 0, 2, 2)
  clock.advance(1_000_000n, pit)
  expect(edges()).toBeLessThanOrEqual(6)
  expect(edges() + pit.missedTicks).toBeGreaterThan(590)
})

test('mode 0: low until terminal count, then high for good', () => {
  const { clock, pit } = board()
  program(pit, 2, 0, 1000)
  expect(pit.output(2)).toBe(false)
  clock.advance(ticks(999), pit)
  expect(pit.output(2)).toBe(false)
  clock.advance(ticks(2), pit)
  expect(pit.output(2)).toBe(true)
  clock.advance(ticks(5000), pit)
  expect(pit.output(2)).toBe(true)
})

test('mode 0 interrupts once', () => {
  const { clock, pit, edges } = board()
  program(pit, 0, 0, 1000)
  clock.advance(ticks(100_000), pit)
  expect(edges()).toBe(1)
  expect(pit.nextEvent()).toBeUndefined()
})

test('the gate freezes mode 0 and restarts mode 2; port 61h holds it', () => {
  const { clock, pit } = board()
  const port = new Port61({ pit, clock })
  port.write(0)
  program(pit, 2, 0, 1000)
  clock.advance(ticks(5000), pit)
  expect(port.read() & 0x20).toBe(0)
  expect(counter(pit, 2)).toBe(1000)
  port.write(1)
  clock.advance(ticks(400), pit)
  expect(Math.abs(counter(pit, 2) - 600)).toBeLessThanOrEqual(1)
  port.write(0)
  clock.advance(ticks(5000), pit)
  expect(Math.abs(counter(pit, 2) - 600)).toBeLessThanOrEqual(1)
  port.write(1)
  clock.advance(ticks(602), pit)
  expect(port.read() & 0x21).toBe(0x21)
})

test('mode 1 and mode 5 wait for their trigger', () => {
  const { clock, pit } = board()
  pit.setGate(2, false)
  program(pit, 2, 1, 100)
  clock.advance(ticks(500), pit)
  expect(pit.output(2)).toBe(true)
  pit.setGate(2, true)
  clock.advance(ticks(50), pit)
  expect(pit.output(2)).toBe(false)
  clock.advance(ticks(51), pit)
  expect(pit.output(2)).toBe(true)
})

test('mode 3 is a square wave, its odd count high for one tick more', () => {
  const { clock, pit } = board()
  program(pit, 2, 3, 101)
  clock.advance(ticks(50), pit)
  expect(pit.output(2)).toBe(true)
  clock.advance(ticks(2), pit)
  expect(pit.output(2)).toBe(false)
  clock.advance(ticks(50), pit)
  expect(pit.output(2)).toBe(true)
})

test('a new count of mode 2 takes effect at the end of the period', () => {
  const { clock, pit, edges } = board()
  program(pit, 0, 2, 1000)
  clock.advance(ticks(500), pit)
  pit.write(0, 0xd0)
  pit.write(0, 0x07)
  clock.advance(ticks(550), pit)
  expect(edges()).toBe(1)
  clock.advance(ticks(1900), pit)
  expect(edges()).toBe(1)
  clock.advance(ticks(100), pit)
  expect(edges()).toBe(2)
})

test('latch holds the count between its two reads; BCD counts in decimal', () => {
  const { clock, pit } = board()
  program(pit, 0, 2, 0x1000, 1)
  clock.advance(ticks(1), pit)
  pit.write(3, 0x00)
  clock.advance(ticks(300), pit)
  expect([pit.read(0), pit.read(0)]).toEqual([0x99, 0x09])
  expect(counter(pit, 0) & 0xf).toBeLessThan(10)
})

test('read-back latches status, then count', () => {
  const { pit } = board()
  program(pit, 1, 2, 0x1234)
  pit.write(3, 0xc0 | (2 << 1))
  expect(pit.read(1)).toBe(0x80 | 0x30 | 0x04)
  expect(pit.read(1) | (pit.read(1) << 8)).toBe(0x1234)
  pit.write(3, 0x30 | (1 << 6))
  pit.write(3, 0xe0 | (2 << 1))
  expect(pit.read(1)).toBe(0x40 | 0x30)
})

test('saved state goes on counting on another clock', () => {
  const { clock, pit } = board()
  program(pit, 0, 2, 10000)
  clock.advance(ticks(4000), pit)
  const state = structuredClone(pit.save())
  const other = new TestClock()
  other.advance(77_777_777n)
  const copy = new I8254({ clock: other })
  copy.load(state)
  expect(Math.abs(counter(copy, 0) - 6000)).toBeLessThanOrEqual(1)
})
