import { expect, test } from 'vitest'
import { MCR_OUT2, Ns16550 } from './ns16550.ts'

function make(): { uart: Ns16550; sent: number[]; irq: () => boolean; ready: () => number } {
  const sent: number[] = []
  let level = false
  let readies = 0
  const uart = new Ns16550({ transmit: (byte) => sent.push(byte), irq: (l) => (level = l), ready: () => readies++ })
  return { uart, sent, irq: () => level, ready: () => readies }
}

test('identifies as a 16550A the way drivers probe', () => {
  const { uart } = make()
  uart.write(2, 0x01)
  expect(uart.read(2) & 0xc0).toBe(0xc0)
  uart.write(7, 0xa5)
  expect(uart.read(7)).toBe(0xa5)
  uart.write(4, 0x1a)
  expect(uart.read(6) & 0xf0).toBe(0x90)
  uart.write(1, 0xff)
  expect(uart.read(1)).toBe(0x0f)
})

test('divisor latch', () => {
  const { uart, sent } = make()
  uart.write(3, 0x83)
  uart.write(0, 0x01)
  uart.write(1, 0x00)
  expect(uart.baud).toBe(115200)
  uart.write(3, 0x03)
  uart.write(0, 0x41)
  expect(sent).toEqual([0x41])
  expect(uart.read(5) & 0x60).toBe(0x60)
})

test('transmitter empty interrupt: raised on enabling, cleared by IIR, raised again by a byte', () => {
  const { uart, irq } = make()
  uart.write(1, 0x02)
  expect(irq()).toBe(true)
  expect(uart.read(2)).toBe(0x02)
  expect(irq()).toBe(false)
  expect(uart.read(2)).toBe(0x01)
  uart.write(0, 0x42)
  expect(irq()).toBe(true)
})

test('receive FIFO: timeout below the trigger level, data at it, sixteen bytes, then refusal and ready', () => {
  const { uart, irq, ready } = make()
  uart.write(2, 0x81)
  uart.write(1, 0x01)
  uart.receive(1)
  expect(uart.read(2)).toBe(0xcc)
  for (let i = 2; i <= 8; i++) uart.receive(i)
  expect(uart.read(2)).toBe(0xc4)
  for (let i = 9; i <= 16; i++) expect(uart.receive(i)).toBe(true)
  expect(uart.receive(17)).toBe(false)
  expect(ready()).toBe(0)
  const got = []
  while (uart.read(5) & 1) got.push(uart.read(0))
  expect(got).toEqual(Array.from({ length: 16 }, (_, i) => i + 1))
  expect(ready()).toBe(1)
  expect(irq()).toBe(false)
})

test('without FIFO there is room for one byte', () => {
  const { uart } = make()
  expect(uart.receive(1)).toBe(true)
  expect(uart.receive(2)).toBe(false)
})

test('loopback returns bytes, and lines as the modem’s', () => {
  const { uart, sent } = make()
  uart.write(4, 0x10 | 0x0f)
  uart.write(0, 0x55)
  expect(sent).toEqual([])
  expect(uart.read(0)).toBe(0x55)
  expect(uart.read(6) & 0xf0).toBe(0xf0)
  uart.write(4, 0x10)
  expect(uart.read(6)).toBe(0x0f)
  expect(uart.read(6)).toBe(0x00)
})

test('priorities: line status before data; break', () => {
  const { uart } = make()
  uart.write(1, 0x0f)
  uart.receiveBreak()
  expect(uart.read(2)).toBe(0x06)
  expect(uart.read(5) & 0x10).toBe(0x10)
  expect(uart.read(2)).toBe(0x04)
  uart.read(0)
  expect(uart.read(2)).toBe(0x02)
})

test('modem status interrupt', () => {
  const { uart, irq } = make()
  uart.write(4, MCR_OUT2)
  uart.write(1, 0x08)
  uart.setModemLines(0x30)
  expect(irq()).toBe(true)
  expect(uart.read(2)).toBe(0x00)
  expect(uart.read(6)).toBe(0x38)
  expect(irq()).toBe(false)
})

test('state survives a save and a load', () => {
  const { uart } = make()
  uart.write(2, 1)
  uart.receive(7)
  uart.receive(8)
  const { uart: copy } = make()
  copy.load(structuredClone(uart.save()))
  expect([copy.read(0), copy.read(0), copy.read(5) & 1]).toEqual([7, 8, 0])
})
