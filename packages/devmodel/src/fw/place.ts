import { ConfigError } from '../errors.ts'
import type { GuestMemory } from '../machine/guest-memory.ts'
import { MIB } from '../machine/layout.ts'
import type { ElfImage } from './elf.ts'

export function mib(bytes: number): string {
  return `${Math.ceil(bytes / MIB)} MiB`
}

/** Loads part of a kernel; `memorySize` includes what is zero after its bytes. */
export function place(memory: GuestMemory, what: string, address: number, bytes: Uint8Array, memorySize = bytes.length): void {
  if (!memory.view(address, memorySize)) {
    const end = address + memorySize
    throw new ConfigError(
      end > memory.lowSize && address < memory.lowSize
        ? `${what} does not fit in memory: it reaches to ${mib(end)} of ${mib(memory.lowSize)}; give the machine more memory`
        : `${what} is to be loaded at ${address.toString(16)}h, where there is no memory`,
    )
  }
  memory.write(address, bytes)
  memory.fill(address + bytes.length, memorySize - bytes.length)
}

/** Loads an ELF image; the result is the end of what it occupies. */
export function placeElf(memory: GuestMemory, elf: ElfImage): number {
  for (const { physical, bytes, memorySize } of elf.segments) place(memory, 'the kernel', physical, bytes, memorySize)
  return Math.max(...elf.segments.map(({ physical, memorySize }) => physical + memorySize))
}

/** As high as it may go, page-aligned; guests decompress upwards from below. */
export function placeInitrd(memory: GuestMemory, initrd: Uint8Array, limits: { lowest: number; highest: number }): number {
  const top = Math.min(limits.highest, memory.lowSize)
  const address = Math.floor((top - initrd.length) / 0x1000) * 0x1000
  if (address < limits.lowest) {
    throw new ConfigError(
      `the initrd (${mib(initrd.length)}) does not fit between the kernel's end at ${mib(limits.lowest)} and ${mib(top)}: ` +
        (memory.lowSize < limits.highest
          ? 'give the machine more memory'
          : 'this kernel takes no initrd above that; use a smaller one'),
    )
  }
  place(memory, 'the initrd', address, initrd)
  return address
}
