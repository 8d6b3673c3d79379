import { expect, test } from 'vitest'
import type { ApicMessage } from './apic-message.ts'
import { I82093AA } from './i82093aa.ts'

function board(): { chip: I82093AA; sent: ApicMessage[]; redirect: (pin: number, low: number, dest?: number) => void } {
  const sent: ApicMessage[] = []
  const chip = new I82093AA({ deliver: (message) => sent.push(message) })
  const write = (register: number, value: number): void => {
    chip.write(0, register)
    chip.write(0x10, value)
  }
  const redirect = (pin: number, low: number, dest = 0): void => {
    write(0x11 + 2 * pin, dest * 0x1000000)
    write(0x10 + 2 * pin, low)
  }
  return { chip, sent, redirect }
}

test('registers: ID, version, entries masked after reset, reserved bits read as zero', () => {
  const { chip, redirect } = board()
  chip.write(0, 0)
  chip.write(0x10, 0xffffffff)
  expect(chip.read(0x10)).toBe(0x0f000000)
  chip.write(0, 1)
  expect(chip.read(0x10)).toBe(0x00170011)
  chip.write(0, 0x10)
  expect(chip.read(0x10)).toBe(0x10000)
  redirect(3, 0xffffffff, 0xff)
  chip.write(0, 0x16)
  expect(chip.read(0x10)).toBe(0x1afff)
  chip.write(0, 0x17)
  expect(chip.read(0x10)).toBe(0xff000000)
  chip.write(0, 0x40)
  expect(chip.read(0x10)).toBe(0)
})

test('edge: one message for each rising edge; lost while masked', () => {
  const { chip, sent, redirect } = board()
  redirect(4, 0x31, 2)
  chip.setIrq(4, true)
  chip.setIrq(4, true)
  expect(sent).toEqual([{ vector: 0x31, deliveryMode: 0, destMode: 'physical', dest: 2, trigger: 'edge' }])
  chip.setIrq(4, false)
  redirect(4, 0x10031)
  chip.setIrq(4, true)
  redirect(4, 0x31)
  expect(sent.length).toBe(1)
})

test('level: remote IRR blocks until EOI, then the still asserted pin repeats', () => {
  const { chip, sent, redirect } = board()
  redirect(10, 0x8000 | 0x0800 | 0x51, 0x0f)
  chip.setIrq(10, true)
  expect(sent[0]).toEqual({ vector: 0x51, deliveryMode: 0, destMode: 'logical', dest: 0x0f, trigger: 'level' })
  chip.setIrq(10, false)
  chip.setIrq(10, true)
  expect(sent.length).toBe(1)
  chip.write(0, 0x24)
  expect(chip.read(0x10) & 0x4000).toBe(0x4000)
  expect(chip.handlesVector(0x51)).toBe(true)
  chip.eoi(0x50)
  expect(sent.length).toBe(1)
  chip.eoi(0x51)
  expect(sent.length).toBe(2)
  chip.setIrq(10, false)
  chip.eoi(0x51)
  expect(sent.length).toBe(2)
  expect(chip.read(0x10) & 0x4000).toBe(0)
})

test('a level pin asserted while masked is delivered on unmasking; edge mode clears a stuck remote IRR', () => {
  const { chip, sent, redirect } = board()
  redirect(9, 0x18040)
  chip.setIrq(9, true)
  expect(sent.length).toBe(0)
  redirect(9, 0x8040)
  expect(sent.length).toBe(1)
  redirect(9, 0x10040)
  redirect(9, 0x8040)
  expect(sent.length).toBe(2)
})

test('state survives a save and a load', () => {
  const { chip, redirect } = board()
  redirect(9, 0x8040, 1)
  chip.setIrq(9, true)
  const { chip: copy, sent } = board()
  copy.load(structuredClone(chip.save()))
  copy.eoi(0x40)
  expect(sent.length).toBe(1)
})
