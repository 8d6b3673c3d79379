import type { MachineMemory, VirtualizingProcessor } from './machine.ts'
import { PAGE_SIZE } from './host-memory.ts'
import { markDirty, type Memslots } from './mmu/memslots.ts'

/** Guest physical memory, as the hypervisor itself reads and writes it. */
export class GuestMemory {
  readonly #memory: MachineMemory
  readonly #slots: Memslots
  readonly #processor: VirtualizingProcessor

  constructor(processor: VirtualizingProcessor, slots: Memslots) {
    this.#processor = processor
    this.#memory = processor.memory
    this.#slots = slots
  }

  /** Host physical address of guest memory, or -1. */
  hpa(gpa: number): number {
    const slot = this.#slots.at(gpa)
    return slot === undefined ? -1 : slot.hpa + (gpa - slot.gpa)
  }

  /** The same for a write, which is logged and drops decoded code; -1 also in a read-only slot. The write stays within the page. */
  hpaForWrite(gpa: number, length: number): number {
    const slot = this.#slots.at(gpa)
    if (slot === undefined || slot.readonly) return -1
    markDirty(slot, gpa)
    const hpa = slot.hpa + (gpa - slot.gpa)
    this.#processor.invalidateCode(hpa, length)
    return hpa
  }

  /** At most eight bytes within a page, at an address that `hpa` gave. */
  load(hpa: number, size: number): bigint {
    const { view, physBase } = this.#memory
    const at = physBase + hpa
    switch (size) {
      case 1:
        return BigInt(view.getUint8(at))
      case 2:
        return BigInt(view.getUint16(at, true))
      case 4:
        return BigInt(view.getUint32(at, true))
      case 8:
        return view.getBigUint64(at, true)
    }
    let value = 0n
    for (let i = size - 1; i >= 0; i--) value = (value << 8n) | BigInt(view.getUint8(at + i))
    return value
  }

  store(hpa: number, size: number, value: bigint): void {
    const { view, physBase } = this.#memory
    const at = physBase + hpa
    for (let i = 0; i < size; i++) view.setUint8(at + i, Number((value >> BigInt(8 * i)) & 0xffn))
  }

  /** Bytes of guest memory within a page; undefined where there is none. */
  bytes(gpa: number, length: number): Uint8Array | undefined {
    const hpa = this.hpa(gpa)
    if (hpa < 0) return undefined
    const at = this.#memory.physBase + hpa
    return this.#memory.u8.subarray(at, at + Math.min(length, PAGE_SIZE - (gpa % PAGE_SIZE)))
  }
}
