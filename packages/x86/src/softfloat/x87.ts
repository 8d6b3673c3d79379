import type { Outcome } from './arithmetic.ts'
import type { FpuMachine } from './machine.ts'
import {
  EXTENDED,
  EXTENDED_24,
  EXTENDED_53,
  finite,
  IE,
  INDEFINITE,
  Kind,
  packExtended,
  round,
  unpackExtended,
  type Format,
  type Num,
  type Rounding,
} from './number.ts'

/** Status word. [SDM1 8.1.3 "x87 FPU Status Register"] */
export const SF = 0x40
export const ES = 0x80
export const C0 = 0x100
export const C1 = 0x200
export const C2 = 0x400
export const C3 = 0x4000
export const BUSY = 0x8000

/** Bits above sign and exponent in the word that goes with a significand between handlers and microcode. */
export const FROM_DENORMAL = 0x1_0000
export const EMPTY = 0x2_0000
/** Nothing is checked on loading: the datum is in extended format. */
export const RAW = 0x4_0000

/** The x87 for one microcode call: stack, exceptions, rounding. */
export class X87 {
  readonly m: FpuMachine
  constructor(m: FpuMachine) {
    this.m = m
    m.state.fpStatus &= ~C1
  }

  get rounding(): Rounding {
    return (this.m.state.fpControl >> 10) & 3
  }
  get masks(): number {
    return this.m.state.fpControl & 0x3f
  }
  /** By precision control; the reserved encoding acts as extended. */
  get precision(): Format {
    const pc = (this.m.state.fpControl >> 8) & 3
    return pc === 0 ? EXTENDED_24 : pc === 2 ? EXTENDED_53 : EXTENDED
  }

  physical(st: number): number {
    return (this.m.state.fpTop + st) & 7
  }
  isEmpty(st: number): boolean {
    return ((this.m.state.fpEmpty >> this.physical(st)) & 1) !== 0
  }
  get(st: number): Num {
    const i = this.physical(st)
    return unpackExtended(this.m.state.fpMant.get(i), this.m.state.fpExp.get(i))
  }
  /** Writes a register and marks it valid. */
  setRaw(st: number, mant: bigint, exp: number): void {
    const i = this.physical(st)
    this.m.state.fpMant.set(i, mant)
    this.m.state.fpExp.set(i, exp)
    this.m.state.fpEmpty &= ~(1 << i)
  }
  set(st: number, value: Num): void {
    const { mant, exp } = packExtended(value)
    this.setRaw(st, mant, exp)
  }
  pop(): void {
    const { state } = this.m
    state.fpEmpty |= 1 << state.fpTop
    state.fpTop = (state.fpTop + 1) & 7
  }
  /** Moves TOP down; the new ST(0) still has to be written. */
  down(): void {
    this.m.state.fpTop = (this.m.state.fpTop - 1) & 7
  }
  condition(bits: number): void {
    const { state } = this.m
    state.fpStatus = (state.fpStatus & ~(C0 | C2 | C3)) | bits
  }
  setC1(on: boolean): void {
    if (on) this.m.state.fpStatus |= C1
    else this.m.state.fpStatus &= ~C1
  }

  /** Sets exception flags; false when one of them is unmasked, so that the next waiting instruction raises #MF. */
  raise(flags: number): boolean {
    const { state, instruction } = this.m
    state.fpStatus |= flags
    if (!(flags & 0x3f & ~state.fpControl)) return true
    state.fpStatus |= ES | BUSY
    state.fpIp = instruction.ip
    state.fpOpcode = instruction.opcode
    if (instruction.dataAddress !== undefined) state.fpDp = instruction.dataAddress
    return false
  }

  /** Stack underflow; the masked response writes the indefinite to ST(dst). True when it was masked. */
  underflow(dst?: number): boolean {
    this.setC1(false)
    if (!this.raise(IE | SF)) return false
    if (dst !== undefined) this.set(dst, INDEFINITE)
    return true
  }
  overflow(): boolean {
    this.setC1(true)
    return this.raise(IE | SF)
  }

  /** Rounds to an extended format by the control word, with all exceptions; undefined when one forbids the result. */
  finish(outcome: Outcome, format: Format = EXTENDED, rounding = this.rounding): Num | undefined {
    if (!this.raise(outcome.flags)) return undefined
    if (outcome.value.kind !== Kind.finite) return outcome.value
    const r = round(outcome.value, format, rounding, this.masks)
    this.setC1(r.up)
    this.raise(r.flags)
    return r.value
  }
}

/** A number that is exactly an integer. */
export function integer(value: bigint): Num {
  if (value === 0n) return { kind: Kind.zero, sign: 0, mag: 0n, e: 0, denormal: false }
  return finite(value < 0n ? 1 : 0, value < 0n ? -value : value, 0)
}
