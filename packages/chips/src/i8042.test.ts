import { expect, test } from 'vitest'
import { I8042 } from './i8042.ts'

function make(): { kbc: I8042; log: string[] } {
  const log: string[] = []
  const kbc = new I8042({
    irq1: (level) => log.push(`irq1 ${level}`),
    irq12: (level) => log.push(`irq12 ${level}`),
    a20: (level) => log.push(`a20 ${level}`),
    resetLine: () => log.push('reset'),
  })
  return { kbc, log }
}

function drain(kbc: I8042): number[] {
  const bytes = []
  while (kbc.readStatus() & 1) bytes.push(kbc.readData())
  return bytes
}

test('self test, interface tests, configuration byte', () => {
  const { kbc } = make()
  kbc.writeCommand(0xaa)
  expect(drain(kbc)).toEqual([0x55])
  kbc.writeCommand(0xab)
  kbc.writeCommand(0xa9)
  expect(drain(kbc)).toEqual([0, 0])
  kbc.writeCommand(0x60)
  expect(kbc.readStatus() & 8).toBe(8)
  kbc.writeData(0x47)
  expect(kbc.readStatus() & 8).toBe(0)
  kbc.writeCommand(0x20)
  expect(drain(kbc)).toEqual([0x47])
})

test('keyboard reset and identification are translated', () => {
  const { kbc } = make()
  kbc.writeData(0xff)
  expect(drain(kbc)).toEqual([0xfa, 0xaa])
  kbc.writeData(0xf2)
  expect(drain(kbc)).toEqual([0xfa, 0xab, 0x41])
  kbc.writeData(0xed)
  kbc.writeData(0x02)
  expect(drain(kbc)).toEqual([0xfa, 0xfa])
})

test('a key is translated to set 1 and interrupts once for each byte', () => {
  const { kbc, log } = make()
  kbc.keyboard.key([0xe0, 0xf0, 0x75])
  expect(log).toEqual(['irq1 true'])
  expect(drain(kbc)).toEqual([0xe0, 0xc8])
  expect(log).toEqual(['irq1 true', 'irq1 false', 'irq1 true', 'irq1 false'])
  kbc.writeCommand(0xad)
  kbc.keyboard.key([0x1c])
  expect(kbc.readStatus() & 1).toBe(0)
  kbc.writeCommand(0xae)
  expect(drain(kbc)).toEqual([0x1e])
})

test('set 1 without translation by the controller', () => {
  const { kbc } = make()
  kbc.writeCommand(0x60)
  kbc.writeData(0x01)
  kbc.keyboard.key([0xf0, 0x1c])
  expect(drain(kbc)).toEqual([0xf0, 0x1c])
  kbc.writeData(0xf0)
  kbc.writeData(0x01)
  drain(kbc)
  kbc.keyboard.key([0xf0, 0x1c])
  expect(drain(kbc)).toEqual([0x9e])
})

test('mouse: reset, wheel knock, packets on IRQ 12', () => {
  const { kbc, log } = make()
  const send = (byte: number): number[] => {
    kbc.writeCommand(0xd4)
    kbc.writeData(byte)
    return drain(kbc)
  }
  kbc.writeCommand(0x60)
  kbc.writeData(0x47)
  expect(send(0xff)).toEqual([0xfa, 0xaa, 0x00])
  for (const byte of [0xf3, 200, 0xf3, 100, 0xf3, 80]) expect(send(byte)).toEqual([0xfa])
  expect(send(0xf2)).toEqual([0xfa, 0x03])
  expect(send(0xf4)).toEqual([0xfa])
  log.length = 0
  kbc.mouse.move(5, -3, 1, 1)
  expect(log).toEqual(['irq12 true'])
  expect(kbc.readStatus() & 0x21).toBe(0x21)
  expect(drain(kbc)).toEqual([0x29, 5, 0xfd, 0xff])
  kbc.mouse.move(300, 0, 0, 0)
  expect(drain(kbc)).toEqual([0x08, 255, 0, 0, 0x08, 45, 0, 0])
})

test('A20 and the reset line', () => {
  const { kbc, log } = make()
  kbc.writeCommand(0xd1)
  kbc.writeData(0xdd)
  kbc.writeCommand(0xd0)
  expect(drain(kbc)).toEqual([0xdd])
  kbc.writeCommand(0xdf)
  kbc.writeCommand(0xfe)
  kbc.writeCommand(0xff)
  expect(log.filter((entry) => !entry.startsWith('irq'))).toEqual(['a20 false', 'a20 true', 'reset'])
})

test('auxiliary loop test of drivers', () => {
  const { kbc } = make()
  kbc.writeCommand(0xd3)
  kbc.writeData(0x5a)
  expect(kbc.readStatus() & 0x21).toBe(0x21)
  expect(kbc.readData()).toBe(0x5a)
})

test('state survives a save and a load', () => {
  const { kbc } = make()
  kbc.keyboard.key([0x1c, 0xf0, 0x1c])
  const { kbc: copy } = make()
  copy.load(structuredClone(kbc.save()))
  expect(drain(copy)).toEqual([0x1e, 0x9e])
})
