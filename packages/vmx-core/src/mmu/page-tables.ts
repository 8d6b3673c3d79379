import type { HostMemoryAllocator } from '../host-memory.ts'
import type { MachineMemory } from '../machine.ts'

export const LARGE_PAGE = 2 << 20
const HIGH = 0x1_0000_0000

/** Index of a table of 512 entries, at a level (1 is the last) for an address given as two words. */
export function tableIndex(high: number, low: number, level: number): number {
  if (level === 4) return (high >>> 7) & 511
  if (level === 3) return ((high << 2) | (low >>> 30)) & 511
  return (low >>> (level === 2 ? 21 : 12)) & 511
}

/** A tree of paging structures that the hypervisor builds: EPT or shadow tables. Every table page is freed with the tree. */
export class PageTableTree {
  readonly root: number
  readonly #host: HostMemoryAllocator
  readonly #memory: MachineMemory
  readonly #pages: number[] = []
  /** What an entry that refers to a table carries beside the address. */
  readonly #tableBits: number

  constructor(host: HostMemoryAllocator, tableBits: number) {
    this.#host = host
    this.#memory = host.memory
    this.#tableBits = tableBits
    this.root = this.#allocate()
  }

  get pages(): number {
    return this.#pages.length
  }

  #allocate(): number {
    const hpa = this.#host.allocatePage()
    this.#pages.push(hpa)
    return hpa
  }

  /**
   * Host physical address of the entry at `level` for an address, walking from the root at `rootLevel`; missing tables are made.
   * A large page in the way gives way to a table.
   */
  entry(high: number, low: number, level: number, rootLevel: number, rootBits = this.#tableBits): number {
    let table = this.root
    for (let l = rootLevel; l > level; l--) {
      const at = table + tableIndex(high, low, l) * 8
      let word = this.low(at)
      if ((word & 1) === 0 || (l <= 3 && l > 1 && (word & 0x80) !== 0)) {
        const page = this.#allocate()
        word = page | (l === rootLevel ? rootBits : this.#tableBits)
        this.set(at, word >>> 0, 0)
      }
      table = (word & 0xffff_f000) >>> 0
    }
    return table + tableIndex(high, low, level) * 8
  }

  /** The entry if the tables to it exist: 0 otherwise. A large page on the way is answered instead. */
  find(high: number, low: number, level: number, rootLevel: number): number {
    let table = this.root
    for (let l = rootLevel; l > level; l--) {
      const at = table + tableIndex(high, low, l) * 8
      const word = this.low(at)
      if ((word & 1) === 0) return 0
      if (l <= 3 && (word & 0x80) !== 0) return at
      table = (word & 0xffff_f000) >>> 0
    }
    return table + tableIndex(high, low, level) * 8
  }

  low(at: number): number {
    return this.#memory.u32[(this.#memory.physBase + at) / 4]!
  }

  high(at: number): number {
    return this.#memory.u32[(this.#memory.physBase + at) / 4 + 1]!
  }

  set(at: number, low: number, high: number): void {
    const word = (this.#memory.physBase + at) / 4
    const { u32 } = this.#memory
    u32[word] = low
    u32[word + 1] = high
  }

  free(): void {
    for (const page of this.#pages) this.#host.freePage(page)
    this.#pages.length = 0
  }
}

export const highWord = (address: number): number => Math.floor(address / HIGH)
