/**
 * Memory-mapped devices. Accesses come in 1, 2 or 4 bytes; one of 8 bytes, or one that crosses a dword, is split.
 * Addresses that nobody claims read as all ones; writes to them are lost.
 */
export interface MmioDevice {
  read(offset: number, size: number): number
  write(offset: number, value: number, size: number): void
}

interface Region {
  readonly base: number
  readonly end: number
  readonly device: MmioDevice
}

export class MmioBus {
  readonly #regions: Region[] = []

  claim(base: number, size: number, device: MmioDevice): void {
    const end = base + size
    const other = this.#regions.find((region) => base < region.end && region.base < end)
    if (other) throw new Error(`MMIO ranges overlap at ${Math.max(base, other.base).toString(16)}`)
    this.#regions.push({ base, end, device })
  }

  read(address: number, data: Uint8Array): void {
    for (let at = 0; at < data.length;) {
      const size = accessSize(address + at, data.length - at)
      const region = this.#find(address + at)
      const value = region ? region.device.read(address + at - region.base, size) : 0xffff_ffff
      for (let i = 0; i < size; i++) data[at + i] = value >>> (8 * i)
      at += size
    }
  }

  write(address: number, data: Uint8Array): void {
    for (let at = 0; at < data.length;) {
      const size = accessSize(address + at, data.length - at)
      let value = 0
      for (let i = 0; i < size; i++) value |= (data[at + i] ?? 0) << (8 * i)
      const region = this.#find(address + at)
      region?.device.write(address + at - region.base, value >>> 0, size)
      at += size
    }
  }

  #find(address: number): Region | undefined {
    for (const region of this.#regions) if (address >= region.base && address < region.end) return region
    return undefined
  }
}

/** The widest naturally aligned access at this place. */
function accessSize(address: number, left: number): 1 | 2 | 4 {
  if (address % 4 === 0 && left >= 4) return 4
  return address % 2 === 0 && left >= 2 ? 2 : 1
}
