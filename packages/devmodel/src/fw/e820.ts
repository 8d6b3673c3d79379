/** The memory map of INT 15h, E820h. [ACPI 6.5 15.1 "INT 15H, E820H - Query System Address Map"] */
import type { GuestMemory } from '../machine/guest-memory.ts'
import { ACPI_TABLES, BIOS_END, EBDA, CONVENTIONAL_END, HIGH_RAM } from '../machine/layout.ts'

export const E820_RAM = 1
export const E820_RESERVED = 2

export interface E820Entry {
  readonly base: number
  readonly size: number
  readonly type: number
}

export function e820Map(memory: GuestMemory): E820Entry[] {
  const entries: E820Entry[] = [
    { base: 0, size: EBDA, type: E820_RAM },
    { base: EBDA, size: CONVENTIONAL_END - EBDA, type: E820_RESERVED },
    { base: ACPI_TABLES, size: BIOS_END - ACPI_TABLES, type: E820_RESERVED },
    { base: BIOS_END, size: memory.lowSize - BIOS_END, type: E820_RAM },
  ]
  if (memory.highSize) entries.push({ base: HIGH_RAM, size: memory.highSize, type: E820_RAM })
  return entries
}
