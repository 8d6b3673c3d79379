import { cpuState } from '@guestmode/x86'
import type { MachineMemory } from './memory.ts'
import { jumpEntry, jumpIndexBits, pageIndexBits, tlbEntry, type PrivateLayout } from './private-layout.ts'

const indexMask = (1 << pageIndexBits) - 1
const jumpMask = (1 << jumpIndexBits) - 1

/** Every byte of an unused jump-cache entry: its tag is no canonical address, and so no RIP. */
const emptyJump = 0x80

const pageNumber = (high: number, low: number): number => high * 0x10_0000 + (low >>> 12)

/**
 * Cached translations, where generated code probes them: data reads and data writes, each for supervisor (0) and user (1), and
 * the jump caches from RIP to decoded code.
 */
export class Tlb {
  private readonly mem: MachineMemory
  private readonly layout: PrivateLayout
  private readonly stateWords: number
  /** Tables that hold anything since the last flush. */
  private readonly used = { data: [true, true], jump: [true, true] }
  /** Page numbers within which all large pages lie that have been filled since the last flush. */
  private largeFrom = Infinity
  private largeTo = -Infinity
  /** Privilege whose tables the CPU state points at. */
  private privilege: 0 | 1 = 0

  constructor(mem: MachineMemory, layout: PrivateLayout) {
    this.mem = mem
    this.layout = layout
    this.stateWords = layout.state >> 2
    this.usePrivilege(0)
    this.flush()
  }

  usePrivilege(privilege: 0 | 1): void {
    const { tlbRead, tlbWrite, jumpCache } = cpuState.fields
    const { mem, layout, stateWords } = this
    this.privilege = privilege
    mem.u32[stateWords + (tlbRead.offset >> 2)] = layout.tlbRead[privilege]
    mem.u32[stateWords + (tlbWrite.offset >> 2)] = layout.tlbWrite[privilege]
    mem.u32[stateWords + (jumpCache.offset >> 2)] = layout.jumpCache[privilege]
  }

  flush(): void {
    const { mem, layout, used } = this
    this.largeFrom = Infinity
    this.largeTo = -Infinity
    for (const privilege of [0, 1] as const) {
      if (used.data[privilege]) {
        for (const table of [layout.tlbRead[privilege], layout.tlbWrite[privilege]])
          mem.u8.fill(0xff, table, table + layout.tlbBytes)
        used.data[privilege] = false
      }
      this.flushJumps(privilege)
    }
  }

  flushJumps(privilege: 0 | 1): void {
    if (!this.used.jump[privilege]) return
    const table = this.layout.jumpCache[privilege]
    this.mem.u8.fill(emptyJump, table, table + this.layout.jumpBytes)
    this.used.jump[privilege] = false
  }

  /** A translation of a large page is about to be filled; `level` as of its entry. */
  noteLargePage(high: number, low: number, level: number): void {
    // 4 MiB serve for 2 MiB and 4 MiB pages.
    const pages = level === 2 ? 1 << 10 : 1 << 18
    const first = Math.floor(pageNumber(high, low) / pages) * pages
    this.largeFrom = Math.min(this.largeFrom, first)
    this.largeTo = Math.max(this.largeTo, first + pages)
  }

  /** Drops the page at (high, low), whatever its size. */
  flushPage(high: number, low: number): void {
    const { mem, layout } = this
    const number = pageNumber(high, low)
    if (number >= this.largeFrom && number < this.largeTo) {
      this.flush()
      return
    }
    const page = low & ~0xfff
    for (const table of [...layout.tlbRead, ...layout.tlbWrite]) {
      const entry = this.entry(table, low)
      if (mem.i32[entry >> 2] === page && mem.u32[(entry >> 2) + 1] === high) mem.u8.fill(0xff, entry, entry + 8)
    }
    this.flushJumps(0)
    this.flushJumps(1)
  }

  /** `offset`: linear-memory offset of the byte at (high, low). */
  fillRead(privilege: 0 | 1, high: number, low: number, offset: number): void {
    this.fill(this.layout.tlbRead[privilege], privilege, high, low, offset)
  }

  fillWrite(privilege: 0 | 1, high: number, low: number, offset: number): void {
    this.fill(this.layout.tlbWrite[privilege], privilege, high, low, offset)
  }

  /** Address of the byte at (high, low) by the present privilege's tables, or 0. */
  readAddress(high: number, low: number): number {
    return this.probe(this.layout.tlbRead[this.privilege], high, low)
  }

  writeAddress(high: number, low: number): number {
    return this.probe(this.layout.tlbWrite[this.privilege], high, low)
  }

  readAddressAt(privilege: number, high: number, low: number): number {
    return this.probe(this.layout.tlbRead[privilege]!, high, low)
  }

  writeAddressAt(privilege: number, high: number, low: number): number {
    return this.probe(this.layout.tlbWrite[privilege]!, high, low)
  }

  /** Takes away direct writes to the page at this linear-memory offset. */
  protectPage(offset: number): void {
    const { mem, layout } = this
    const page = offset & ~0xfff
    for (const table of layout.tlbWrite) {
      for (let entry = table; entry < table + layout.tlbBytes; entry += 1 << tlbEntry.log2Size) {
        const at = entry >> 2
        // Linear page + addend: an empty entry's tag is no page, and clearing it again does no harm.
        if (((mem.i32[at]! + mem.i32[at + 2]!) | 0) === (page | 0)) mem.u8.fill(0xff, entry, entry + 8)
      }
    }
  }

  cacheJump(high: number, low: number, record: number): void {
    const { mem } = this
    const entry = this.jumpEntry(low)
    mem.u32[entry >> 2] = low
    mem.u32[(entry >> 2) + 1] = high
    mem.u32[(entry + jumpEntry.record) >> 2] = record
    this.used.jump[this.privilege] = true
  }

  /** The record that `cacheJump` has entered for RIP at the present privilege, or 0. */
  cachedJump(high: number, low: number): number {
    const { mem } = this
    const at = this.jumpEntry(low) >> 2
    return mem.u32[at] === low && mem.u32[at + 1] === high ? mem.u32[at + (jumpEntry.record >> 2)]! : 0
  }

  private jumpEntry(low: number): number {
    return this.layout.jumpCache[this.privilege] + (((low ^ (low >>> jumpIndexBits)) & jumpMask) << jumpEntry.log2Size)
  }

  private entry(table: number, low: number): number {
    return table + (((low >>> 12) & indexMask) << tlbEntry.log2Size)
  }

  private fill(table: number, privilege: 0 | 1, high: number, low: number, offset: number): void {
    const { mem } = this
    const at = this.entry(table, low) >> 2
    mem.i32[at] = low & ~0xfff
    mem.u32[at + 1] = high
    mem.i32[at + (tlbEntry.addend >> 2)] = offset - low
    this.used.data[privilege] = true
  }

  private probe(table: number, high: number, low: number): number {
    const { mem } = this
    const at = this.entry(table, low) >> 2
    if (mem.i32[at] !== (low & ~0xfff) || mem.u32[at + 1] !== high) return 0
    return (mem.i32[at + (tlbEntry.addend >> 2)]! + low) >>> 0
  }
}
