import type { Builder, Semantic, StagedOperand, Val } from '../builder.ts'

/** A pure operation on 128-bit vectors. */
export type VectorOp = (s: Builder, a: Val, b: Val) => Val

export const isMmx = (operand: StagedOperand): boolean => operand.kind === 'reg' && operand.cls === 'mmx'
export const isXmm = (operand: StagedOperand): boolean => operand.kind === 'reg' && operand.cls === 'xmm'

/** The whole register of an operand that names a part of it. */
export function whole(s: Builder, operand: StagedOperand): StagedOperand {
  const width = isMmx(operand) ? 64 : 128
  return operand.width === width ? operand : s.at(operand, 0, width)
}

/** The low `width` bits of an operand. */
export function low(s: Builder, operand: StagedOperand, width: 8 | 16 | 32 | 64): StagedOperand {
  return operand.width === width ? operand : s.at(operand, 0, width)
}

export const u32 = (s: Builder, value: number): Val => s.const(32, value)
export const zero = (s: Builder): Val => s.v128(new Array<number>(16).fill(0))
export const lo64 = (s: Builder, v: Val): Val => s.lane('i64x2.extract_lane', 0, v)
export const hi64 = (s: Builder, v: Val): Val => s.lane('i64x2.extract_lane', 1, v)
/** `value` in the low lane, zeros above. */
export const lift = (s: Builder, value: Val): Val => s.lane('i64x2.replace_lane', 0, zero(s), s.zext(value, 64))
export const pair = (s: Builder, low: Val, high: Val): Val => s.lane('i64x2.replace_lane', 1, s.op('i64x2.splat', low), high)
/** A comparison made by a WebAssembly operator, as width 1. */
export const truth = (s: Builder, value: Val): Val => (value.width === 1 ? value : s.ne(value, s.const(value.width, 0)))

/** #GP(0) unless the operand stands on a 16-byte boundary. */
export function requireAligned(s: Builder, operand: StagedOperand): void {
  if (operand.kind !== 'mem') return
  const address = s.address(operand)
  s.if(s.ne(s.and(address, s.const(address.width, 15)), s.const(address.width, 0)), () => s.fault(13, u32(s, 0)))
}

/** Reads a 128-bit source, which must be aligned when it is memory. */
export function readAligned(s: Builder, operand: StagedOperand): Val {
  requireAligned(s, operand)
  return s.read(whole(s, operand))
}

/** What every MMX instruction does to the x87 state: TOP = 0, all registers valid. [SDM1 9.5.1 "MMX Instructions and the x87 FPU Tag Word"] */
export function enterMmx(s: Builder): void {
  s.set('fpTop', u32(s, 0))
  s.set('fpEmpty', u32(s, 0))
}

/** Stores an MMX register; when the store faults, TOP is 0 already, but not the tags. */
export function storeMmx(s: Builder, dst: StagedOperand, value: Val): void {
  s.set('fpTop', u32(s, 0))
  s.write(dst, value)
  enterMmx(s)
}

/** For instructions on both register files: the conditions of SSE, then those of MMX with a pending #MF. */
export function requireBoth(s: Builder): void {
  s.requireFpu('sse')
  s.requireFpu('mmx')
}

/** Writes an MMX register; its exponent becomes all ones. */
export function writeMmx(s: Builder, dst: StagedOperand, value: Val): void {
  s.write(whole(s, dst), value)
  if (dst.kind === 'reg' && dst.index !== undefined) s.set('fpExp', s.const(16, 0xffff), dst.index)
  enterMmx(s)
}

/** dst = f(dst, src) on MMX or XMM registers; an MMX operand is the low half of a vector. */
export function packed(f: VectorOp): Semantic {
  return (s, dst, src) => {
    if (isMmx(dst!)) {
      s.requireFpu('mmx')
      const b = s.read(src!)
      const a = s.read(dst!)
      writeMmx(s, dst!, lo64(s, f(s, lift(s, a), lift(s, b))))
    } else {
      s.requireFpu('sse')
      const b = readAligned(s, src!)
      s.write(dst!, f(s, s.read(dst!), b))
    }
  }
}

/** As `packed`, for operations whose result takes its low half from dst and its high half from src: MMX joins the two. */
export function joined(f: VectorOp): Semantic {
  const xmm = packed(f)
  return (s, dst, src) => {
    if (!isMmx(dst!)) return xmm(s, dst!, src!)
    s.requireFpu('mmx')
    const b = s.read(src!)
    const both = pair(s, s.read(dst!), b)
    writeMmx(s, dst!, lo64(s, f(s, both, both)))
  }
}

/** dst = f(src). */
export function packedUnary(f: (s: Builder, a: Val) => Val): Semantic {
  return (s, dst, src) => {
    if (isMmx(dst!)) {
      s.requireFpu('mmx')
      writeMmx(s, dst!, lo64(s, f(s, lift(s, s.read(src!)))))
    } else {
      s.requireFpu('sse')
      s.write(dst!, f(s, readAligned(s, src!)))
    }
  }
}

/** A vector of eight-bit lanes made at staging. */
export const bytes = (s: Builder, lane: (i: number) => number): Val =>
  s.v128(Array.from({ length: 16 }, (_, i) => lane(i) & 0xff))
export const words = (s: Builder, lane: (i: number) => number): Val => bytes(s, (i) => lane(i >> 1) >> ((i & 1) * 8))
export const dwords = (s: Builder, lane: (i: number) => number): Val => bytes(s, (i) => lane(i >> 2) >> ((i & 3) * 8))
