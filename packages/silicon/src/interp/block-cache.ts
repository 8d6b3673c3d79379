import type { MachineMemory } from '../machine/memory.ts'
import { Record } from './record.ts'
import { FixedHandler } from './loop.ts'

const pageSize = 4096
/** Stores are compared with code at this granularity (log2 of bytes): 64 chunks a page. */
const chunkShift = 6

interface Block {
  readonly record: number
  readonly count: number
}

interface CodePage {
  readonly blocks: Map<number, Block>
  /** Chunks that hold bytes of decoded instructions: 0..31, 32..63. */
  low: number
  high: number
}

/**
 * Decoded blocks by host physical address and code mode. A block that a store hits is not removed from wherever it is
 * linked: all its records become "resync" records, which look their instruction up anew, so that no link can be stale.
 */
export class BlockCache {
  private readonly mem: MachineMemory
  private readonly pages = new Map<number, CodePage>()
  private readonly start: number
  private readonly end: number
  private next: number
  /** Incremented when all records are dropped. */
  generation = 0

  constructor(mem: MachineMemory, start: number, end: number) {
    this.mem = mem
    this.start = start
    this.end = end
    this.next = start
  }

  find(hpa: number, mode: number): number {
    return this.pages.get(Math.floor(hpa / pageSize))?.blocks.get(((hpa & 0xfff) << 8) | mode)?.record ?? 0
  }

  /** Room for `records` records, or 0 when everything must be dropped first. */
  reserve(records: number): number {
    return this.next + records * Record.size <= this.end ? this.next : 0
  }

  /** Enters the block written at `reserve()`. `bytes`: how far its code reaches. True when the page held no code before. */
  add(hpa: number, mode: number, count: number, bytes: number): boolean {
    const pfn = Math.floor(hpa / pageSize)
    let page = this.pages.get(pfn)
    const fresh = page === undefined
    if (page === undefined) this.pages.set(pfn, (page = { blocks: new Map(), low: 0, high: 0 }))
    page.blocks.set(((hpa & 0xfff) << 8) | mode, { record: this.next, count })
    const [low, high] = chunks(hpa & 0xfff, bytes)
    page.low |= low
    page.high |= high
    this.next += count * Record.size
    return fresh
  }

  hasCode(pfn: number): boolean {
    return this.pages.has(pfn)
  }

  /** Bytes of a page were written (the range stays within the page): drops its blocks if code stood there. */
  written(hpa: number, length: number): void {
    const pfn = Math.floor(hpa / pageSize)
    const page = this.pages.get(pfn)
    if (page === undefined) return
    const [low, high] = chunks(hpa & 0xfff, length)
    if (((page.low & low) | (page.high & high)) === 0) return
    this.pages.delete(pfn)
    for (const { record, count } of page.blocks.values()) {
      for (let i = 0; i < count; i++) this.mem.u32[(record + i * Record.size) >> 2] = FixedHandler.resync
    }
  }

  dropAll(): void {
    this.pages.clear()
    this.next = this.start
    this.generation++
  }
}

function chunks(offset: number, length: number): [low: number, high: number] {
  let low = 0
  let high = 0
  const last = Math.min(offset + length - 1, pageSize - 1) >> chunkShift
  for (let chunk = offset >> chunkShift; chunk <= last; chunk++) {
    if (chunk < 32) low |= 1 << chunk
    else high |= 1 << (chunk - 32)
  }
  return [low, high]
}
