import {
  cpuState,
  CR0_PG,
  CR0_WP,
  CR4_PAE,
  CR4_PGE,
  CR4_PSE,
  CR4_SMAP,
  CR4_SMEP,
  EFER_LMA,
  EFER_NXE,
  EFLAGS_AC,
  EPT_R,
  EPT_VIOLATION_LINEAR_VALID,
  EPT_VIOLATION_TRANSLATED,
  EPT_W,
  EPT_X,
  Exception,
  PTE_A,
  PTE_D,
  PTE_G,
  PTE_P,
  PTE_PS,
  PTE_RW,
  PTE_US,
} from '@guestmode/x86'
import { Access } from '../cpu/cpu.ts'
import type { CpuStateView } from '../cpu/state-view.ts'
import type { MachineMemory } from '../machine/memory.ts'
import { ExtendedPageTables } from './ept.ts'
import type { TranslationFault } from './fault.ts'

const high = 0x1_0000_0000
const translated = EPT_VIOLATION_LINEAR_VALID | EPT_VIOLATION_TRANSLATED
const notInMemory = -2

/** Address bits that a large page's entry reserves, by level. [SDM3 Table 4-16, Table 4-18] */
const largeReserved = [0, 0, 0x001f_e000, 0x3fff_e000]
/** Bits 2:1, 8:5 of a PDPTE of PAE paging. [SDM3 Table 4-8] */
const pdpteReserved = 0x1e6

export interface PageWalkerOptions {
  readonly physicalAddressBits?: number
  readonly gigabytePages?: boolean
}

/**
 * The page walker: linear to host physical addresses by CR0, CR3, CR4, EFER and the tables in memory, through EPT when it is
 * on. It caches nothing of linear addresses (that is the TLB's work), so only changes of EPT need `flush`.
 */
export class PageWalker {
  readonly fault: TranslationFault = { kind: 'page-fault', errorCode: 0, qualification: 0, gpa: 0, linHi: 0, linLo: 0 }
  /** Of the last successful walk. `writable`: a write at the same privilege needs no further walk: allowed, and dirty flags set. */
  writable = false
  readable = false
  /** User mode may use the page (it may not write it unless `writable`, at the privilege of the walk). */
  userOk = false
  executable = false
  global = false
  /** Level of the entry that maps the page: 1, or 2 and 3 for large pages. */
  leaf = 1
  gpa = 0

  private readonly mem: MachineMemory
  private readonly cr0At: number
  private readonly cr3At: number
  private readonly cr4At: number
  private readonly eferAt: number
  private readonly flagsAt: number
  private readonly reservedHigh: number
  private readonly reservedPse: number
  private readonly gigabytePages: boolean
  private readonly extended: ExtendedPageTables
  private ept = false
  private eptp = -1
  /** Entries used by the walk, by level: guest-physical address and index of its low word in memory. */
  private readonly entryGpa = new Float64Array(5)
  private readonly entryWord = new Int32Array(5)

  constructor(mem: MachineMemory, state: CpuStateView, options: PageWalkerOptions = {}) {
    const { physicalAddressBits = 40, gigabytePages = true } = options
    if (physicalAddressBits < 36 || physicalAddressBits > 43) throw new RangeError('Physical addresses have 36 to 43 bits.')
    const { cr0, cr3, cr4, efer, flagsSystem } = cpuState.fields
    const word = (offset: number): number => (state.base + offset) >> 2
    this.mem = mem
    this.cr0At = word(cr0.offset)
    this.cr3At = word(cr3.offset)
    this.cr4At = word(cr4.offset)
    this.eferAt = word(efer.offset)
    this.flagsAt = word(flagsSystem.offset)
    this.gigabytePages = gigabytePages
    this.reservedHigh = 0xf_ffff & ~((1 << (physicalAddressBits - 32)) - 1)
    this.reservedPse = 0x3f_e000 & ~(((1 << (Math.min(physicalAddressBits, 40) - 32)) - 1) << 13)
    this.extended = new ExtendedPageTables(mem, this.fault, physicalAddressBits)
  }

  /** EPT on with this pointer, or off. A new pointer drops cached guest-physical translations. */
  setEpt(eptp: number | undefined): void {
    this.ept = eptp !== undefined
    if (eptp === undefined || eptp === this.eptp) return
    this.eptp = eptp
    this.extended.load(eptp)
  }

  /** Drops cached guest-physical translations (INVEPT). */
  flush(): void {
    this.extended.flush()
  }

