/** ACPI tables for one processor and one I/O APIC. [ACPI 6.5 5.2 "ACPI System Description Tables"] */
import {
  ACPI_TABLES,
  BIOS,
  IOAPIC,
  IRQ_SCI,
  LAPIC,
  LAPIC_ID_BOOT,
  LEVEL_IRQS,
  PORT_APM_CONTROL,
  PORT_PM,
  PORT_RESET_CONTROL,
  RSDP,
} from '../machine/layout.ts'
import { ACPI_DISABLE, ACPI_ENABLE } from '../pci/piix4.ts'
import { ascii, little } from './aml.ts'
import { dsdtBody, type BoardDevices } from './dsdt.ts'

export interface PlacedBytes {
  readonly address: number
  readonly bytes: Uint8Array
}

/** Everything a guest needs to find ACPI, with its place in memory. */
export function acpiTables(devices: BoardDevices): PlacedBytes[] {
  const placed: PlacedBytes[] = []
  let next = ACPI_TABLES
  const place = (bytes: number[]): number => {
    const address = next
    placed.push({ address, bytes: Uint8Array.from(bytes) })
    next = (address + bytes.length + 63) & ~63
    if (next > BIOS) throw new Error('the ACPI tables have outgrown their place')
    return address
  }
  const facs = place(facsTable())
  const dsdt = place(table('DSDT', 2, dsdtBody(devices)))
  const fadt = place(table('FACP', 3, fadtBody(facs, dsdt)))
  const madt = place(table('APIC', 3, madtBody()))
  const rsdt = place(
    table(
      'RSDT',
      1,
      [fadt, madt].flatMap((address) => little(address, 4)),
    ),
  )
  const xsdt = place(
    table(
      'XSDT',
      1,
      [fadt, madt].flatMap((address) => little(address, 8)),
    ),
  )
  placed.push({ address: RSDP, bytes: Uint8Array.from(rsdpStructure(rsdt, xsdt)) })
  return placed
}

/** A table with its header and checksum. */
export function table(signature: string, revision: number, body: readonly number[]): number[] {
  const bytes = [
    ...ascii(signature),
    ...little(36 + body.length, 4),
    revision,
    0,
    ...ascii('GSTMOD'),
    ...ascii('GUESTMOD'),
    ...little(1, 4),
    ...ascii('GSTM'),
    ...little(1, 4),
    ...body,
  ]
  bytes[9] = checksum(bytes)
  return bytes
}

/** The byte that makes all sum to zero. */
export function checksum(bytes: readonly number[]): number {
  return -bytes.reduce((sum, byte) => sum + byte, 0) & 0xff
}

function rsdpStructure(rsdt: number, xsdt: number): number[] {
  const first = [...ascii('RSD PTR '), 0, ...ascii('GSTMOD'), 2, ...little(rsdt, 4)]
  first[8] = checksum(first)
  const all = [...first, ...little(36, 4), ...little(xsdt, 8), 0, 0, 0, 0]
  all[32] = checksum(all)
  return all
}

function facsTable(): number[] {
  return [...ascii('FACS'), ...little(64, 4), ...Array<number>(56).fill(0)]
}

/** Generic address structure of an I/O port. [ACPI 6.5 5.2.3.2 "Generic Address Structure"] */
function portAddress(port: number, bits: number): number[] {
  return port ? [1, bits, 0, bits === 8 ? 1 : bits === 16 ? 2 : 3, ...little(port, 8)] : Array<number>(12).fill(0)
}

const WBINVD = 1 << 0
const PROC_C1 = 1 << 2
const NO_FIXED_SLEEP_BUTTON = 1 << 5
const RESET_REGISTER = 1 << 10
/** The PM timer has 24 bits (bit 8 clear); the power button is fixed hardware (bit 4 clear). */
const FADT_FLAGS = WBINVD | PROC_C1 | NO_FIXED_SLEEP_BUTTON | RESET_REGISTER

const LEGACY_DEVICES = 1 << 0
const HAS_8042 = 1 << 1
const NO_VGA = 1 << 2

function fadtBody(facs: number, dsdt: number): number[] {
  const event = PORT_PM
  const control = PORT_PM + 4
  const timer = PORT_PM + 8
  return [
    ...little(facs, 4),
    ...little(dsdt, 4),
    0, // reserved
    1, // preferred profile: desktop
    ...little(IRQ_SCI, 2),
    ...little(PORT_APM_CONTROL, 4),
    ACPI_ENABLE,
    ACPI_DISABLE,
    0, // S4BIOS_REQ
    0, // PSTATE_CNT
    // PM1a and PM1b event, PM1a and PM1b control, PM2, timer, GPE0, GPE1
    ...[event, 0, control, 0, 0, timer, 0, 0].flatMap((port) => little(port, 4)),
    ...[4, 2, 0, 4, 0, 0, 0, 0], // their lengths, GPE1 base, _CST
    ...little(0xfff, 2), // C2 latency: not supported
    ...little(0xfff, 2), // C3 latency: not supported
    ...little(0, 4), // flush size and stride
    0, // duty offset
    0, // duty width
    0, // day alarm
    0, // month alarm
    0x32, // century
    ...little(LEGACY_DEVICES | HAS_8042 | NO_VGA, 2),
    0,
    ...little(FADT_FLAGS, 4),
    ...portAddress(PORT_RESET_CONTROL, 8),
    0x06, // reset value
    ...[0, 0, 0],
    ...little(facs, 8),
    ...little(dsdt, 8),
    ...portAddress(event, 32),
    ...portAddress(0, 0),
    ...portAddress(control, 16),
    ...portAddress(0, 0),
    ...portAddress(0, 0),
    ...portAddress(timer, 32),
    ...portAddress(0, 0),
    ...portAddress(0, 0),
  ]
}

const LEVEL_ACTIVE_HIGH = 0x000d

function madtBody(): number[] {
  const override = (irq: number, gsi: number, flags: number): number[] => [2, 10, 0, irq, ...little(gsi, 4), ...little(flags, 2)]
  return [
    ...little(LAPIC, 4),
    ...little(1, 4), // PCAT_COMPAT: there are 8259As too
    ...[0, 8, 0, LAPIC_ID_BOOT, ...little(1, 4)],
    ...[1, 12, 1, 0, ...little(IOAPIC, 4), ...little(0, 4)],
    ...override(0, 2, 0),
    ...LEVEL_IRQS.flatMap((irq) => override(irq, irq, LEVEL_ACTIVE_HIGH)),
    ...[4, 6, 0xff, ...little(0, 2), 1], // NMI on LINT1 of every processor
  ]
}
