/** A device of the hypervisor's on byte-wide ports. */
export interface PortDevice {
  read(port: number): number
  write(port: number, value: number): void
}

/** Ports that the hypervisor serves itself. */
export class PortBus {
  readonly #devices = new Map<number, PortDevice>()

  add(first: number, count: number, device: PortDevice): void {
    for (let port = first; port < first + count; port++) this.#devices.set(port, device)
  }

  has(port: number): boolean {
    return this.#devices.has(port)
  }

  /** An access wider than a byte is one byte at each of consecutive ports; ports without a device read as ones. */
  read(port: number, size: number): number {
    let value = 0
    for (let i = size - 1; i >= 0; i--) value = (value << 8) | (this.#devices.get(port + i)?.read(port + i) ?? 0xff)
    return value >>> 0
  }

  write(port: number, size: number, value: number): void {
    for (let i = 0; i < size; i++) this.#devices.get(port + i)?.write(port + i, (value >>> (8 * i)) & 0xff)
  }
}
