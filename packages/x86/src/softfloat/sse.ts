import type { Outcome } from './arithmetic.ts'
import type { FpuMachine } from './machine.ts'
import {
  DOUBLE,
  Kind,
  packDouble,
  packSingle,
  round,
  SINGLE,
  UE,
  unpackDouble,
  unpackSingle,
  zeroNum,
  type Format,
  type Num,
  type Rounding,
} from './number.ts'

/** MXCSR. [SDM1 10.2.3 "MXCSR Control and Status Register"] */
export const DAZ = 0x40
export const FTZ = 0x8000

/** One lane's result: exceptions found before and after computing. */
export interface Lane {
  readonly bits: bigint
  readonly before: number
  readonly after: number
}

export const lane = (bits: bigint, before = 0, after = 0): Lane => ({ bits, before, after })

/** Single or double precision. */
export interface Precision {
  readonly format: Format
  readonly size: 4 | 8
  readonly unpack: (bits: bigint) => Num
  readonly pack: (n: Num) => bigint
}
export const single: Precision = { format: SINGLE, size: 4, unpack: unpackSingle, pack: packSingle }
export const double: Precision = { format: DOUBLE, size: 8, unpack: unpackDouble, pack: packDouble }

/** MXCSR for one microcode call. */
export class Sse {
  readonly m: FpuMachine
  readonly masks: number
  readonly rounding: Rounding
  readonly daz: boolean
  readonly flush: boolean
  constructor(m: FpuMachine) {
    this.m = m
    const { mxcsr } = m.state
    this.masks = (mxcsr >> 7) & 0x3f
    this.rounding = (mxcsr >> 13) & 3
    this.daz = (mxcsr & DAZ) !== 0
    this.flush = (mxcsr & FTZ) !== 0 && (this.masks & UE) !== 0
  }

  unpack(precision: Precision, bits: bigint): Num {
    const n = precision.unpack(bits)
    return this.daz && n.denormal ? zeroNum(n.sign) : n
  }

  /** Rounds an outcome to one lane. */
  finish(precision: Precision, { value, flags }: Outcome, rounding = this.rounding): Lane {
    if (value.kind !== Kind.finite) return lane(precision.pack(value), flags)
    const r = round(value, precision.format, rounding, this.masks, this.flush)
    return lane(precision.pack(r.value), flags, r.flags)
  }

  /** Sets the flags of all lanes; raises #XM (or #UD) for unmasked ones, those found before computing first. */
  settle(lanes: readonly Lane[]): void {
    const { state } = this.m
    let before = 0
    let after = 0
    for (const l of lanes) {
      before |= l.before
      after |= l.after
    }
    const stopped = (before & ~this.masks) !== 0
    const flags = stopped ? before : before | after
    state.mxcsr |= flags
    if (flags & ~this.masks) this.m.fault((state.cr4 & 0x400n) === 0n ? 6 : 19)
  }
}

/** Splits a vector into lanes of `size` bytes. */
export function split(vector: bigint, size: number): bigint[] {
  const bits = BigInt(size * 8)
  const mask = (1n << bits) - 1n
  return Array.from({ length: 16 / size }, (_, i) => (vector >> (bits * BigInt(i))) & mask)
}

export function join(lanes: readonly bigint[], size: number): bigint {
  return lanes.reduce((vector, bits, i) => vector | (bits << BigInt(size * 8 * i)), 0n)
}
