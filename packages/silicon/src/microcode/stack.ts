import { AR_DB, SEG_SS } from '@guestmode/x86'
import { Access, type Cpu } from '../cpu/cpu.ts'
import { ss } from './faults.ts'
import { withinLimit } from './linear.ts'
import {
  gpr32,
  gprHigh32,
  highWord,
  isCanonicalHigh,
  join,
  lowWord,
  pairHigh,
  readPair,
  readWord,
  segBase32,
  setGpr16,
  setGpr32,
  setGpr64,
  writePair,
  writeWord32,
} from './words.ts'

type Size = 2 | 4 | 8

const RSP = 4

/**
 * A stack that an operation pushes on or pops from, present or future. Registers stay as they are until `commit`, so that a
 * fault leaves nothing half done.
 */
export class Stack {
  readonly cpu: Cpu
  readonly width: number
  readonly base: number
  readonly limit: number
  readonly access: number
  /** Error code of #SS. */
  readonly code: number
  readonly readKind: number
  readonly writeKind: number
  low: number
  high: number
  /** Upper half of what `popWord` has popped last. */
  poppedHigh = 0

  constructor(
    cpu: Cpu,
    width: number,
    base: number,
    limit: number,
    access: number,
    high: number,
    low: number,
    user: boolean,
    code: number,
  ) {
    this.cpu = cpu
    this.width = width
    this.base = base
    this.limit = limit
    this.access = access
    this.high = width === 64 ? high : 0
    this.low = width === 16 ? low & 0xffff : low
    this.code = code
    this.readKind = user ? Access.read | Access.user : Access.read
    this.writeKind = user ? Access.write | Access.user : Access.write
  }

  get sp(): bigint {
    return join(this.high, this.low)
  }
  set sp(value: bigint) {
    const low = lowWord(value)
    this.high = this.width === 64 ? highWord(value) : 0
    this.low = this.width === 16 ? low & 0xffff : low
  }

  pushWord(size: Size, low: number, high = 0): void {
    const { cpu, writeKind } = this
    let nextLow = this.low - size
    let nextHigh = this.high
    if (nextLow < 0) {
      nextLow = this.width === 16 ? nextLow & 0xffff : nextLow >>> 0
      if (this.width === 64) nextHigh = (nextHigh - 1) >>> 0
    }
    const at = this.linear(nextHigh, nextLow, size)
    if (size === 8) writePair(cpu, nextHigh, at, high, low, writeKind)
    else writeWord32(cpu, nextHigh, at, size, low, writeKind)
    this.low = nextLow
    this.high = nextHigh
  }

  popWord(size: Size): number {
    const at = this.linear(this.high, this.low, size)
    let value: number
    if (size === 8) {
      value = readPair(this.cpu, this.high, at, this.readKind)
      this.poppedHigh = pairHigh
    } else {
      value = readWord(this.cpu, this.high, at, size, this.readKind)
      this.poppedHigh = 0
    }
    this.skip(size)
    return value
  }

  push(size: Size, value: bigint): void {
    this.pushWord(size, lowWord(value), highWord(value))
  }

  pop(size: Size): bigint {
    const low = this.popWord(size)
    return join(this.poppedHigh, low)
  }

  popSelector(size: Size): number {
    return this.popWord(size) & 0xffff
  }

  /** Moves the stack pointer, up or down. */
  skip(bytes: number): void {
    const low = this.low + bytes
    this.low = this.width === 16 ? low & 0xffff : low >>> 0
    if (this.width !== 64) return
    if (low > 0xffff_ffff) this.high = (this.high + 1) >>> 0
    else if (low < 0) this.high = (this.high - 1) >>> 0
  }

  /** Checks that `size` bytes at the stack pointer less `below` can be written. */
  probe(below: number, size: number): void {
    const sp = BigInt.asUintN(this.width, this.sp - BigInt(below))
    const high = highWord(sp)
    this.cpu.probeWrite(join(high, this.linear(high, lowWord(sp), size)), size, this.writeKind)
  }

  /** Low half of the linear address; the upper one is that of the stack pointer. */
  private linear(high: number, low: number, size: number): number {
    if (this.width === 64) {
      if (!isCanonicalHigh(high)) throw ss(this.code)
      return low
    }
    if (!withinLimit(low, size, this.limit, this.access)) throw ss(this.code)
    return (this.base + low) >>> 0
  }

  commit(): void {
    writeStackPointer(this.cpu, this.width, this.high, this.low)
  }
}

/** A 16-bit stack pointer leaves the rest of RSP alone. */
export function writeStackPointer(cpu: Cpu, width: number, high: number, low: number): void {
  if (width === 64) setGpr64(cpu, RSP, high, low)
  else if (width === 32) setGpr32(cpu, RSP, low)
  else setGpr16(cpu, RSP, low)
}

/** The stack in use. */
export function currentStack(cpu: Cpu, code = 0): Stack {
  const { state } = cpu
  const width = state.stackWidth
  const user = state.cpl === 3
  const low = gpr32(cpu, RSP)
  if (width === 64) return new Stack(cpu, 64, 0, 0, 0, gprHigh32(cpu, RSP), low, user, code)
  return new Stack(
    cpu,
    width,
    segBase32(cpu, SEG_SS),
    state.segLimit.get(SEG_SS),
    state.segAccess.get(SEG_SS),
    0,
    low,
    user,
    code,
  )
}

/** A 16 or 32-bit stack by its segment. */
export function stackOf(cpu: Cpu, base: number, limit: number, access: number, sp: number, cpl: number, code: number): Stack {
  return new Stack(cpu, (access & AR_DB) !== 0 ? 32 : 16, base, limit, access, 0, sp, cpl === 3, code)
}

/** Flat 64-bit stack of level `cpl`. */
export function longStack(cpu: Cpu, high: number, low: number, cpl: number, code: number): Stack {
  return new Stack(cpu, 64, 0, 0, 0, high, low, cpl === 3, code)
}