  /**
   * Host physical address of the byte at a linear address, or -1 with `fault` filled in. It may lie beyond physical memory.
   * `access`: bits of `Access`. Sets accessed and dirty flags.
   */
  walk(linHi: number, linLo: number, access: number): number {
    const { i32 } = this.mem
    this.fault.linHi = linHi >>> 0
    this.fault.linLo = linLo >>> 0
    if ((i32[this.cr0At]! & CR0_PG) === 0) {
      this.userOk = true
      this.executable = true
      this.global = false
      this.leaf = 1
      return this.finish((linHi >>> 0) * high + (linLo >>> 0), access, true)
    }
    const cr3 = i32[this.cr3At]!
    if ((i32[this.eferAt]! & EFER_LMA) !== 0) {
      const root = (i32[this.cr3At + 1]! & 0xf_ffff & ~this.reservedHigh) * high + ((cr3 & 0xffff_f000) >>> 0)
      return this.walkWide(root, 4, linHi, linLo, access, this.reservedHigh)
    }
    if ((i32[this.cr4At]! & CR4_PAE) === 0) return this.walkNarrow((cr3 & 0xffff_f000) >>> 0, linLo, access)
    const word = this.locate(((cr3 & 0xffff_ffe0) >>> 0) + (linLo >>> 30) * 8, EPT_R)
    if (word === -1) return -1
    const low = word < 0 ? -1 : i32[word]!
    const top = word < 0 ? -1 : i32[word + 1]!
    if ((low & PTE_P) === 0) return this.pageFault(0, access)
    if ((low & pdpteReserved) !== 0 || (top & (this.reservedHigh | 0xfff0_0000)) !== 0) {
      return this.pageFault(Exception.PF_PRESENT | Exception.PF_RSVD, access)
    }
    const directory = (top & 0xf_ffff) * high + ((low & 0xffff_f000) >>> 0)
    return this.walkWide(directory, 2, 0, linLo, access, this.reservedHigh | 0x7ff0_0000)
  }

  /** Host physical address of a guest-physical one. `want`: EPT_R, EPT_W, EPT_X. */
  walkPhysical(gpa: number, want: number = EPT_R): number {
    return this.ept ? this.extended.translate(gpa, want, 0) : gpa
  }

  /** Tables of 8-byte entries: PAE paging from the page directory on, and 4-level paging. */
  private walkWide(root: number, top: number, linHi: number, linLo: number, access: number, reserved: number): number {
    const { i32 } = this.mem
    const reservedHigh = (i32[this.eferAt]! & EFER_NXE) === 0 ? reserved | 0x8000_0000 : reserved
    let table = root
    let rights = PTE_RW | PTE_US
    let noExecute = 0
    let unaccessed = 0
    let level = top
    for (;;) {
      const index =
        level === 1
          ? (linLo >>> 12) & 0x1ff
          : level === 2
            ? (linLo >>> 21) & 0x1ff
            : level === 3
              ? ((linHi << 2) | (linLo >>> 30)) & 0x1ff
              : (linHi >>> 7) & 0x1ff
      const word = this.locate(table + index * 8, EPT_R)
      if (word === -1) return -1
      const low = word < 0 ? -1 : i32[word]!
      const upper = word < 0 ? -1 : i32[word + 1]!
      if ((low & PTE_P) === 0) return this.pageFault(0, access)
      const large = level > 1 && (low & PTE_PS) !== 0
      if (
        (upper & reservedHigh) !== 0 ||
        (large && (level === 4 || (level === 3 && !this.gigabytePages) || (low & largeReserved[level]!) !== 0))
      ) {
        return this.pageFault(Exception.PF_PRESENT | Exception.PF_RSVD, access)
      }
      this.entryGpa[level] = table + index * 8
      this.entryWord[level] = word
      if ((low & PTE_A) === 0) unaccessed |= 1 << level
      rights &= low
      noExecute |= upper
      const address = (upper & 0xf_ffff) * high + ((low & 0xffff_f000) >>> 0)
      if (large || level === 1) {
        const offset = level === 1 ? linLo & 0xfff : level === 2 ? linLo & 0x1f_ffff : linLo & 0x3fff_ffff
        // A large page's bit 12 is PAT, no address.
        const page = level === 1 ? address : address - (low & 0x1000)
        return this.check(page + offset, level, top, low, rights, noExecute < 0, unaccessed, access)
      }
      table = address
      level--
    }
  }

  /** 32-bit paging. */
  private walkNarrow(root: number, linLo: number, access: number): number {
    const { i32 } = this.mem
    let entry = root + (linLo >>> 22) * 4
    let word = this.locate(entry, EPT_R)
    if (word === -1) return -1
    let low = word < 0 ? -1 : i32[word]!
    if ((low & PTE_P) === 0) return this.pageFault(0, access)
    this.entryGpa[2] = entry
    this.entryWord[2] = word
    let unaccessed = (low & PTE_A) === 0 ? 4 : 0
    let rights = low
    if ((low & PTE_PS) !== 0 && (i32[this.cr4At]! & CR4_PSE) !== 0) {
      if ((low & this.reservedPse) !== 0) return this.pageFault(Exception.PF_PRESENT | Exception.PF_RSVD, access)
      const page = ((low >>> 13) & 0xff) * high + ((low & 0xffc0_0000) >>> 0)
      return this.check(page + (linLo & 0x3f_ffff), 2, 2, low, rights, false, unaccessed, access)
    }
    entry = ((low & 0xffff_f000) >>> 0) + ((linLo >>> 12) & 0x3ff) * 4
    word = this.locate(entry, EPT_R)
    if (word === -1) return -1
    low = word < 0 ? -1 : i32[word]!
    if ((low & PTE_P) === 0) return this.pageFault(0, access)
    this.entryGpa[1] = entry
    this.entryWord[1] = word
    if ((low & PTE_A) === 0) unaccessed |= 2
    rights &= low
    return this.check(((low & 0xffff_f000) >>> 0) + (linLo & 0xfff), 1, 2, low, rights, false, unaccessed, access)
  }

