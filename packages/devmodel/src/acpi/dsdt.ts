/** The board in AML: what a guest cannot find by probing. */
import {
  IRQ_COM,
  IRQ_KEYBOARD,
  IRQ_MOUSE,
  IRQ_RTC,
  PCI_MEMORY,
  PCI_MEMORY_END,
  PORT_CMOS,
  PORT_COM,
  PORT_KEYBOARD_COMMAND,
  PORT_KEYBOARD_DATA,
  PORT_PCI_CONFIG,
  VIDEO_MEMORY,
  SHADOW_RAM,
  VIRTIO_MMIO_SIZE,
  pciIrq,
} from '../machine/layout.ts'
import { PIIX4_DEVICE } from '../pci/piix4.ts'
import { amlPackage, device, eisaId, integer, name, scope, text, type Aml } from './aml.ts'
import { busNumbers, crs, ioPorts, isaIrq, levelInterrupt, memory, memoryWindow, portWindow } from './resources.ts'

/** SLP_TYP of S5: soft off of the PIIX4's PMCNTRL. */
export const S5_SLEEP_TYPE = 0

export interface BoardDevices {
  /** Indices of the serial ports that are present. */
  serial: readonly number[]
  virtio: readonly { address: number; irq: number }[]
}

export function dsdtBody(devices: BoardDevices): Aml {
  return [
    ...scope('\\_SB', pciRoot(devices), ...devices.virtio.map(virtio)),
    ...name('\\_S5', amlPackage(integer(S5_SLEEP_TYPE), integer(S5_SLEEP_TYPE), integer(0), integer(0))),
  ]
}

function pciRoot(devices: BoardDevices): Aml {
  return device(
    'PCI0',
    name('_HID', eisaId('PNP0A03')),
    name('_UID', integer(0)),
    name('_BBN', integer(0)),
    crs(
      busNumbers(0, 0),
      ioPorts(PORT_PCI_CONFIG, 8),
      portWindow(0, PORT_PCI_CONFIG - 1),
      portWindow(PORT_PCI_CONFIG + 8, 0xffff),
      memoryWindow(VIDEO_MEMORY, SHADOW_RAM - 1),
      memoryWindow(PCI_MEMORY, PCI_MEMORY_END - 1),
    ),
    name('_PRT', pciRouting()),
    device('ISA', name('_ADR', integer(PIIX4_DEVICE << 16)), ...isaDevices(devices)),
  )
}

/**
 * Every slot's four pins, wired to fixed interrupts: source 0 means the index is a GSI. The I/O APIC keeps the IRQ numbers but
 * for the timer's, so one routing serves guests in PIC mode too. [ACPI 6.5 6.2.13 "_PRT (PCI Routing Table)"]
 */
function pciRouting(): Aml {
  const entries = []
  for (let slot = 1; slot < 32; slot++) {
    for (let pin = 0; pin < 4; pin++) {
      entries.push(amlPackage(integer(slot * 0x10000 + 0xffff), integer(pin), integer(0), integer(pciIrq(slot, pin))))
    }
  }
  return amlPackage(...entries)
}

function isaDevices(devices: BoardDevices): Aml[] {
  return [
    device('RTC', name('_HID', eisaId('PNP0B00')), crs(ioPorts(PORT_CMOS, 2), isaIrq(IRQ_RTC))),
    device(
      'KBD',
      name('_HID', eisaId('PNP0303')),
      crs(ioPorts(PORT_KEYBOARD_DATA, 1), ioPorts(PORT_KEYBOARD_COMMAND, 1), isaIrq(IRQ_KEYBOARD)),
    ),
    device('MOU', name('_HID', eisaId('PNP0F13')), crs(isaIrq(IRQ_MOUSE))),
    ...devices.serial.map((index) =>
      device(
        `COM${index + 1}`,
        name('_HID', eisaId('PNP0501')),
        name('_UID', integer(index + 1)),
        crs(ioPorts(PORT_COM[index] ?? 0, 8), isaIrq(IRQ_COM[index] ?? 0)),
      ),
    ),
  ]
}

function virtio({ address, irq }: { address: number; irq: number }, index: number): Aml {
  return device(
    `VIO${index.toString(16).toUpperCase()}`,
    name('_HID', text('LNRO0005')),
    name('_UID', integer(index)),
    crs(memory(address, VIRTIO_MMIO_SIZE), levelInterrupt(irq)),
  )
}
