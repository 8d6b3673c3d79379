import { cpuState } from '@guestmode/x86'
import type { Tlb } from '../machine/tlb.ts'
import type { MachineMemory } from '../machine/memory.ts'
import { Record } from './record.ts'

const { gpr, budget, flagsSystem, segBase } = cpuState.fields
const RFLAGS_DF = 0x400
const [RAX, RCX, RSI, RDI] = [0, 1, 6, 7]

/** What the moves need of the engine. */
export interface BulkContext {
  readonly mem: MachineMemory
  readonly base: number
  readonly tlb: Tlb
  /** Flat data segments, so that only paging stands between offsets and pages. */
  readonly flat: boolean
  /** Host physical memory at a linear-memory offset will be written. */
  written(offset: number, length: number): void
}

/**
 * REP MOVS and REP STOS, many elements at once: as many as lie in the present pages of source and destination, when both are in
 * the TLB, the direction is up and the ranges don't overlap ahead of themselves. At least one iteration is left for the handler, which
 * does what is not done here, and faults where it must. Registers advance as the iterations would advance them.
 *
 * The record's displacement field: bits 7:0 address size, bits 15:8 element size in bytes, bit 16 set for STOS.
 */
export function bulkString(context: BulkContext, record: number): void {
  const { mem, base, tlb } = context
  const info = mem.u32[(record + Record.displacement) >> 2]!
  const addressSize = info & 0xff
  const size = (info >> 8) & 0xff
  const isStore = (info & 0x10000) !== 0
  if (addressSize === 16 || !context.flat || (mem.u32[(base + flagsSystem.offset) >> 2]! & RFLAGS_DF) !== 0) return
  const low = (register: number): number => mem.u32[(base + gpr.offset + 8 * register) >> 2]!
  const high = (register: number): number => (addressSize === 64 ? mem.u32[(base + gpr.offset + 8 * register + 4) >> 2]! : 0)

  const counted = high(RCX) > 0xffff ? 0xffff_ffff : high(RCX) * 0x1_0000_0000 + low(RCX)
  const toLow = low(RDI)
  const fromLow = low(RSI)
  let elements = Math.min(counted - 1, Math.floor((4096 - (toLow & 0xfff)) / size))
  if (!isStore) elements = Math.min(elements, Math.floor((4096 - (fromLow & 0xfff)) / size))
  if (elements < 4) return
  const bytes = elements * size

  const to = tlb.writeAddress(high(RDI), toLow)
  if (to === 0) return
  if (isStore) {
    context.written(to, bytes)
    fill(mem, to, bytes, size, base + gpr.offset + 8 * RAX)
  } else {
    // A segment base would move the source: only DS and its flat likes are done here.
    const segment = mem.u16[(record + Record.segmentBase) >> 1]!
    if (segment >= segBase.offset + 8 * 4 && segment < segBase.offset + 8 * 6) return
    const from = tlb.readAddress(high(RSI), fromLow)
    if (from === 0 || (to > from && to < from + bytes)) return
    context.written(to, bytes)
    mem.u8.copyWithin(to, from, from + bytes)
    advance(mem, base + gpr.offset + 8 * RSI, bytes, addressSize)
  }
  advance(mem, base + gpr.offset + 8 * RDI, bytes, addressSize)
  advance(mem, base + gpr.offset + 8 * RCX, -elements, addressSize)
  // Elements cost time, if less than iterations would.
  mem.i32[(base + budget.offset) >> 2]! -= bytes >> 6
}

/** Fills with the low `size` bytes of the register at `source`. */
function fill(mem: MachineMemory, to: number, bytes: number, size: number, source: number): void {
  const first = mem.u8[source]!
  let uniform = true
  for (let i = 1; i < size; i++) uniform &&= mem.u8[source + i] === first
  if (uniform) {
    mem.u8.fill(first, to, to + bytes)
    return
  }
  mem.u8.copyWithin(to, source, source + size)
  for (let done = size; done < bytes; done *= 2) mem.u8.copyWithin(to + done, to, to + Math.min(done, bytes - done))
}

function advance(mem: MachineMemory, at: number, by: number, addressSize: number): void {
  if (addressSize === 64) mem.u64[at >> 3] = mem.u64[at >> 3]! + BigInt(by)
  else {
    mem.u32[at >> 2] = mem.u32[at >> 2]! + by
    mem.u32[(at + 4) >> 2] = 0
  }
}
