import { AR_DB, SEG_SS } from '@guestmode/x86'
import type { Cpu } from '../cpu/cpu.ts'
import { ss } from './faults.ts'
import { withinLimit } from './linear.ts'
import { isCanonical } from './mode.ts'
import { Access } from '../cpu/cpu.ts'
import { setGpr16, setGpr32 } from './words.ts'

type Size = 2 | 4 | 8

/**
 * A stack that an operation pushes on or pops from, present or future. Registers stay as they are until `commit`, so that a
 * fault leaves nothing half done.
 */
export class Stack {
  readonly cpu: Cpu
  readonly width: number
  readonly base: bigint
  readonly limit: number
  readonly access: number
  /** Error code of #SS. */
  readonly code: number
  readonly readKind: number
  readonly writeKind: number
  sp: bigint

  constructor(cpu: Cpu, width: number, base: bigint, limit: number, access: number, sp: bigint, user: boolean, code: number) {
    this.cpu = cpu
    this.width = width
    this.base = base
    this.limit = limit
    this.access = access
    this.sp = sp
    this.code = code
    this.readKind = user ? Access.read | Access.user : Access.read
    this.writeKind = user ? Access.write | Access.user : Access.write
  }

  push(size: Size, value: bigint): void {
    const sp = BigInt.asUintN(this.width, this.sp - BigInt(size))
    this.cpu.write(this.linear(sp, size), size, value, this.writeKind)
    this.sp = sp
  }

  pop(size: Size): bigint {
    const value = this.cpu.read(this.linear(this.sp, size), size, this.readKind)
    this.sp = BigInt.asUintN(this.width, this.sp + BigInt(size))
    return value
  }

  popSelector(size: Size): number {
    return Number(this.pop(size) & 0xffffn)
  }

  skip(bytes: number): void {
    this.sp = BigInt.asUintN(this.width, this.sp + BigInt(bytes))
  }

  /** Checks that `size` bytes at `sp` can be written. */
  probe(sp: bigint, size: number): void {
    this.cpu.probeWrite(this.linear(sp, size), size, this.writeKind)
  }

  private linear(offset: bigint, size: number): bigint {
    if (this.width === 64) {
      if (!isCanonical(offset)) throw ss(this.code)
      return offset
    }
    if (!withinLimit(Number(offset), size, this.limit, this.access)) throw ss(this.code)
    return BigInt.asUintN(32, this.base + offset)
  }

  commit(): void {
    writeStackPointer(this.cpu, this.width, this.sp)
  }
}

/** A 16-bit stack pointer leaves the rest of RSP alone. */
export function writeStackPointer(cpu: Cpu, width: number, sp: bigint): void {
  if (width === 64) cpu.state.gpr.set(4, sp)
  else if (width === 32) setGpr32(cpu, 4, Number(sp))
  else setGpr16(cpu, 4, Number(sp & 0xffffn))
}

/** The stack in use. */
export function currentStack(cpu: Cpu, code = 0): Stack {
  const { state } = cpu
  const width = state.stackWidth
  const sp = BigInt.asUintN(width, state.gpr.get(4))
  const user = state.cpl === 3
  if (width === 64) return new Stack(cpu, 64, 0n, 0, 0, sp, user, code)
  return new Stack(cpu, width, state.segBase.get(SEG_SS), state.segLimit.get(SEG_SS), state.segAccess.get(SEG_SS), sp, user, code)
}

/** A 16 or 32-bit stack by its segment. */
export function stackOf(cpu: Cpu, base: number, limit: number, access: number, sp: number, cpl: number, code: number): Stack {
  const width = (access & AR_DB) !== 0 ? 32 : 16
  return new Stack(cpu, width, BigInt(base), limit, access, BigInt.asUintN(width, BigInt(sp)), cpl === 3, code)
}

/** Flat 64-bit stack of level `cpl`. */
export function longStack(cpu: Cpu, sp: bigint, cpl: number, code: number): Stack {
  return new Stack(cpu, 64, 0n, 0, 0, sp, cpl === 3, code)
}
