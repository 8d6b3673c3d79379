import { expect, test } from 'vitest'
import { mpTables } from '../fw/mptable.ts'
import { ACPI_TABLES, BIOS, BIOS_END } from '../machine/layout.ts'
import { amlPackage, device, eisaId, integer, name, nameString, text } from './aml.ts'
import { crs, ioPorts, isaIrq, levelInterrupt } from './resources.ts'
import { acpiTables } from './tables.ts'

const DEVICES = { serial: [0], virtio: [{ address: 0xd0000000, irq: 5 }] }

function sum(bytes: Uint8Array): number {
  return bytes.reduce((total, byte) => total + byte, 0) & 0xff
}

function signature(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes.subarray(0, 4))
}

test('AML encodings of the specification’s examples', () => {
  expect(eisaId('PNP0A03')).toEqual([0x0c, 0x41, 0xd0, 0x0a, 0x03])
  expect(eisaId('PNP0501')).toEqual([0x0c, 0x41, 0xd0, 0x05, 0x01])
  expect([0, 1, 2, 0x100, 0x10000].map(integer)).toEqual([[0], [1], [0x0a, 2], [0x0b, 0, 1], [0x0c, 0, 0, 1, 0]])
  expect(nameString('\\_SB.PCI0')).toEqual([0x5c, 0x2e, ...Buffer.from('_SB_PCI0')])
  expect(nameString('\\_SB.PCI0.ISA')).toEqual([0x5c, 0x2f, 3, ...Buffer.from('_SB_PCI0ISA_')])
  expect(text('AB')).toEqual([0x0d, 0x41, 0x42, 0])
  expect(amlPackage(integer(5), integer(0))).toEqual([0x12, 5, 2, 0x0a, 5, 0])
  expect(name('_S5', integer(0))).toEqual([0x08, ...Buffer.from('_S5_'), 0])
})

test('package lengths of one, two and three bytes cover themselves', () => {
  for (const size of [10, 54, 62, 100, 4085, 4100, 70000]) {
    const encoded = device('DEV0', Array<number>(size).fill(0xa3))
    const lead = encoded[2] ?? 0
    const extra = lead >> 6
    let length = extra ? lead & 15 : lead
    for (let i = 0; i < extra; i++) length |= (encoded[3 + i] ?? 0) << (4 + 8 * i)
    expect(length).toBe(encoded.length - 2)
  }
})

test('resource descriptors', () => {
  expect(ioPorts(0x3f8, 8)).toEqual([0x47, 1, 0xf8, 3, 0xf8, 3, 1, 8])
  expect(isaIrq(4)).toEqual([0x22, 0x10, 0])
  expect(levelInterrupt(5)).toEqual([0x89, 6, 0, 1, 1, 5, 0, 0, 0])
  expect(crs(isaIrq(1)).slice(-6)).toEqual([5, 0x22, 2, 0, 0x79, 0])
})

test('the RSDP leads to every table; each has its length and checksum', () => {
  const placed = acpiTables(DEVICES)
  const at = (address: number): Uint8Array => {
    const found = placed.find((entry) => entry.address === address)
    if (!found) throw new Error(`nothing at ${address.toString(16)}`)
    return found.bytes
  }
  const u32 = (bytes: Uint8Array, offset: number): number => new DataView(bytes.buffer).getUint32(offset, true)
  const rsdp = at(0xf0000)
  expect(String.fromCharCode(...rsdp.subarray(0, 8))).toBe('RSD PTR ')
  expect([sum(rsdp.subarray(0, 20)), sum(rsdp)]).toEqual([0, 0])
  const rsdt = at(u32(rsdp, 16))
  const xsdt = at(u32(rsdp, 24))
  expect([signature(rsdt), signature(xsdt)]).toEqual(['RSDT', 'XSDT'])
  const [fadt, madt] = [at(u32(rsdt, 36)), at(u32(rsdt, 40))]
  expect([u32(xsdt, 36), u32(xsdt, 44)]).toEqual([u32(rsdt, 36), u32(rsdt, 40)])
  expect([signature(fadt), signature(madt)]).toEqual(['FACP', 'APIC'])
  const dsdt = at(u32(fadt, 40))
  const facs = at(u32(fadt, 36))
  expect([signature(dsdt), signature(facs), u32(facs, 4), u32(fadt, 36) % 64]).toEqual(['DSDT', 'FACS', 64, 0])
  for (const table of [rsdt, xsdt, fadt, madt, dsdt]) {
    expect(sum(table)).toBe(0)
    expect(u32(table, 4)).toBe(table.length)
  }
  expect(fadt.length).toBe(244)
  expect(u32(fadt, 56)).toBe(0x600)
  expect(u32(fadt, 64)).toBe(0x604)
  expect(u32(fadt, 76)).toBe(0x608)
  expect([fadt[46], fadt[48], fadt[52], fadt[88], fadt[89], fadt[91]]).toEqual([9, 0xb2, 0xf1, 4, 2, 4])
  expect([fadt[108], fadt[128]]).toEqual([0x32, 6])
  expect(u32(fadt, 148 + 4)).toBe(0x600)
  expect(placed.every(({ address, bytes }) => address >= ACPI_TABLES && address + bytes.length <= BIOS_END)).toBe(true)
  expect(placed.filter(({ address }) => address < BIOS).every(({ bytes, address }) => address + bytes.length <= BIOS)).toBe(true)
})

test('MP tables: pointer, checksums, entry count, the timer on pin 2', () => {
  const [pointer, table] = mpTables(0x6f1, 0x3) as [
    { address: number; bytes: Uint8Array },
    { address: number; bytes: Uint8Array },
  ]
  expect(String.fromCharCode(...pointer.bytes.subarray(0, 4))).toBe('_MP_')
  expect([sum(pointer.bytes), sum(table.bytes), pointer.bytes.length]).toEqual([0, 0, 16])
  const view = new DataView(table.bytes.buffer)
  expect([pointer.address % 16, new DataView(pointer.bytes.buffer).getUint32(4, true)]).toEqual([0, table.address])
  expect(view.getUint16(4, true)).toBe(table.bytes.length)
  let at = 44
  let count = 0
  const timer = []
  for (; at < table.bytes.length; count++) {
    if (table.bytes[at] === 3 && table.bytes[at + 4] === 1 && table.bytes[at + 5] === 0) timer.push(table.bytes[at + 7])
    at += table.bytes[at] === 0 ? 20 : 8
  }
  expect([at, count, timer]).toEqual([table.bytes.length, view.getUint16(34, true), [2]])
})
