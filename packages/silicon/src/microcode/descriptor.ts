import { descriptorAccess, descriptorBase, descriptorLimit, SEG_LDTR, SELECTOR_TI, AR_UNUSABLE, TYPE_CODE } from '@guestmode/x86'
import type { Cpu } from '../cpu/cpu.ts'
import { GuestFault } from '../cpu/events.ts'
import { selectorCode } from './faults.ts'
import { readImplicit, writeImplicit } from './mode.ts'
import { highWord, lowWord } from './words.ts'

/** A descriptor as read from its table, with the selector that named it. */
export class Descriptor {
  readonly selector: number
  /** Linear address of the descriptor. */
  readonly address: bigint
  readonly low: number
  high: number

  constructor(selector: number, address: bigint, low: number, high: number) {
    this.selector = selector
    this.address = address
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

/** Linear address of a descriptor of `size` bytes, or undefined when it is outside its table. */
function locate(cpu: Cpu, selector: number, size: number): bigint | undefined {
  const { state } = cpu
  const offset = selector & 0xfff8
  if ((selector & SELECTOR_TI) === 0) return offset + size - 1 > state.gdtrLimit ? undefined : state.gdtrBase + BigInt(offset)
  if ((state.segAccess.get(SEG_LDTR) & AR_UNUSABLE) !== 0) return undefined
  return offset + size - 1 > state.segLimit.get(SEG_LDTR) ? undefined : state.segBase.get(SEG_LDTR) + BigInt(offset)
}

/** Undefined when the selector is outside its table; for instructions that only ask (LAR, LSL, VERR, VERW). */
export function findDescriptor(cpu: Cpu, selector: number): Descriptor | undefined {
  const address = locate(cpu, selector, 8)
  if (address === undefined) return undefined
  const value = cpu.read(address, 8, readImplicit)
  return new Descriptor(selector, address, lowWord(value), highWord(value))
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
  if (locate(cpu, descriptor.selector, 16) === undefined) throw new GuestFault(vector, code)
  const upper = cpu.read(descriptor.address + 8n, 8, readImplicit)
  if ((highWord(upper) & 0x1f00) !== 0) throw new GuestFault(vector, code)
  return lowWord(upper)
}

/** Sets the accessed bit in the table, before any register changes. */
export function markAccessed(cpu: Cpu, descriptor: Descriptor): void {
  if ((descriptor.high & 0x100) !== 0) return
  setType(cpu, descriptor, descriptor.type | 1)
}

/** Rewrites the type in the table: accessed, TSS busy or available. */
export function setType(cpu: Cpu, descriptor: Descriptor, type: number): void {
  descriptor.high = (descriptor.high & ~0xf00) | (type << 8)
  cpu.write(descriptor.address + 5n, 1, BigInt((descriptor.high >>> 8) & 0xff), writeImplicit)
}
