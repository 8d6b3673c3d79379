/**
 * The I/O port space. A device claims a range and says how wide its registers are; a wider access, or one that leaves its range,
 * is split into byte cycles at consecutive ports, as the chipset does for an 8-bit device.
 * Ports that nobody claims read as all ones; writes to them are lost.
 */
export interface PortDevice {
  /** Widest access that `read` and `write` are called with: 1 for ISA devices. */
  readonly width: 1 | 2 | 4
  read(offset: number, size: number): number
  write(offset: number, value: number, size: number): void
}

interface Claim {
  readonly first: number
  readonly end: number
  readonly device: PortDevice
}

const PORTS = 0x10000

export class PortBus {
  readonly #claims: (Claim | undefined)[] = new Array<Claim | undefined>(PORTS)

  /** Later claims win: a device may sit inside the range of another (CF9h in CF8h..CFFh). */
  claim(first: number, count: number, device: PortDevice): void {
    const claim = { first, end: first + count, device }
    for (let port = first; port < claim.end; port++) this.#claims[port] = claim
  }

  read(port: number, size: number): number {
    const claim = this.#claims[port]
    if (claim && size <= claim.device.width && port + size <= claim.end)
      return mask(claim.device.read(port - claim.first, size), size)
    if (size === 1) return 0xff
    let value = 0
    for (let i = 0; i < size; i++) value += this.read((port + i) % PORTS, 1) * 256 ** i
    return value
  }

  write(port: number, value: number, size: number): void {
    const claim = this.#claims[port]
    if (claim && size <= claim.device.width && port + size <= claim.end) claim.device.write(port - claim.first, value, size)
    else if (size > 1) for (let i = 0; i < size; i++) this.write((port + i) % PORTS, (value >>> (8 * i)) & 0xff, 1)
  }
}

function mask(value: number, size: number): number {
  return size === 4 ? value >>> 0 : value & (size === 1 ? 0xff : 0xffff)
}