  /** Access rights of the whole path, then accessed and dirty flags. [SDM3 4.6 "Access Rights", 4.8 "Accessed and Dirty Flags"] */
  private check(
    gpa: number,
    leaf: number,
    top: number,
    low: number,
    rights: number,
    noExecute: boolean,
    unaccessed: number,
    access: number,
  ): number {
    const { i32 } = this.mem
    const cr4 = i32[this.cr4At]!
    const user = (access & Access.user) !== 0
    const write = (access & Access.write) !== 0
    const fetch = (access & Access.fetch) !== 0
    const userPage = (rights & PTE_US) !== 0
    const mayWrite = (rights & PTE_RW) !== 0 || (!user && (i32[this.cr0At]! & CR0_WP) === 0)
    const mayExecute = !noExecute && (user || !userPage || (cr4 & CR4_SMEP) === 0)
    const smap =
      !user && userPage && (cr4 & CR4_SMAP) !== 0 && ((access & Access.implicit) !== 0 || (i32[this.flagsAt]! & EFLAGS_AC) === 0)
    if ((user && !userPage) || (write && !mayWrite) || (fetch ? !mayExecute : smap))
      return this.pageFault(Exception.PF_PRESENT, access)
    const clean = (low & PTE_D) === 0
    if (unaccessed !== 0 || (write && clean)) {
      for (let level = top; level >= leaf; level--) {
        const bits = ((unaccessed >>> level) & 1 ? PTE_A : 0) | (level === leaf && write && clean ? PTE_D : 0)
        if (bits !== 0 && !this.mark(level, bits)) return -1
      }
    }
    this.leaf = leaf
    this.userOk = userPage
    this.executable = mayExecute
    this.global = (low & PTE_G) !== 0 && (cr4 & CR4_PGE) !== 0
    return this.finish(gpa, access, mayWrite && (write || !clean))
  }

  private mark(level: number, bits: number): boolean {
    let word = this.entryWord[level]!
    if (this.ept) {
      word = this.locate(this.entryGpa[level]!, EPT_W)
      if (word === -1) return false
    }
    if (word !== notInMemory) Atomics.or(this.mem.i32, word, bits)
    return true
  }

  private finish(gpa: number, access: number, writable: boolean): number {
    this.gpa = gpa
    if (!this.ept) {
      this.writable = writable
      this.readable = true
      return gpa
    }
    const want = (access & Access.fetch) !== 0 ? EPT_X : (access & Access.write) !== 0 ? EPT_W : EPT_R
    const hpa = this.extended.translate(gpa, want, translated)
    if (hpa < 0) return -1
    const { permissions } = this.extended
    this.writable = writable && (permissions & EPT_W) !== 0
    this.readable = (permissions & EPT_R) !== 0
    this.executable &&= (permissions & EPT_X) !== 0
    return hpa
  }

  /** Index of a guest paging-structure entry's low word in memory. `notInMemory`: it reads as ones. -1: EPT fault. */
  private locate(gpa: number, want: number): number {
    let hpa = gpa
    if (this.ept) {
      hpa = this.extended.translate(gpa, this.extended.accessedDirty ? EPT_R | EPT_W : want, EPT_VIOLATION_LINEAR_VALID)
      if (hpa < 0) return -1
    }
    return hpa < this.mem.physSize ? (this.mem.physBase + hpa) / 4 : notInMemory
  }

  private pageFault(code: number, access: number): -1 {
    const { i32 } = this.mem
    let errorCode = code
    if ((access & Access.write) !== 0) errorCode |= Exception.PF_WRITE
    if ((access & Access.user) !== 0) errorCode |= Exception.PF_USER
    if ((access & Access.fetch) !== 0) {
      const cr4 = i32[this.cr4At]!
      const noExecute = (cr4 & CR4_PAE) !== 0 && (i32[this.eferAt]! & EFER_NXE) !== 0
      if (noExecute || (cr4 & CR4_SMEP) !== 0) errorCode |= Exception.PF_FETCH
    }
    this.fault.kind = 'page-fault'
    this.fault.errorCode = errorCode
    return -1
  }
}
