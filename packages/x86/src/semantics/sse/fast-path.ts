import type { Builder, Val, Width } from '../builder.ts'
import { truth, u32, zero } from './operand.ts'

/**
 * When a WebAssembly operator gives what SSE would, flags included: MXCSR rounds to nearest with all exceptions masked,
 * no operand or result is denormal, NaN or infinite, and PE is already set or the result is exact. DAZ and FTZ then change
 * nothing.
 */
const RELEVANT = 0x7fa0
const STICKY = 0x1fa0
const EXACT_ONLY = 0x1f80

export type Float = 'f32' | 'f64'
export const bitsWidth = (f: Float): 32 | 64 => (f === 'f32' ? 32 : 64)
const fractionBits = (f: Float): number => (f === 'f32' ? 23 : 52)
/** The smallest normal number and infinity, shifted left by one. */
const minimum = (f: Float): bigint => 2n << BigInt(fractionBits(f))
const infinite = (f: Float): bigint => (f === 'f32' ? 0xffn << 24n : 0x7ffn << 53n)

export const toBits = (s: Builder, f: Float, value: Val): Val =>
  s.op(f === 'f32' ? 'i32.reinterpret_f32' : 'i64.reinterpret_f64', value)
export const fromBits = (s: Builder, f: Float, bits: Val): Val =>
  s.op(f === 'f32' ? 'f32.reinterpret_i32' : 'f64.reinterpret_i64', bits)

/** The bits without the sign, shifted left by one: comparable as unsigned integers. */
export const magnitude = (s: Builder, f: Float, value: Val): Val => s.shl(toBits(s, f, value), s.const(bitsWidth(f), 1))

const constant = (s: Builder, f: Float, value: bigint): Val => s.const(bitsWidth(f), value)
export const isDenormal = (s: Builder, f: Float, m: Val): Val =>
  s.ltU(s.sub(m, constant(s, f, 1n)), constant(s, f, minimum(f) - 1n))
export const isFinite = (s: Builder, f: Float, m: Val): Val => s.ltU(m, constant(s, f, infinite(f)))
export const isNumber = (s: Builder, f: Float, m: Val): Val => s.leU(m, constant(s, f, infinite(f)))
/** Greater than the smallest normal number (which tininess after rounding may have reached) and finite. */
export const isWellNormal = (s: Builder, f: Float, m: Val): Val =>
  s.ltU(s.sub(m, constant(s, f, minimum(f) + 1n)), constant(s, f, infinite(f) - minimum(f) - 1n))

/**
 * `plain`: operands and result allow the fast path, the question of PE apart. `exact` is asked only while PE is clear.
 */
export function fastEnough(s: Builder, plain: Val, exact: () => Val): Val {
  const control = s.local(s.and(s.get('mxcsr'), u32(s, RELEVANT)))
  const ok = s.local(s.and(plain, s.eq(control.get(), u32(s, STICKY))))
  s.if(s.and(plain, s.eq(control.get(), u32(s, EXACT_ONLY))), () => ok.set(exact()))
  return ok.get()
}

/** As `fastEnough` for operations that truncate: rounding control does not matter. */
export function fastTruncation(s: Builder, plain: Val, exact: () => Val): Val {
  const control = s.local(s.and(s.get('mxcsr'), u32(s, RELEVANT & ~0x6000)))
  const ok = s.local(s.and(plain, s.eq(control.get(), u32(s, STICKY))))
  s.if(s.and(plain, s.eq(control.get(), u32(s, EXACT_ONLY))), () => ok.set(exact()))
  return ok.get()
}

// Packed forms of the same questions, as vectors of lane masks.

export const shapeOf = (f: Float): 'f32x4' | 'f64x2' => (f === 'f32' ? 'f32x4' : 'f64x2')
const splat = (s: Builder, f: Float, bits: bigint): Val =>
  s.op(f === 'f32' ? 'i32x4.splat' : 'i64x2.splat', s.const(bitsWidth(f) as Width, bits))

/** Lanes whose magnitude is below the smallest normal number but not zero. */
export function denormalLanes(s: Builder, f: Float, v: Val): Val {
  const shape = shapeOf(f)
  const small = s.op(`${shape}.lt`, s.op(`${shape}.abs`, v), splat(s, f, minimum(f) >> 1n))
  return s.op('v128.and', small, s.op(`${shape}.ne`, v, zero(s)))
}

/** Lanes not (greater than the smallest normal number and finite). */
export function unsoundLanes(s: Builder, f: Float, v: Val): Val {
  const shape = shapeOf(f)
  const absolute = s.op(`${shape}.abs`, v)
  const sound = s.op(
    'v128.and',
    s.op(`${shape}.gt`, absolute, splat(s, f, minimum(f) >> 1n)),
    s.op(`${shape}.lt`, absolute, splat(s, f, infinite(f) >> 1n)),
  )
  return s.op('v128.not', sound)
}

/** Lanes that are infinite or NaN. */
export const unboundedLanes = (s: Builder, f: Float, v: Val): Val =>
  s.op('v128.not', s.op(`${shapeOf(f)}.lt`, s.op(`${shapeOf(f)}.abs`, v), splat(s, f, infinite(f) >> 1n)))

export const nanLanes = (s: Builder, f: Float, v: Val): Val => s.op(`${shapeOf(f)}.ne`, v, v)
export const noLane = (s: Builder, mask: Val): Val => s.not(truth(s, s.op('v128.any_true', mask)))
export const orLanes = (s: Builder, ...masks: Val[]): Val => masks.reduce((a, b) => s.op('v128.or', a, b))
