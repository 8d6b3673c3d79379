import type { Builder, Semantic, Val } from '../builder.ts'
import type { SemanticTable } from '../registry.ts'
import { signBit, unsignedTo, widthOf, type IntWidth } from './width.ts'

/** The masked count, width 32. [SDM2 "SAL/SAR/SHL/SHR—Shift"] */
export function maskedCount(s: Builder, count: Val, width: IntWidth): Val {
  return s.and(unsignedTo(s, count, 32), s.const(32, width === 64 ? 63 : 31))
}

/**
 * OF is defined for a count of one only. Intel's processors set it in SHL, SHR, SHLD, SHRD, RCL and RCR for every count as if
 * the count were one, ROL and ROR too, but for a register rotated by an immediate above one, where they leave it alone.
 */
export function singleStepOverflow(s: Builder, a: Val): Val {
  return s.xor(signBit(s, a), s.bit(a, widthOf(a) - 2))
}

/** Bits to calculate in: a count may exceed a narrow operand, so that it needs a wider container. */
const containerOf = (width: IntWidth): 32 | 64 => (width === 64 ? 64 : 32)

export const unlessZero = (s: Builder, count: Val, then: () => void): void => s.if(s.ne(count, s.const(32, 0)), then)
export const bitAt = (s: Builder, value: Val, position: Val): Val => s.trunc(s.shr(value, position), 1)

const SHL: Semantic = (s, dst, src) => {
  const a = s.readForWrite(dst)
  const width = widthOf(a)
  const count = maskedCount(s, s.read(src), width)
  const container = containerOf(width)
  const wide = unsignedTo(s, a, container)
  const r = unsignedTo(s, s.shl(wide, count), width)
  s.write(dst, r)
  unlessZero(s, count, () => {
    const before = s.shl(wide, s.sub(count, s.const(32, 1)))
    s.flags.result(r, s.bit(before, width - 1), singleStepOverflow(s, a))
  })
}

const SHR: Semantic = (s, dst, src) => {
  const a = s.readForWrite(dst)
  const width = widthOf(a)
  const count = maskedCount(s, s.read(src), width)
  const wide = unsignedTo(s, a, containerOf(width))
  const r = unsignedTo(s, s.shr(wide, count), width)
  s.write(dst, r)
  unlessZero(s, count, () => s.flags.result(r, bitAt(s, wide, s.sub(count, s.const(32, 1))), signBit(s, a)))
}

const SAR: Semantic = (s, dst, src) => {
  const a = s.readForWrite(dst)
  const width = widthOf(a)
  const count = maskedCount(s, s.read(src), width)
  const wide = width < 32 ? s.sext(a, 32) : a
  const r = unsignedTo(s, s.sar(wide, count), width)
  s.write(dst, r)
  unlessZero(s, count, () => {
    const cf = s.trunc(s.sar(wide, s.sub(count, s.const(32, 1))), 1)
    s.flags.result(r, cf, s.const(1, 0))
  })
}

/** SHLD and SHRD of 16 bits by more than 16, which the manual leaves undefined, go on with the destination again. */
const doubleShift =
  (direction: 'left' | 'right'): Semantic =>
  (s, dst, src, by) => {
    const a = s.readForWrite(dst)
    const b = s.read(src)
    const width = widthOf(a)
    const count = maskedCount(s, s.read(by), width)
    const { r, cf } = width === 64 ? shiftQuads(s, a, b, count, direction) : shiftJoined(s, a, b, count, direction)
    s.write(dst, r)
    const of = direction === 'left' ? singleStepOverflow(s, a) : s.xor(s.bit(b, 0), signBit(s, a))
    unlessZero(s, count, () => s.flags.result(r, cf, of))
  }

/** The operands in one 64-bit container, wide enough for any count. */
function shiftJoined(s: Builder, a: Val, b: Val, count: Val, direction: 'left' | 'right'): { r: Val; cf: Val } {
  const width = widthOf(a)
  const high = s.zext(direction === 'left' ? a : b, 64)
  const low = s.zext(direction === 'left' ? b : a, 64)
  let joined = s.or(s.shl(high, s.const(32, width)), low)
  if (width === 16) {
    const again = s.zext(a, 64)
    joined = direction === 'left' ? s.or(s.shl(joined, s.const(32, 16)), again) : s.or(joined, s.shl(again, s.const(32, 32)))
  }
  if (direction === 'right') {
    const before = s.sub(count, s.const(32, 1))
    return { r: s.trunc(s.shr(joined, count), width), cf: bitAt(s, joined, s.and(before, s.const(32, 63))) }
  }
  const end = width === 16 ? 48 : 64
  const r = s.trunc(s.shr(s.shl(joined, count), s.const(32, end - width)), width)
  return { r, cf: bitAt(s, joined, s.and(s.sub(s.const(32, end), count), s.const(32, 63))) }
}

function shiftQuads(s: Builder, a: Val, b: Val, count: Val, direction: 'left' | 'right'): { r: Val; cf: Val } {
  const rest = s.sub(s.const(32, 63), count)
  const one = s.const(32, 1)
  if (direction === 'left') {
    const r = s.or(s.shl(a, count), s.shr(s.shr(b, one), rest))
    return { r, cf: bitAt(s, s.shr(a, rest), one) }
  }
  const r = s.or(s.shr(a, count), s.shl(s.shl(b, one), rest))
  return { r, cf: bitAt(s, a, s.and(s.sub(count, one), s.const(32, 63))) }
}

export const shift: SemanticTable = { SHL, SHR, SAR, SHLD: doubleShift('left'), SHRD: doubleShift('right') }
