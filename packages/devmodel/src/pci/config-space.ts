/**
 * Configuration space of a PCI function: 256 bytes with a mask of writable bits. [PCI Local Bus 3.0, 6.1 "Configuration Space
 * Organization"]
 */
export class ConfigSpace {
  readonly bytes = new Uint8Array(256)
  readonly #writable = new Uint8Array(256)
  /** Called after a write that reached the register at this offset. */
  onWrite: ((offset: number) => void) | undefined

  constructor(identity: { vendor: number; device: number; classCode: number; revision: number; multifunction?: boolean }) {
    this.setU16(0x00, identity.vendor)
    this.setU16(0x02, identity.device)
    this.bytes[0x08] = identity.revision
    for (let i = 0; i < 3; i++) this.bytes[0x09 + i] = (identity.classCode >> (8 * i)) & 0xff
    this.bytes[0x0e] = identity.multifunction ? 0x80 : 0
    // Interrupt line: a scratch byte between firmware and operating system.
    this.allowWrites(0x3c, [0xff])
  }

  setU16(offset: number, value: number): void {
    this.bytes[offset] = value & 0xff
    this.bytes[offset + 1] = value >> 8
  }

  allowWrites(offset: number, masks: readonly number[]): void {
    this.#writable.set(masks, offset)
  }

  read(offset: number, size: number): number {
    let value = 0
    for (let i = size - 1; i >= 0; i--) value = value * 256 + (this.bytes[offset + i] ?? 0xff)
    return value
  }

  write(offset: number, value: number, size: number): void {
    for (let i = 0; i < size; i++) {
      const mask = this.#writable[offset + i] ?? 0
      this.bytes[offset + i] = ((this.bytes[offset + i] ?? 0) & ~mask) | ((value >>> (8 * i)) & mask)
    }
    this.onWrite?.(offset)
  }
}
