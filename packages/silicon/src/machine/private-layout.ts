import { cpuState } from '@guestmode/x86'

/** Entries of each TLB: 2^pageIndexBits, direct-mapped by the low bits of the page number. */
export const pageIndexBits = 10

/** A TLB entry: u64 tag (linear page address; -1 = empty), u32 addend (linear address + addend = linear-memory offset, mod 2^32). */
export const tlbEntry = { log2Size: 4, tag: 0, addend: 8 } as const

/** A jump-cache entry: u64 tag (RIP; not canonical = empty), u32 record. */
export const jumpEntry = { log2Size: 4, tag: 0, record: 8 } as const
export const jumpIndexBits = 12

const tlbBytes = (1 << pageIndexBits) << tlbEntry.log2Size
const jumpBytes = (1 << jumpIndexBits) << jumpEntry.log2Size

/** Where a processor's private things stand in the machine's memory. */
export interface PrivateLayout {
  readonly state: number
  /** By privilege: 0 supervisor, 1 user. */
  readonly tlbRead: readonly [number, number]
  readonly tlbWrite: readonly [number, number]
  readonly jumpCache: readonly [number, number]
  readonly tlbBytes: number
  readonly jumpBytes: number
  /** Decoded-instruction records. */
  readonly records: number
  readonly recordsEnd: number
  readonly end: number
}

/** Address 0 stays unused, so that 0 can mean "none". */
export function privateLayout(start = 1024, recordBytes = 48 << 20): PrivateLayout {
  const align = (at: number): number => (at + 63) & -64
  const state = align(start)
  let at = align(state + cpuState.size)
  const take = (bytes: number): number => {
    const here = at
    at = align(at + bytes)
    return here
  }
  const tlbRead = [take(tlbBytes), take(tlbBytes)] as const
  const tlbWrite = [take(tlbBytes), take(tlbBytes)] as const
  const jumpCache = [take(jumpBytes), take(jumpBytes)] as const
  const records = take(recordBytes)
  return { state, tlbRead, tlbWrite, jumpCache, tlbBytes, jumpBytes, records, recordsEnd: records + recordBytes, end: at }
}
