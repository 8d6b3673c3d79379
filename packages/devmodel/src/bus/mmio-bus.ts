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
    const view = new DataView(data.buffer, data.byteOffset, data.byteLength)
    data.fill(0xff)
    for (const [at, size] of pieces(address, data.length)) {
      const region = this.#find(address + at)
      if (!region) continue
      const value = region.device.read(address + at - region.base, size)
      if (size === 4) view.setUint32(at, value, true)
      else if (size === 2) view.setUint16(at, value, true)
      else view.setUint8(at, value)
    }
  }

  write(address: number, data: Uint8Array): void {
    const view = new DataView(data.buffer, data.byteOffset, data.byteLength)
    for (const [at, size] of pieces(address, data.length)) {
      const region = this.#find(address + at)
      const value = size === 4 ? view.getUint32(at, true) : size === 2 ? view.getUint16(at, true) : view.getUint8(at)
      region?.device.write(address + at - region.base, value, size)
    }
  }

  #find(address: number): Region | undefined {
    return this.#regions.find((region) => address >= region.base && address < region.end)
  }
}

/** Offsets and sizes of naturally aligned accesses that make up one. */
function* pieces(address: number, length: number): Iterable<[number, 1 | 2 | 4]> {
  for (let at = 0; at < length;) {
    const place = address + at
    const left = length - at
    const size = place % 4 === 0 && left >= 4 ? 4 : place % 2 === 0 && left >= 2 ? 2 : 1
    yield [at, size]
    at += size
  }
}
