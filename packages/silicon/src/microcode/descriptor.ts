import {
  cpuState,
  descriptorAccess,
  descriptorBase,
  descriptorLimit,
  SEG_LDTR,
  SELECTOR_TI,
  AR_UNUSABLE,
  TYPE_CODE,
} from '@guestmode/x86'
import type { Cpu } from '../cpu/cpu.ts'
import { GuestFault } from '../cpu/events.ts'
import { selectorCode } from './faults.ts'
import { readImplicit, writeImplicit } from './mode.ts'
import { fieldIndex, join, pairHigh, readPair } from './words.ts'

/** A descriptor as read from its table, with the selector that named it. */
export class Descriptor {
  readonly selector: number
  readonly low: number
  high: number

  constructor(selector: number, low: number, high: number) {
    this.selector = selector
    this.low = low
    this.high = high
  }

  get access(): number {
    return descriptorAccess(this.high)
  }
  get base(): number {
    return descriptorBase(this.low, this.high)
  }
  get limit(): number {
    return descriptorLimit(this.low, this.high)
  }
  get type(): number {
    return (this.high >>> 8) & 0xf
  }
  get dpl(): number {
    return (this.high >>> 13) & 3
  }
  get rpl(): number {
    return this.selector & 3
  }
  get isPresent(): boolean {
    return (this.high & 0x8000) !== 0
  }
  /** A code or data segment, not a system segment or gate. */
  get isSegment(): boolean {
    return (this.high & 0x1000) !== 0
  }
  get isCode(): boolean {
    return (this.high & 0x1800) === 0x1800
  }
  get isConforming(): boolean {
    return (this.high & 0x1c00) === 0x1c00
  }
  get isWritableData(): boolean {
    return (this.high & 0x1a00) === 0x1200
  }
  /** Data, or code that may be read. */
  get isReadable(): boolean {
    return this.isSegment && ((this.type & TYPE_CODE) === 0 || (this.type & 2) !== 0)
  }
  /** CS.L. */
  get isLong(): boolean {
    return (this.high & 0x20_0000) !== 0
  }
  /** CS.D or SS.B. */
  get isBig(): boolean {
    return (this.high & 0x40_0000) !== 0
  }
}

export const isNull = (selector: number): boolean => (selector & 0xfffc) === 0

const { gdtrBase, segBase } = cpuState.fields

/** Index in `mem.u32` of the base of the selector's table; -1 when `size` bytes are not within its limit. */
function tableOf(cpu: Cpu, selector: number, size: number): number {
  const { state } = cpu
  const last = (selector & 0xfff8) + size - 1
  if ((selector & SELECTOR_TI) === 0) return last > state.gdtrLimit ? -1 : fieldIndex(cpu, gdtrBase.offset)
  if ((state.segAccess.get(SEG_LDTR) & AR_UNUSABLE) !== 0 || last > state.segLimit.get(SEG_LDTR)) return -1
  return fieldIndex(cpu, segBase.offset + SEG_LDTR * 8)
}

/** Reads eight bytes, `plus` bytes into the descriptor, as `readPair` does. */
function readTable(cpu: Cpu, table: number, selector: number, plus: number): number {
  const { u32 } = cpu.mem
  const low = u32[table]! + (selector & 0xfff8) + plus
  return readPair(cpu, u32[table + 1]! + (low > 0xffff_ffff ? 1 : 0), low >>> 0, readImplicit)
}

/** Undefined when the selector is outside its table; for instructions that only ask (LAR, LSL, VERR, VERW). */
export function findDescriptor(cpu: Cpu, selector: number): Descriptor | undefined {
  const table = tableOf(cpu, selector, 8)
  if (table < 0) return undefined
  const low = readTable(cpu, table, selector, 0)
  return new Descriptor(selector, low, pairHigh)
}

/** Outside its table: a fault of `vector`, whose code names the selector. */
export function readDescriptor(cpu: Cpu, selector: number, vector: number, ext = 0): Descriptor {
  const descriptor = findDescriptor(cpu, selector)
  if (descriptor === undefined) throw new GuestFault(vector, selectorCode(selector) | ext)
  return descriptor
}

/** Second half of a 16-byte descriptor of long mode: its first word is the upper base, bits 12:8 of its second must be zero. */
export function readUpperHalf(cpu: Cpu, descriptor: Descriptor, vector: number): number {
  const code = selectorCode(descriptor.selector)
  const table = tableOf(cpu, descriptor.selector, 16)
  if (table < 0) throw new GuestFault(vector, code)
  const low = readTable(cpu, table, descriptor.selector, 8)
  if ((pairHigh & 0x1f00) !== 0) throw new GuestFault(vector, code)
  return low
}

/** Sets the accessed bit in the table, before any register changes. */
export function markAccessed(cpu: Cpu, descriptor: Descriptor): void {
  if ((descriptor.high & 0x100) !== 0) return
  setType(cpu, descriptor, descriptor.type | 1)
}

/** Rewrites the type in the table: accessed, TSS busy or available. */
export function setType(cpu: Cpu, descriptor: Descriptor, type: number): void {
  descriptor.high = (descriptor.high & ~0xf00) | (type << 8)
  const table = tableOf(cpu, descriptor.selector, 8)
  const { u32 } = cpu.mem
  const address = join(u32[table + 1]!, u32[table]!) + BigInt((descriptor.selector & 0xfff8) + 5)
  cpu.write(address, 1, BigInt((descriptor.high >>> 8) & 0xff), writeImplicit)
}
