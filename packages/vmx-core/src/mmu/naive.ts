import { EFER_NXE, PTE_A, PTE_D, PTE_NX_HIGH, PTE_P, PTE_PS, PTE_RW, PTE_US, Vmcs } from '@guestmode/x86'
import { PF_PRESENT, PF_USER, PF_WRITE } from './error-code.ts'
import { PAGE_SIZE } from '../host-memory.ts'
import { refreshWalker } from '../modes/paging.ts'
import type { Vcpu } from '../vcpu.ts'
import { flushGuestTranslations } from '../vmcs/translations.ts'
import { isDirty, markDirty } from './memslots.ts'
import type { FaultOutcome, Mmu } from './mmu.ts'
import { LARGE_PAGE, PageTableTree } from './page-tables.ts'

const TABLE_BITS = PTE_P | PTE_RW | PTE_US | PTE_A

/**
 * Shadow page tables as KVM had them in 2006: the processor walks tables of the hypervisor's, which combine the guest's tables
 * with the memory slots. They are filled by page faults, one page each, and freed whenever the guest flushes its own.
 * A guest in long mode is shadowed by four levels, any other by PAE tables.
 */
export class NaiveMmu implements Mmu {
  readonly #vcpu: Vcpu
  #tree: PageTableTree | undefined
  #levels: 3 | 4 = 3
  /** The tree maps parts of large pages of the guest's. */
  #hasLargePages = false

  constructor(vcpu: Vcpu) {
    this.#vcpu = vcpu
  }

  load(): void {
    const { processor, walker } = this.#vcpu
    refreshWalker(this.#vcpu)
    const levels = walker.mode.levels === 4 ? 4 : 3
    if (levels !== this.#levels) this.unload()
    this.#levels = levels
    if (this.#tree === undefined) this.#tree = this.#createTree()
    processor.vmwrite32(Vmcs.GUEST_CR3, this.#tree.root)
  }

  /** All four PDPTEs are present from the start: the processor reads them when it loads CR3, not at a TLB miss. [SDM3 4.4.1 "PDPTE Registers"] */
  #createTree(): PageTableTree {
    const tree = new PageTableTree(this.#vcpu.vm.host, TABLE_BITS)
    if (this.#levels === 3) for (let i = 0; i < 4; i++) tree.entry(0, (i << 30) >>> 0, 2, 3, PTE_P)
    return tree
  }

  unload(): void {
    this.#tree?.free()
    this.#tree = undefined
    this.#hasLargePages = false
  }

  handleEptViolation(): FaultOutcome {
    throw new Error('there are no extended page tables under shadow paging')
  }

  handlePageFault(linear: bigint, errorCode: number): FaultOutcome {
    const { walker, counters: stats, vm } = this.#vcpu
    stats.pf_taken++
    refreshWalker(this.#vcpu)
    const high = Number(linear >> 32n)
    const low = Number(linear & 0xffff_ffffn)
    if (!walker.walk(high, low, errorCode & ~PF_PRESENT, true)) {
      stats.pf_guest++
      return 'guest-fault'
    }
    const { gpa } = walker
    const slot = vm.slots.at(gpa)
    const write = (errorCode & PF_WRITE) !== 0
    if (slot === undefined || (write && slot.readonly)) return 'emulate'
    if (write) markDirty(slot, gpa)
    this.#map(high, low, write, (errorCode & PF_USER) !== 0)
    stats.pf_fixed++
    return 'retry'
  }

  #map(high: number, low: number, write: boolean, byUser: boolean): void {
    const { walker, vm, counters: stats } = this.#vcpu
    const { gpa, mode } = walker
    const tree = (this.#tree ??= this.#createTree())
    if (walker.pageSize > PAGE_SIZE) this.#hasLargePages = true
    const slot = vm.slots.at(gpa)!
    const large = Math.floor(gpa / LARGE_PAGE) * LARGE_PAGE
    const isLarge =
      walker.pageSize >= LARGE_PAGE &&
      slot.dirty === undefined &&
      large >= slot.gpa &&
      large + LARGE_PAGE <= slot.gpa + slot.size &&
      (slot.hpa - slot.gpa) % LARGE_PAGE === 0
    const page = isLarge ? large : Math.floor(gpa / PAGE_SIZE) * PAGE_SIZE

    let writable = walker.writable && walker.dirty
    let user = walker.user
    let executable = walker.executable
    // The supervisor writes to a read-only page with CR0.WP clear: the page becomes the supervisor's alone until a user accesses it.
    if (write && !byUser && !walker.writable && !mode.wp) {
      writable = true
      if (user && mode.smep) executable = false
      user = false
    }
    if (slot.readonly || (slot.dirty !== undefined && !isDirty(slot, page))) writable = false

    const bits = PTE_P | PTE_A | PTE_D | (writable ? PTE_RW : 0) | (user ? PTE_US : 0) | (isLarge ? PTE_PS : 0)
    const at = tree.entry(high, low, isLarge ? 2 : 1, this.#levels)
    const noExecute = !executable && (this.#vcpu.efer & EFER_NXE) !== 0 ? PTE_NX_HIGH : 0
    tree.set(at, ((slot.hpa + (page - slot.gpa)) | bits) >>> 0, noExecute)
    if (isLarge) stats.pages_2m++
    else stats.pages_4k++
  }

  cr3Loaded(): void {
    this.flush()
  }

  /** Which entries a large page of the guest's has come to is not known: the tree goes. */
  invlpg(linear: bigint): void {
    const tree = this.#tree
    if (tree === undefined) return
    if (this.#hasLargePages) {
      this.flush()
      return
    }
    const at = tree.find(Number(linear >> 32n), Number(linear & 0xffff_ffffn), 1, this.#levels)
    if (at !== 0) tree.set(at, 0, 0)
    flushGuestTranslations(this.#vcpu, linear)
  }

  flush(): void {
    if (this.#tree !== undefined) {
      this.unload()
      this.#vcpu.counters.mmu_shadow_zapped++
    }
    // While the guest has paging off the other MMU is in use, and CR3 is the guest's own.
    if (this.#vcpu.mmu !== this) return
    this.load()
    flushGuestTranslations(this.#vcpu)
  }

  slotsChanged(): void {
    this.flush()
  }

  protectPages(): void {
    this.flush()
  }
}
