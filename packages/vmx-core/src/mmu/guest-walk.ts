import { PTE_A, PTE_D, PTE_G, PTE_NX_HIGH, PTE_P, PTE_PS, PTE_RW, PTE_US } from '@guestmode/x86'
import { PF_FETCH, PF_PRESENT, PF_RSVD, PF_USER, PF_WRITE } from './error-code.ts'
import type { GuestMemory } from '../guest-memory.ts'
import type { MachineMemory } from '../machine.ts'
import { tableIndex } from './page-tables.ts'

const HIGH = 0x1_0000_0000

/** How a guest's paging works at the moment. [SDM3 4.1.1 "Four Paging Modes"] */
export interface PagingMode {
  /** 0: off; 2: 32-bit; 3: PAE; 4: 4-level. */
  levels: 0 | 2 | 3 | 4
  /** Physical address of the first table (of the PDPT with PAE, whose entries are in `pdptes`). */
  root: number
  /** PAE: low and high word of each PDPTE register. */
  readonly pdptes: Uint32Array
  wp: boolean
  nxe: boolean
  pse: boolean
  smep: boolean
  smap: boolean
  /** RFLAGS.AC. */
  ac: boolean
}

export function pagingOff(): PagingMode {
  return {
    levels: 0,
    root: 0,
    pdptes: new Uint32Array(8),
    wp: false,
    nxe: false,
    pse: false,
    smep: false,
    smap: false,
    ac: false,
  }
}

/** What an access is, in the bits of the page-fault error code: PF_WRITE, PF_USER, PF_FETCH. */
export type AccessBits = number

/** Walks a guest's page tables in guest physical memory. Results stand in the walker until the next walk. */
export class GuestWalker {
  readonly mode: PagingMode = pagingOff()
  /** Of the byte translated. */
  gpa = 0
  /** Bytes that the page maps. */
  pageSize = 0
  /** Rights of the page, by its entries alone. */
  user = false
  writable = false
  executable = false
  /** The leaf's dirty flag, after the walk. */
  dirty = false
  global = false
  /** Of the page fault, after a walk that failed. */
  errorCode = 0

  readonly #guest: GuestMemory
  readonly #memory: MachineMemory
  readonly #reservedHigh: number
  readonly #entries = new Float64Array(5)

  constructor(guest: GuestMemory, memory: MachineMemory, physicalAddressBits: number) {
    this.#guest = guest
    this.#memory = memory
    this.#reservedHigh = 0x000f_ffff & ~(2 ** (physicalAddressBits - 32) - 1)
  }

  /**
   * Translates a linear address. `update`: accessed and dirty flags are set in the guest's tables, as by an access; otherwise only
   * looks. False: a page fault, whose error code is in `errorCode`.
   */
  walk(high: number, low: number, access: AccessBits, update: boolean): boolean {
    const { levels } = this.mode
    if (levels === 0) {
      this.gpa = low >>> 0
      this.pageSize = 4096
      this.user = this.writable = this.executable = this.dirty = true
      this.global = false
      return true
    }
    return levels === 2 ? this.#walk32(low >>> 0, access, update) : this.#walk64(high, low >>> 0, access, update)
  }

