import type { HostMemory } from '@guestmode/kvm-abi'
import { HIGH_RAM, LOW_RAM_LIMIT } from './layout.ts'

/**
 * Guest RAM by guest physical address, for devices and loaders. Addresses that are not RAM are values, not errors: guests choose
 * them.
 */
export class GuestMemory {
  readonly lowSize: number
  readonly highSize: number
  readonly #host: HostMemory

  constructor(host: HostMemory) {
    this.#host = host
    this.lowSize = Math.min(host.size, LOW_RAM_LIMIT)
    this.highSize = host.size - this.lowSize
  }

  /** A window on RAM, for use before the next call into the engine; undefined where any of it is not RAM. */
  view(gpa: number, length: number): Uint8Array | undefined {
    const offset = this.#offset(gpa, length)
    return offset === undefined ? undefined : this.#host.bytes.subarray(offset, offset + length)
  }

  dataView(gpa: number, length: number): DataView | undefined {
    const bytes = this.view(gpa, length)
    return bytes && new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  /** False where any of it is not RAM; then nothing was written. */
  write(gpa: number, bytes: Uint8Array): boolean {
    const offset = this.#offset(gpa, bytes.length)
    if (offset === undefined) return false
    this.#host.bytes.set(bytes, offset)
    this.#host.written(offset, bytes.length)
    return true
  }

  fill(gpa: number, length: number, value = 0): boolean {
    const offset = this.#offset(gpa, length)
    if (offset === undefined) return false
    this.#host.bytes.fill(value, offset, offset + length)
    this.#host.written(offset, length)
    return true
  }

  /** Bytes behind `view` were changed. */
  written(gpa: number, length: number): void {
    const offset = this.#offset(gpa, length)
    if (offset !== undefined) this.#host.written(offset, length)
  }

  readU16(gpa: number): number | undefined {
    return this.dataView(gpa, 2)?.getUint16(0, true)
  }

  writeU16(gpa: number, value: number): boolean {
    return this.write(gpa, Uint8Array.of(value & 0xff, (value >> 8) & 0xff))
  }

  #offset(gpa: number, length: number): number | undefined {
    if (length < 0 || !Number.isSafeInteger(gpa)) return undefined
    if (gpa >= 0 && gpa + length <= this.lowSize) return gpa
    const high = gpa - HIGH_RAM
    return high >= 0 && high + length <= this.highSize ? this.lowSize + high : undefined
  }
}
