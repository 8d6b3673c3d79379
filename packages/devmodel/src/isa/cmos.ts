import type { Mc146818 } from '@guestmode/chips'
import type { PortDevice } from '../bus/port-bus.ts'
import type { GuestMemory } from '../machine/guest-memory.ts'
import { KIB, MIB } from '../machine/layout.ts'
import type { Timers } from '../machine/timers.ts'

/** Ports 70h (index, NMI mask) and 71h (data). */
export class CmosPorts implements PortDevice {
  readonly width = 1
  readonly #chip: Mc146818
  readonly #timers: Timers

  constructor(chip: Mc146818, timers: Timers) {
    this.#chip = chip
    this.#timers = timers
  }

  read(offset: number): number {
    if (offset === 0) return 0xff
    this.#timers.touch()
    return this.#chip.read()
  }

  write(offset: number, value: number): void {
    if (offset === 0) this.#chip.index = value & 0x7f
    else {
      this.#chip.write(value)
      this.#timers.touch()
    }
  }
}

/** What a BIOS leaves in NVRAM about memory: sizes in KiB, and in units of 64 KiB above 16 MiB and above 4 GiB. */
export function storeMemorySizes(chip: Mc146818, memory: GuestMemory): void {
  const word = (index: number, value: number): void => {
    chip.poke(index, value & 0xff)
    chip.poke(index + 1, value >> 8)
  }
  word(0x15, 640)
  const extended = Math.max(0, Math.min(memory.lowSize - MIB, 63 * MIB)) / KIB
  word(0x17, extended)
  word(0x30, extended)
  word(0x34, Math.max(0, Math.floor((memory.lowSize - 16 * MIB) / (64 * KIB))))
  const high = Math.floor(memory.highSize / (64 * KIB))
  for (let i = 0; i < 3; i++) chip.poke(0x5b + i, Math.floor(high / 256 ** i) & 0xff)
  // Equipment: a coprocessor, PS/2 pointing device.
  chip.poke(0x14, 0x06)
}
