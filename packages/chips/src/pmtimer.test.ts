import { expect, test } from 'vitest'
import { AcpiPm, PM1_POWER_BUTTON } from './pmtimer.ts'
import { TestClock } from './test-clock.ts'

function make(): { pm: AcpiPm; clock: TestClock; sci: () => boolean; slept: number[] } {
  const clock = new TestClock()
  let level = false
  const slept: number[] = []
  const pm = new AcpiPm({ clock, sci: (l) => (level = l), sleep: (type) => slept.push(type) })
  return { pm, clock, sci: () => level, slept }
}

test('the timer counts at 3.579545 MHz in 24 bits', () => {
  const { pm, clock } = make()
  const start = pm.readTimer()
  clock.advance(1_000_000_000n)
  expect(Math.abs(pm.readTimer() - start - 3_579_545)).toBeLessThanOrEqual(1)
  clock.advance(9_000_000_000n)
  expect(Math.abs(pm.readTimer() - (35_795_450 % 0x1000000))).toBeLessThanOrEqual(1)
})

test('timer carry raises SCI when enabled, every 2.34 seconds', () => {
  const { pm, clock, sci } = make()
  pm.setAcpiMode(true)
  pm.writeEnable(1)
  clock.advance(2_343_000_000n, pm)
  expect(sci()).toBe(false)
  clock.advance(1_000_000n, pm)
  expect(sci()).toBe(true)
  expect(pm.nextEvent()).toBeUndefined()
  pm.writeStatus(1)
  expect(sci()).toBe(false)
  clock.advance(2_344_000_000n, pm)
  expect(sci()).toBe(true)
})

test('power button needs SCI_EN and its enable bit', () => {
  const { pm, sci } = make()
  pm.raise(PM1_POWER_BUTTON)
  expect(pm.readStatus()).toBe(0x100)
  pm.writeEnable(0x100)
  expect(sci()).toBe(false)
  pm.setAcpiMode(true)
  expect(sci()).toBe(true)
  expect(pm.readControl()).toBe(1)
  pm.writeStatus(0x100)
  expect(sci()).toBe(false)
})

test('SLP_EN asks for sleep with its type and reads as zero', () => {
  const { pm, slept } = make()
  pm.writeControl((5 << 10) | 1)
  expect(slept).toEqual([])
  pm.writeControl((1 << 13) | (5 << 10) | 1)
  expect(slept).toEqual([5])
  expect(pm.readControl()).toBe((5 << 10) | 1)
})

test('state survives a save and a load', () => {
  const { pm, clock } = make()
  clock.advance(500_000_000n)
  const other = make()
  other.pm.load(structuredClone(pm.save()))
  expect(Math.abs(other.pm.readTimer() - pm.readTimer())).toBeLessThanOrEqual(1)
})
