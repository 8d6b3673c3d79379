import { PAGE_SIZE } from '../host-memory.ts'

/** A slot of guest physical memory: which range of host physical memory it is. */
export interface Memslot {
  readonly id: number
  readonly gpa: number
  readonly size: number
  readonly hpa: number
  readonly readonly: boolean
  /** One bit per page; present while the slot logs. */
  readonly dirty: Uint8Array | undefined
}

/** [Linux Documentation/virt/kvm/api.rst, KVM_CAP_NR_MEMSLOTS] */
export const MAX_SLOTS = 509

/** The slots of a VM, sorted by address. */
export class Memslots {
  #slots: Memslot[] = []
  #recent: Memslot | undefined;

  [Symbol.iterator](): Iterator<Memslot> {
    return this.#slots[Symbol.iterator]()
  }

  byId(id: number): Memslot | undefined {
    return this.#slots.find((slot) => slot.id === id)
  }

  /** The slot that has a guest physical address. */
  at(gpa: number): Memslot | undefined {
    const recent = this.#recent
    if (recent !== undefined && gpa >= recent.gpa && gpa < recent.gpa + recent.size) return recent
    let low = 0
    let high = this.#slots.length - 1
    while (low <= high) {
      const middle = (low + high) >> 1
      const slot = this.#slots[middle]!
      if (gpa < slot.gpa) high = middle - 1
      else if (gpa >= slot.gpa + slot.size) low = middle + 1
      else return (this.#recent = slot)
    }
    return undefined
  }

  /** Slots that have memory of a host physical range. */
  *ofHost(hpa: number, size: number): Generator<Memslot> {
    for (const slot of this.#slots) if (hpa < slot.hpa + slot.size && slot.hpa < hpa + size) yield slot
  }

  overlaps(gpa: number, size: number, except: number): boolean {
    return this.#slots.some((slot) => slot.id !== except && gpa < slot.gpa + slot.size && slot.gpa < gpa + size)
  }

  /** Puts a slot in the place of the one with the same id. */
  set(slot: Memslot): void {
    this.delete(slot.id)
    this.#slots.push(slot)
    this.#slots.sort((a, b) => a.gpa - b.gpa)
  }

  delete(id: number): void {
    this.#recent = undefined
    this.#slots = this.#slots.filter((slot) => slot.id !== id)
  }
}

export function dirtyBitmapBytes(size: number): number {
  return Math.ceil(size / PAGE_SIZE / 64) * 8
}

export function markDirty(slot: Memslot, gpa: number): void {
  if (slot.dirty === undefined) return
  const page = (gpa - slot.gpa) / PAGE_SIZE
  slot.dirty[page >>> 3]! |= 1 << (page & 7)
}

export function isDirty(slot: Memslot, gpa: number): boolean {
  const page = (gpa - slot.gpa) / PAGE_SIZE
  return slot.dirty !== undefined && ((slot.dirty[page >>> 3]! >>> (page & 7)) & 1) !== 0
}
