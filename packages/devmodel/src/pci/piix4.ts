/**
 * 82371AB (PIIX4) as far as this board has it: function 0, the ISA bridge with its PIRQ routing registers, and function 3, power
 * management, its I/O base set as firmware would. [82371AB (PIIX4) 290562]
 */
import type { AcpiPm } from '@guestmode/chips'
import type { PortDevice } from '../bus/port-bus.ts'
import { IRQ_SCI, PORT_PM, pciIrq } from '../machine/layout.ts'
import type { Timers } from '../machine/timers.ts'
import { ConfigSpace } from './config-space.ts'

export const PIIX4_DEVICE = 1
export const PM_PORTS = 16

export function isaBridge(): ConfigSpace {
  const config = new ConfigSpace({ vendor: 0x8086, device: 0x7110, classCode: 0x060100, revision: 2, multifunction: true })
  config.setU16(0x04, 0x0007)
  for (let pin = 0; pin < 4; pin++) config.bytes[0x60 + pin] = pciIrq(0, pin)
  config.allowWrites(0x60, [0x8f, 0x8f, 0x8f, 0x8f])
  return config
}

export function powerManagement(): ConfigSpace {
  const config = new ConfigSpace({ vendor: 0x8086, device: 0x7113, classCode: 0x068000, revision: 3 })
  config.setU16(0x04, 0x0001)
  config.bytes[0x3c] = IRQ_SCI
  config.bytes[0x3d] = 1
  // PMBA: bit 0 says I/O space; PMREGMISC bit 0 enables it. Moving it is not supported: the FADT has told the guest where it is.
  config.setU16(0x40, PORT_PM | 1)
  config.bytes[0x80] = 1
  return config
}

/** The ACPI register block: PM1 status (0), enable (2), control (4), PM timer (8). */
export class PmPorts implements PortDevice {
  readonly width = 4
  readonly #pm: AcpiPm
  readonly #timers: Timers

  constructor(pm: AcpiPm, timers: Timers) {
    this.#pm = pm
    this.#timers = timers
  }

  read(offset: number, size: number): number {
    const dword = this.#dword(offset & ~3)
    return Math.floor(dword / 2 ** (8 * (offset & 3))) % 2 ** (8 * size)
  }

  write(offset: number, value: number, size: number): void {
    this.#timers.touch()
    const shifted = value << (8 * (offset & 3))
    const lanes = ((size === 4 ? 0 : 1 << (8 * size)) - 1) << (8 * (offset & 3))
    if (offset < 4) {
      if (lanes & 0xffff) this.#pm.writeStatus(shifted & 0xffff)
      if (lanes & ~0xffff) this.#pm.writeEnable(merge(this.#pm.readEnable() << 16, shifted, lanes) >>> 16)
    } else if (offset < 8 && lanes & 0xffff) this.#pm.writeControl(merge(this.#pm.readControl(), shifted, lanes) & 0xffff)
  }

  #dword(offset: number): number {
    switch (offset) {
      case 0:
        return this.#pm.readStatus() + this.#pm.readEnable() * 0x10000
      case 4:
        return this.#pm.readControl()
      case 8:
        return this.#pm.readTimer()
      default:
        return 0
    }
  }
}

function merge(old: number, value: number, lanes: number): number {
  return (old & ~lanes) | (value & lanes)
}

export const ACPI_ENABLE = 0xf1
export const ACPI_DISABLE = 0xf0

/** APM control port: its SMI commands switch ACPI mode. The status byte beside it is scratch. */
export function apmControl(pm: AcpiPm): PortDevice {
  const values = [0, 0]
  return {
    width: 1,
    read: (offset) => values[offset] ?? 0xff,
    write: (offset, value) => {
      values[offset] = value
      if (offset === 0 && value === ACPI_ENABLE) pm.setAcpiMode(true)
      if (offset === 0 && value === ACPI_DISABLE) pm.setAcpiMode(false)
    },
  }
}