  #walk32(low: number, access: AccessBits, update: boolean): boolean {
    const { mode } = this
    let rights = PTE_RW | PTE_US
    const directory = (mode.root & 0xffff_f000) >>> 0
    const pdeAt = directory + (low >>> 22) * 4
    const pde = this.#read32(pdeAt)
    if ((pde & PTE_P) === 0) return this.#fault(access, 0)
    rights &= pde
    this.#entries[2] = pdeAt
    if (mode.pse && (pde & PTE_PS) !== 0) {
      if ((pde & 0x20_0000) !== 0) return this.#fault(access, PF_RSVD)
      this.gpa = ((pde >>> 13) & 0xff) * HIGH + (((pde & 0xffc0_0000) | (low & 0x003f_ffff)) >>> 0)
      return this.#finish(rights, 0, pde, 2, 2, 4, 4 << 20, access, update)
    }
    const pteAt = ((pde & 0xffff_f000) >>> 0) + ((low >>> 12) & 1023) * 4
    const pte = this.#read32(pteAt)
    if ((pte & PTE_P) === 0) return this.#fault(access, 0)
    this.#entries[1] = pteAt
    this.gpa = ((pte & 0xffff_f000) | (low & 0xfff)) >>> 0
    return this.#finish(rights & pte, 0, pte, 1, 2, 4, 4096, access, update)
  }

  #walk64(high: number, low: number, access: AccessBits, update: boolean): boolean {
    const { mode } = this
    let rights = PTE_RW | PTE_US
    let noExecute = 0
    let level: number = mode.levels
    let table = mode.root
    if (level === 3) {
      const index = low >>> 30
      const pdpte = mode.pdptes[2 * index]!
      if ((pdpte & PTE_P) === 0) return this.#fault(access, 0)
      table = (mode.pdptes[2 * index + 1]! & 0xf_ffff) * HIGH + ((pdpte & 0xffff_f000) >>> 0)
      level = 2
    }
    const top = level
    for (;;) {
      const at = table + tableIndex(high, low, level) * 8
      const entry = this.#read32(at)
      if ((entry & PTE_P) === 0) return this.#fault(access, 0)
      const entryHigh = this.#read32(at + 4)
      if (this.#isReserved(entry, entryHigh, level)) return this.#fault(access, PF_RSVD)
      rights &= entry
      noExecute |= entryHigh & PTE_NX_HIGH
      this.#entries[level] = at
      const address = (entryHigh & 0xf_ffff) * HIGH + ((entry & 0xffff_f000) >>> 0)
      if (level === 1 || (level < 4 && (entry & PTE_PS) !== 0)) {
        const size = level === 1 ? 4096 : level === 2 ? 2 << 20 : 1 << 30
        this.gpa = Math.floor(address / size) * size + (low & (size - 1))
        return this.#finish(rights, noExecute, entry, level, top, 8, size, access, update)
      }
      table = address
      level--
    }
  }

  #isReserved(low: number, high: number, level: number): boolean {
    const { mode } = this
    if ((high & this.#reservedHigh) !== 0) return true
    if ((high & PTE_NX_HIGH) !== 0 && !mode.nxe) return true
    if (mode.levels === 3 && (high & 0x7ff0_0000) !== 0) return true
    if ((low & PTE_PS) === 0 || level === 1) return false
    if (level === 4) return true
    return (low & (level === 2 ? 0x001f_e000 : 0x3fff_e000)) !== 0
  }

  /** [SDM3 4.6 "Access Rights", 4.8 "Accessed and Dirty Flags"] */
  #finish(
    rights: number,
    noExecute: number,
    leaf: number,
    level: number,
    top: number,
    entryBytes: number,
    size: number,
    access: AccessBits,
    update: boolean,
  ): boolean {
    const { mode } = this
    const user = (rights & PTE_US) !== 0
    const writable = (rights & PTE_RW) !== 0
    const byUser = (access & PF_USER) !== 0
    const fetch = (access & PF_FETCH) !== 0
    const write = (access & PF_WRITE) !== 0
    const isRefused =
      (byUser && !user) ||
      (write && !writable && (byUser || mode.wp)) ||
      (fetch && noExecute !== 0) ||
      (fetch && !byUser && user && mode.smep) ||
      (!fetch && !byUser && user && mode.smap && !mode.ac)
    if (isRefused) return this.#fault(access, PF_PRESENT)
    this.user = user
    this.writable = writable
    this.executable = noExecute === 0
    this.pageSize = size
    this.global = (leaf & PTE_G) !== 0
    this.dirty = (leaf & PTE_D) !== 0 || (write && update)
    if (update)
      for (let l = top; l >= level; l--)
        this.#setFlags(this.#entries[l]!, l === level && write ? PTE_A | PTE_D : PTE_A, entryBytes)
    return true
  }

  #setFlags(at: number, flags: number, entryBytes: number): void {
    if ((this.#read32(at) & flags) === flags) return
    const hpa = this.#guest.hpaForWrite(at, entryBytes)
    if (hpa < 0) return
    const word = (this.#memory.physBase + hpa) / 4
    this.#memory.u32[word] = this.#memory.u32[word]! | flags
  }

  /** An entry outside memory reads as not present. */
  #read32(gpa: number): number {
    const hpa = this.#guest.hpa(gpa)
    return hpa < 0 ? 0 : this.#memory.u32[(this.#memory.physBase + hpa) / 4]!
  }

  /** `why`: PF_RSVD implies present. [SDM3 4.7 "Page-Fault Exceptions"] */
  #fault(access: AccessBits, why: number): false {
    const fetch = (access & PF_FETCH) !== 0 && (this.mode.nxe || this.mode.smep) ? PF_FETCH : 0
    this.errorCode = (access & (PF_WRITE | PF_USER)) | fetch | (why === 0 ? 0 : why | PF_PRESENT)
    return false
  }
}
