import { expect, test } from 'vitest'
import { I8259Pair } from './i8259.ts'

/** The sequence of every PC operating system: vectors 20h and 28h. */
function programmed(icw4 = 0x01): I8259Pair {
  const pair = new I8259Pair()
  for (const [chip, base, cascade] of [
    [pair.master, 0x20, 0x04],
    [pair.slave, 0x28, 0x02],
  ] as const) {
    chip.write(0, 0x11)
    chip.write(1, base)
    chip.write(1, cascade)
    chip.write(1, icw4)
    chip.write(1, 0x00)
  }
  return pair
}

test('delivers by fixed priority and holds lower requests until EOI', () => {
  const pair = programmed()
  pair.setIrq(4, true)
  pair.setIrq(1, true)
  expect(pair.int).toBe(true)
  expect(pair.acknowledge()).toBe(0x21)
  expect(pair.int).toBe(false)
  pair.setIrq(0, true)
  expect(pair.acknowledge()).toBe(0x20)
  pair.master.write(0, 0x20)
  expect(pair.int).toBe(false)
  pair.master.write(0, 0x20)
  expect(pair.acknowledge()).toBe(0x24)
})

test('cascades: the slave’s vector, EOI to both', () => {
  const pair = programmed()
  pair.setIrq(8, true)
  expect(pair.acknowledge()).toBe(0x28)
  pair.master.write(0, 0x0b)
  expect(pair.master.read(0)).toBe(0x04)
  pair.setIrq(12, true)
  expect(pair.int).toBe(false)
  pair.slave.write(0, 0x20)
  pair.master.write(0, 0x20)
  expect(pair.acknowledge()).toBe(0x2c)
})

test('a second request at the slave reaches the master after the first was served', () => {
  const pair = programmed(0x03)
  pair.setIrq(9, true)
  pair.setIrq(10, true)
  expect(pair.acknowledge()).toBe(0x29)
  expect(pair.int).toBe(true)
  expect(pair.acknowledge()).toBe(0x2a)
  expect(pair.int).toBe(false)
})

test('edge-triggered input needs a new edge, level-triggered input repeats', () => {
  const pair = programmed(0x03)
  pair.setIrq(5, true)
  expect(pair.acknowledge()).toBe(0x25)
  expect(pair.int).toBe(false)
  pair.setIrq(5, false)
  pair.master.elcr = 0xff
  expect(pair.master.elcr).toBe(0xf8)
  pair.setIrq(5, true)
  expect(pair.acknowledge()).toBe(0x25)
  expect(pair.int).toBe(true)
  pair.setIrq(5, false)
  expect(pair.int).toBe(false)
})

test('mask, spurious IR7, IMR read back', () => {
  const pair = programmed()
  pair.setIrq(3, true)
  pair.master.write(1, 0x08)
  expect(pair.int).toBe(false)
  expect(pair.acknowledge()).toBe(0x27)
  pair.master.write(0, 0x0b)
  expect(pair.master.read(0)).toBe(0)
  expect(pair.master.read(1)).toBe(0x08)
  pair.master.write(0, 0x0a)
  expect(pair.master.read(0)).toBe(0x08)
})

test('a slave request that is masked before the acknowledge leaves nothing behind', () => {
  const pair = programmed()
  pair.setIrq(14, true)
  expect(pair.int).toBe(true)
  pair.slave.write(1, 0xff)
  expect(pair.int).toBe(false)
})

test('rotation on EOI makes the served input the lowest', () => {
  const pair = programmed()
  pair.setIrq(1, true)
  expect(pair.acknowledge()).toBe(0x21)
  pair.master.write(0, 0xa0)
  pair.setIrq(1, false)
  pair.setIrq(1, true)
  pair.setIrq(3, true)
  expect(pair.acknowledge()).toBe(0x23)
})

test('specific EOI and set priority', () => {
  const pair = programmed()
  pair.master.write(0, 0xc0 | 4)
  pair.setIrq(0, true)
  pair.setIrq(5, true)
  expect(pair.acknowledge()).toBe(0x25)
  pair.master.write(0, 0x60 | 5)
  expect(pair.acknowledge()).toBe(0x20)
})

test('special mask mode lets lower requests through a masked in-service input', () => {
  const pair = programmed()
  pair.setIrq(1, true)
  pair.acknowledge()
  pair.setIrq(6, true)
  expect(pair.int).toBe(false)
  pair.master.write(1, 0x02)
  pair.master.write(0, 0x68)
  expect(pair.acknowledge()).toBe(0x26)
})

test('poll acknowledges and names the input', () => {
  const pair = programmed()
  pair.master.write(0, 0x0c)
  expect(pair.master.read(0)).toBe(0)
  pair.setIrq(6, true)
  pair.master.write(0, 0x0c)
  expect(pair.master.read(0)).toBe(0x86)
  expect(pair.int).toBe(false)
})

test('special fully nested mode lets the slave interrupt itself', () => {
  const pair = programmed()
  pair.master.write(0, 0x11)
  for (const icw of [0x20, 0x04, 0x11, 0x00]) pair.master.write(1, icw)
  pair.setIrq(15, true)
  expect(pair.acknowledge()).toBe(0x2f)
  pair.setIrq(8, true)
  expect(pair.acknowledge()).toBe(0x28)
})

test('state survives a save and a load', () => {
  const pair = programmed()
  pair.setIrq(8, true)
  pair.setIrq(1, true)
  pair.acknowledge()
  const copy = new I8259Pair()
  copy.load(structuredClone(pair.save()))
  copy.master.write(0, 0x20)
  expect(copy.acknowledge()).toBe(0x28)
  expect(copy.save()).not.toEqual(pair.save())
})
