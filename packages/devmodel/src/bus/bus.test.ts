import { expect, test } from 'vitest'
import { MmioBus } from './mmio-bus.ts'
import { PortBus, type PortDevice } from './port-bus.ts'

function recorder(width: 1 | 2 | 4, log: string[], name = 'd'): PortDevice {
  return {
    width,
    read: (offset, size) => {
      log.push(`${name} in ${offset}/${size}`)
      return 0x10 + offset
    },
    write: (offset, value, size) => void log.push(`${name} out ${offset}/${size}=${value.toString(16)}`),
  }
}

test('unclaimed ports read as all ones at every width', () => {
  const bus = new PortBus()
  expect([1, 2, 4].map((size) => bus.read(0x300, size))).toEqual([0xff, 0xffff, 0xffffffff])
  bus.write(0x300, 1, 4)
})

test('an 8-bit device gets byte cycles; the rest of a wide read is open bus', () => {
  const bus = new PortBus()
  const log: string[] = []
  bus.claim(0x70, 2, recorder(1, log))
  expect(bus.read(0x70, 2)).toBe(0x1110)
  expect(bus.read(0x71, 2)).toBe(0xff11)
  bus.write(0x70, 0xabcd, 2)
  expect(log).toEqual(['d in 0/1', 'd in 1/1', 'd in 1/1', 'd out 0/1=cd', 'd out 1/1=ab'])
})

test('a later claim wins inside an earlier one', () => {
  const bus = new PortBus()
  const log: string[] = []
  bus.claim(0xcf8, 8, recorder(4, log, 'pci'))
  bus.claim(0xcf9, 1, recorder(1, log, 'reset'))
  bus.write(0xcf8, 0x80000000, 4)
  bus.write(0xcf9, 6, 1)
  expect(log).toEqual(['pci out 0/4=80000000', 'reset out 0/1=6'])
})

test('MMIO: natural pieces, open bus, no overlap', () => {
  const bus = new MmioBus()
  const log: string[] = []
  bus.claim(0xd0000000, 0x1000, {
    read: (offset, size) => {
      log.push(`${offset}/${size}`)
      return offset
    },
    write: (offset, value, size) => void log.push(`${offset}/${size}=${value.toString(16)}`),
  })
  const data = new Uint8Array(8)
  bus.read(0xd0000010, data)
  expect([...data]).toEqual([0x10, 0, 0, 0, 0x14, 0, 0, 0])
  bus.read(0xd0000ffe, data.subarray(0, 4))
  expect([...data.subarray(0, 4)]).toEqual([0xfe, 0x0f, 0xff, 0xff])
  bus.write(0xd0000021, Uint8Array.of(1, 2, 3))
  expect(log).toEqual(['16/4', '20/4', '4094/2', '33/1=1', '34/2=302'])
  bus.read(0xe0000000, data)
  expect([...data]).toEqual(Array(8).fill(0xff))
  expect(() => bus.claim(0xd0000800, 16, { read: () => 0, write: () => undefined })).toThrow(/overlap/)
})
