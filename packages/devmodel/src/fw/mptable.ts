/** MultiProcessor Specification tables. [Intel MultiProcessor Specification 1.4, chapter 4 "MP Configuration Table"] */
import { ascii, little } from '../acpi/aml.ts'
import { checksum, type PlacedBytes } from '../acpi/tables.ts'
import { IOAPIC, LAPIC, LAPIC_ID_BOOT, LEVEL_IRQS, MP_FLOATING_POINTER, MP_TABLE, pciIrq } from '../machine/layout.ts'

const IOAPIC_ID = 1
const PCI_BUS = 0
const ISA_BUS = 1

const INT = 0
const NMI = 1
const EXTINT = 3
/** Polarity active high, trigger level. */
const LEVEL_HIGH = 0x000d

export function mpTables(cpuSignature: number, cpuFeatures: number): PlacedBytes[] {
  const entries = [
    [0, LAPIC_ID_BOOT, 0x14, 0x03, ...little(cpuSignature, 4), ...little(cpuFeatures, 4), ...little(0, 8)],
    [1, PCI_BUS, ...ascii('PCI   ')],
    [1, ISA_BUS, ...ascii('ISA   ')],
    [2, IOAPIC_ID, 0x11, 0x01, ...little(IOAPIC, 4)],
    ...isaInterrupts(),
    ...pciInterrupts(),
    [4, EXTINT, ...little(0, 2), ISA_BUS, 0, 0xff, 0],
    [4, NMI, ...little(0, 2), ISA_BUS, 0, 0xff, 1],
  ]
  const body = entries.flat()
  const table = [
    ...ascii('PCMP'),
    ...little(44 + body.length, 2),
    4,
    0,
    ...ascii('GSTMOD  '),
    ...ascii('GUESTMODE   '),
    ...little(0, 4),
    ...little(0, 2),
    ...little(entries.length, 2),
    ...little(LAPIC, 4),
    ...little(0, 4),
    ...body,
  ]
  table[7] = checksum(table)
  // No IMCR: the board starts in virtual wire mode.
  const pointer = [...ascii('_MP_'), ...little(MP_TABLE, 4), 1, 4, 0, 0, 0, 0, 0, 0]
  pointer[10] = checksum(pointer)
  return [
    { address: MP_FLOATING_POINTER, bytes: Uint8Array.from(pointer) },
    { address: MP_TABLE, bytes: Uint8Array.from(table) },
  ]
}

function isaInterrupts(): number[][] {
  const entries = []
  for (let irq = 0; irq < 16; irq++) {
    if (irq === 2) continue
    const flags = LEVEL_IRQS.includes(irq) ? LEVEL_HIGH : 0
    entries.push([3, INT, ...little(flags, 2), ISA_BUS, irq, IOAPIC_ID, irq === 0 ? 2 : irq])
  }
  return entries
}

function pciInterrupts(): number[][] {
  const entries = []
  for (let slot = 1; slot < 32; slot++) {
    for (let pin = 0; pin < 4; pin++) {
      entries.push([3, INT, ...little(LEVEL_HIGH, 2), PCI_BUS, (slot << 2) | pin, IOAPIC_ID, pciIrq(slot, pin)])
    }
  }
  return entries
}
