import type { Builder, Semantic, Val } from '../builder.ts'
import type { SemanticTable } from '../registry.ts'
import { bitAt, maskedCount, singleStepOverflow, unlessZero } from './shift.ts'
import { signBit, unsignedTo, widthOf } from './width.ts'

type Direction = 'left' | 'right'

/** Rotation by the count modulo the width; CF is the last bit that went round, also when the count is a multiple of the width. */
const rotate =
  (direction: Direction): Semantic =>
  (s, dst, src) => {
    const a = s.readForWrite(dst)
    const width = widthOf(a)
    const count = maskedCount(s, s.read(src), width)
    const amount = width < 32 ? s.and(count, s.const(32, width - 1)) : count
    const r = direction === 'left' ? s.rotl(a, amount) : s.rotr(a, amount)
    s.write(dst, r)
    unlessZero(s, count, () => {
      const cf = direction === 'left' ? s.bit(r, 0) : signBit(s, r)
      const of = direction === 'left' ? singleStepOverflow(s, a) : s.xor(s.bit(a, 0), signBit(s, a))
      s.flags.set({
        cf,
        of: src.kind === 'reg' || dst.kind === 'mem' ? of : s.select(s.eq(count, s.const(32, 1)), of, s.flags.get('of')),
      })
    })
  }

/** Rotation of CF and the operand as one number of width + 1 bits. */
const rotateThroughCarry =
  (direction: Direction): Semantic =>
  (s, dst, src) => {
    const a = s.readForWrite(dst)
    const width = widthOf(a)
    const masked = maskedCount(s, s.read(src), width)
    const count = width < 32 ? s.remU(masked, s.const(32, width + 1)) : masked
    const carry = s.zext(s.flags.get('cf'), 64)
    const { r, cf } = width === 64 ? rotateQuad(s, a, carry, count, direction) : rotateNarrow(s, a, carry, count, direction)
    s.write(dst, r)
    const of = direction === 'left' ? singleStepOverflow(s, a) : s.xor(s.trunc(carry, 1), signBit(s, a))
    unlessZero(s, count, () => s.flags.set({ cf, of }))
  }

function rotateNarrow(s: Builder, a: Val, carry: Val, count: Val, direction: Direction): { r: Val; cf: Val } {
  const width = widthOf(a)
  const bits = s.const(32, width + 1)
  const rest = s.sub(bits, count)
  const whole = s.or(s.shl(carry, s.const(32, width)), s.zext(a, 64))
  const turned =
    direction === 'left' ? s.or(s.shl(whole, count), s.shr(whole, rest)) : s.or(s.shr(whole, count), s.shl(whole, rest))
  return { r: unsignedTo(s, turned, width), cf: s.bit(turned, width) }
}

/** 65 bits; a count of zero gives the operand itself and a meaningless CF. */
function rotateQuad(s: Builder, a: Val, carry: Val, count: Val, direction: Direction): { r: Val; cf: Val } {
  const six = s.const(32, 63)
  const one = s.const(32, 1)
  const before = s.and(s.sub(count, one), six)
  const rest = s.and(s.neg(count), six)
  const turned =
    direction === 'left'
      ? s.or(s.or(s.shl(a, count), s.shr(s.shr(a, one), rest)), s.shl(carry, before))
      : s.or(s.or(s.shr(a, count), s.shl(s.shl(a, one), rest)), s.shl(carry, rest))
  const r = s.select(s.isZero(count), a, turned)
  return { r, cf: direction === 'left' ? bitAt(s, a, rest) : bitAt(s, a, before) }
}

export const rotates: SemanticTable = {
  ROL: rotate('left'),
  ROR: rotate('right'),
  RCL: rotateThroughCarry('left'),
  RCR: rotateThroughCarry('right'),
}
