import {
  COALESCED_MMIO_MAX,
  KVM_COALESCED_MMIO,
  KVM_COALESCED_MMIO_PAGE_OFFSET,
  KVM_COALESCED_MMIO_RING,
  PAGE_SIZE,
} from '@guestmode/kvm-abi'

interface Zone {
  readonly address: number
  readonly size: number
  readonly pio: boolean
}

const MAX_ZONES = 100

/** KVM_REGISTER_COALESCED_MMIO: writes that wait in the ring of the vCPU's mapping until another exit. */
export class CoalescedZones {
  #zones: Zone[] = []

  /** False: too many. */
  add(zone: Zone): boolean {
    if (this.#zones.length >= MAX_ZONES) return false
    this.#zones.push(zone)
    return true
  }

  remove(range: Zone): void {
    this.#zones = this.#zones.filter(
      (zone) => zone.pio !== range.pio || zone.address < range.address || zone.address + zone.size > range.address + range.size,
    )
  }

  /** True when the write went into the ring; false in no zone, or with the ring full. */
  write(mapping: Uint8Array, address: number, length: number, value: bigint, pio: boolean): boolean {
    if (!this.#zones.some((zone) => zone.pio === pio && address >= zone.address && address + length <= zone.address + zone.size))
      return false
    const start = KVM_COALESCED_MMIO_PAGE_OFFSET * PAGE_SIZE
    const ring = KVM_COALESCED_MMIO_RING.viewOf(mapping, start)
    const next = (ring.last + 1) % COALESCED_MMIO_MAX
    if (next === ring.first) return false
    const entry = KVM_COALESCED_MMIO.viewOf(mapping, start + KVM_COALESCED_MMIO_RING.size + ring.last * KVM_COALESCED_MMIO.size)
    entry.physAddr = BigInt(address)
    entry.len = length
    entry.pio = pio ? 1 : 0
    for (let i = 0; i < 8; i++) entry.data[i] = Number((value >> BigInt(8 * i)) & 0xffn)
    ring.last = next
    return true
  }
}
