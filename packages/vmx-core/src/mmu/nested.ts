import {
  EPT_IGNORE_PAT,
  EPT_MEMORY_TYPE_SHIFT,
  EPT_PS,
  EPT_R,
  EPT_VIOLATION_WRITE,
  EPT_W,
  EPT_X,
  EPTP_WALK_LENGTH_4,
  MEMORY_TYPE_WB,
  Vmcs,
} from '@guestmode/x86'
import { PAGE_SIZE, type HostMemoryAllocator } from '../host-memory.ts'
import type { VirtualizingProcessor } from '../machine.ts'
import type { Stats } from '../stats.ts'
import { isDirty, markDirty, type Memslot, type Memslots } from './memslots.ts'
import type { FaultOutcome, Mmu } from './mmu.ts'
import { highWord, LARGE_PAGE, PageTableTree } from './page-tables.ts'

const TABLE_BITS = EPT_R | EPT_W | EPT_X
const LEAF_BITS = (MEMORY_TYPE_WB << EPT_MEMORY_TYPE_SHIFT) | EPT_IGNORE_PAT

/** Extended page tables: they map guest-physical memory, and the processor walks the guest's own tables. */
export class NestedMmu implements Mmu {
  readonly #host: HostMemoryAllocator
  readonly #processor: VirtualizingProcessor
  readonly #slots: Memslots
  readonly #stats: Stats
  #tree: PageTableTree | undefined

  constructor(host: HostMemoryAllocator, processor: VirtualizingProcessor, slots: Memslots, stats: Stats) {
    this.#host = host
    this.#processor = processor
    this.#slots = slots
    this.#stats = stats
  }

  load(): void {
    this.#tree ??= new PageTableTree(this.#host, TABLE_BITS)
    const pointer = this.#tree.root + (EPTP_WALK_LENGTH_4 | MEMORY_TYPE_WB)
    if (this.#processor.vmread32(Vmcs.EPT_POINTER) !== pointer) this.#processor.vmwrite32(Vmcs.EPT_POINTER, pointer)
  }

  unload(): void {}

  handleEptViolation(gpa: number, qualification: number): FaultOutcome {
    const slot = this.#slots.at(gpa)
    if (slot === undefined) return 'emulate'
    const write = (qualification & EPT_VIOLATION_WRITE) !== 0
    if (write && slot.readonly) return 'emulate'
    this.#stats.pf_fixed++
    if (write) markDirty(slot, gpa)
    this.#map(slot, gpa)
    return 'retry'
  }

  #map(slot: Memslot, gpa: number): void {
    const tree = (this.#tree ??= new PageTableTree(this.#host, TABLE_BITS))
    const large = Math.floor(gpa / LARGE_PAGE) * LARGE_PAGE
    const isLarge =
      slot.dirty === undefined &&
      large >= slot.gpa &&
      large + LARGE_PAGE <= slot.gpa + slot.size &&
      (slot.hpa - slot.gpa) % LARGE_PAGE === 0
    const page = isLarge ? large : Math.floor(gpa / PAGE_SIZE) * PAGE_SIZE
    const isWritable = !slot.readonly && (slot.dirty === undefined || isDirty(slot, page))
    const hpa = slot.hpa + (page - slot.gpa)
    const at = tree.entry(highWord(page), page >>> 0, isLarge ? 2 : 1, 4)
    tree.set(at, (hpa | LEAF_BITS | EPT_R | EPT_X | (isWritable ? EPT_W : 0) | (isLarge ? EPT_PS : 0)) >>> 0, 0)
    if (isLarge) this.#stats.pages_2m++
    else this.#stats.pages_4k++
  }

  handlePageFault(): FaultOutcome {
    throw new Error("page faults are the guest's own under EPT")
  }

  cr3Loaded(): void {}
  invlpg(): void {}
  flush(): void {}

  slotsChanged(): void {
    if (this.#tree === undefined) return
    const old = this.#tree
    this.#tree = undefined
    this.load()
    old.free()
    this.#processor.invept(2)
    this.#stats.mmu_shadow_zapped++
    this.#stats.tlb_flush++
  }

  protectPages(slot: Memslot, firstPage: number, bitmap: Uint8Array): void {
    const tree = this.#tree
    if (tree === undefined) return
    forEachPage(bitmap, (page) => {
      const gpa = slot.gpa + (firstPage + page) * PAGE_SIZE
      const at = tree.find(highWord(gpa), gpa >>> 0, 1, 4)
      if (at !== 0) tree.set(at, tree.low(at) & ~EPT_W, tree.high(at))
    })
    this.#processor.invept(2)
  }
}

/** Calls with the number of each bit that is set. */
export function forEachPage(bitmap: Uint8Array, visit: (page: number) => void): void {
  bitmap.forEach((byte, i) => {
    for (let bits = byte; bits !== 0; bits &= bits - 1) visit(i * 8 + 31 - Math.clz32(bits & -bits))
  })
}
