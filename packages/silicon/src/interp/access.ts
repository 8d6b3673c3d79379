import { cpuState, Exception } from '@guestmode/x86'
import { Access } from '../cpu/cpu.ts'
import { GuestFault, type VmExit } from '../cpu/events.ts'
import type { MachineMemory } from '../machine/memory.ts'
import type { Tlb } from '../machine/tlb.ts'
import type { BlockCache } from './block-cache.ts'

const { scratch } = cpuState.fields

/** The page walker, as accesses use it. */
export interface Walker {
  /** Host physical address of the byte, or -1: then `fault` tells why. */
  walk(linHi: number, linLo: number, access: number): number
  /** The translation just found may be kept for writes. */
  readonly writable: boolean
  /** The page is a user page. */
  readonly userOk: boolean
  /** Level of the entry that maps the page: above 1 it is a large page. */
  readonly leaf: number
}

export interface AccessContext {
  readonly mem: MachineMemory
  readonly base: number
  readonly tlb: Tlb
  readonly blocks: BlockCache
  readonly walker: Walker
  /** The walker has failed: what it comes to. */
  trapOf(linHi: number, linLo: number, access: number): GuestFault | VmExit
  is64BitCode(): boolean
  /** User pages may not be kept in the supervisor's tables (SMAP). */
  smap(): boolean
}

/** A pending write through the bounce buffer. */
interface Bounce {
  readonly first: number
  readonly firstSize: number
  /** Linear-memory offset of the part in the second page; 0 = there is none, -1 = no memory there. */
  readonly second: number
  readonly secondSize: number
}

/**
 * Memory accesses that generated code can't do with one probe: TLB misses, accesses that cross pages, to pages that hold decoded
 * code, and where no memory is. The result is an address at which the access may be made: in place, or in `scratch`.
 */
export class MemoryAccess {
  /** What the last access that gave 0 came to. */
  trap: GuestFault | VmExit | undefined
  private readonly context: AccessContext
  private readonly scratchAt: number
  private bounce: Bounce | undefined

  constructor(context: AccessContext) {
    this.context = context
    this.scratchAt = context.base + scratch.offset
  }

  /** Address of `size` bytes for reading, or 0 with `trap` set. `access` without the write bit. */
  read(high: number, low: number, size: number, access: number): number {
    const { mem } = this.context
    if ((low & 0xfff) + size > 4096) return this.gather(high, low, size, access)
    const offset = this.translate(high, low, access)
    if (offset > 0) return offset
    if (offset === 0) return 0
    mem.u8.fill(0xff, this.scratchAt, this.scratchAt + size)
    return this.scratchAt
  }

  /** Address at which `size` bytes are to be written, or 0. After a write to `scratch`, `commit` follows. `modify`: the address holds the present bytes. */
  write(high: number, low: number, size: number, access: number, modify: boolean): number {
    const { mem, blocks } = this.context
    if ((low & 0xfff) + size > 4096) return this.prepareSplit(high, low, size, access, modify)
    const offset = this.translate(high, low, access | Access.write)
    if (offset === 0) return 0
    if (offset < 0) {
      this.bounce = undefined
      mem.u8.fill(0xff, this.scratchAt, this.scratchAt + size)
      return this.scratchAt
    }
    blocks.written(offset - mem.physBase, size)
    return offset
  }

  commit(): void {
    const { bounce, scratchAt } = this
    const { mem, blocks } = this.context
    if (bounce === undefined) return
    this.bounce = undefined
    const put = (to: number, from: number, size: number): void => {
      if (to <= 0) return
      blocks.written(to - mem.physBase, size)
      mem.u8.copyWithin(to, from, from + size)
    }
    put(bounce.first, scratchAt, bounce.firstSize)
    put(bounce.second, scratchAt + bounce.firstSize, bounce.secondSize)
  }

  /** Linear-memory offset of the byte; 0: fault, -1: no memory there. Fills the TLB. */
  private translate(high: number, low: number, access: number): number {
    const { mem, tlb, walker, blocks } = this.context
    if (!this.isReachable(high, low)) return 0
    const hpa = walker.walk(high, low, access)
    if (hpa < 0) {
      this.trap = this.context.trapOf(high, low, access)
      return 0
    }
    const pageStart = hpa - (low & 0xfff)
    if (pageStart + 4096 > mem.physSize) return -1
    const offset = mem.physBase + hpa
    const privilege = (access & Access.user) !== 0 ? 1 : 0
    if (privilege === 1 || !this.context.smap() || !walker.userOk) {
      if (walker.leaf > 1) tlb.noteLargePage(high, low, walker.leaf)
      tlb.fillRead(privilege, high, low, offset)
      if ((access & Access.write) !== 0 && walker.writable && !blocks.hasCode(pageStart / 4096))
        tlb.fillWrite(privilege, high, low, offset)
    }
    return offset
  }

  /** Canonical, where that is asked; sets the trap otherwise. */
  private isReachable(high: number, _low: number): boolean {
    if (!this.context.is64BitCode() || isCanonical(high)) return true
    this.trap = new GuestFault(Exception.GP, 0)
    return false
  }

  private next(high: number, low: number): [number, number] {
    const page = ((low & ~0xfff) + 4096) >>> 0
    return page === 0 && this.context.is64BitCode() ? [(high + 1) >>> 0, 0] : [page === 0 ? 0 : high, page]
  }

  private gather(high: number, low: number, size: number, access: number): number {
    const { mem } = this.context
    const firstSize = 4096 - (low & 0xfff)
    const next = this.next(high, low)
    const first = this.isReachable(...next) ? this.translate(high, low, access) : 0
    if (first === 0) return 0
    const second = this.translate(...next, access)
    if (second === 0) return 0
    this.copyIn(mem, first, second, firstSize, size)
    return this.scratchAt
  }

  private prepareSplit(high: number, low: number, size: number, access: number, modify: boolean): number {
    const { mem } = this.context
    const firstSize = 4096 - (low & 0xfff)
    const next = this.next(high, low)
    const first = this.isReachable(...next) ? this.translate(high, low, access | Access.write) : 0
    if (first === 0) return 0
    const second = this.translate(...next, access | Access.write)
    if (second === 0) return 0
    if (modify) this.copyIn(mem, first, second, firstSize, size)
    this.bounce = { first, firstSize, second, secondSize: size - firstSize }
    return this.scratchAt
  }

  private copyIn(mem: MachineMemory, first: number, second: number, firstSize: number, size: number): void {
    const { scratchAt } = this
    mem.u8.fill(0xff, scratchAt, scratchAt + size)
    if (first > 0) mem.u8.copyWithin(scratchAt, first, first + firstSize)
    if (second > 0) mem.u8.copyWithin(scratchAt + firstSize, second, second + size - firstSize)
  }
}

/** 48-bit canonical by the upper half alone. */
function isCanonical(high: number): boolean {
  const top = high >>> 15
  return top === 0 || top === 0x1ffff
}
