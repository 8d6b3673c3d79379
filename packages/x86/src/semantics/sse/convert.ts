import type { Builder, Semantic, Subroutine, Val } from '../builder.ts'
import type { SemanticTable } from '../registry.ts'
import { readScalar, vectorMicrocode, writeScalar } from './arithmetic.ts'
import {
  bitsWidth,
  denormalLanes,
  fastEnough,
  fastTruncation,
  fromBits,
  isDenormal,
  isFinite,
  isWellNormal,
  magnitude,
  noLane,
  orLanes,
  toBits,
  unboundedLanes,
  unsoundLanes,
  type Float,
} from './fast-path.ts'
import { enterMmx, isMmx, lift, lo64, low, readAligned, requireBoth, truth, u32, whole, writeMmx, zero } from './operand.ts'

const yes = (s: Builder): Val => s.const(1, 1)

/** Single to double: exact; NaNs and denormals are the microcode's. */
const WIDEN: Subroutine = {
  name: 'sse.cvt.f32.f64',
  params: ['f32'],
  results: ['f64'],
  body: (s, a) => {
    const m = magnitude(s, 'f32', a!)
    const r = s.local(s.op('f64.promote_f32', a!))
    s.if(s.not(s.and(isFinite(s, 'f32', m), s.not(isDenormal(s, 'f32', m)))), () => {
      const [bits] = s.microcode('sse.cvt.f32.f64', [toBits(s, 'f32', a!)], 1)
      r.set(fromBits(s, 'f64', bits!))
    })
    return [r.get()]
  },
}

const NARROW: Subroutine = {
  name: 'sse.cvt.f64.f32',
  params: ['f64'],
  results: ['f32'],
  body: (s, a) => {
    const r = s.local(s.op('f32.demote_f64', a!))
    const plain = s.or(isWellNormal(s, 'f32', magnitude(s, 'f32', r.get())), s.isZero(magnitude(s, 'f64', a!)))
    const fast = fastEnough(s, plain, () => truth(s, s.op('f64.eq', s.op('f64.promote_f32', r.get()), a!)))
    s.if(s.not(fast), () => {
      const [bits] = s.microcode('sse.cvt.f64.f32', [toBits(s, 'f64', a!)], 1)
      r.set(fromBits(s, 'f32', s.trunc(bits!, 32)))
    })
    return [r.get()]
  },
}

/** A signed integer to a float. */
function fromInteger(width: 32 | 64, f: Float): Subroutine {
  const name = `sse.cvt.i${width}.${f}`
  const significand = f === 'f32' ? 24 : 53
  return {
    name,
    params: [width],
    results: [f],
    body: (s, value) => {
      const r = s.local(s.op(`${f}.convert_i${width}_s`, value!))
      if (width < significand) return [r.get()]
      const limit = s.const(width, 1n << BigInt(significand))
      const fast = fastEnough(s, yes(s), () => s.leU(s.add(value!, limit), s.add(limit, limit)))
      s.if(s.not(fast), () => {
        const [bits] = s.microcode(name, [value!], 1)
        r.set(fromBits(s, f, s.trunc(bits!, bitsWidth(f))))
      })
      return [r.get()]
    },
  }
}

/** A float to a signed integer, truncated or rounded by MXCSR. */
function toInteger(f: Float, width: 32 | 64, truncate: boolean): Subroutine {
  return {
    name: `sse.int.${f}.i${width}.${truncate ? 'chop' : 'round'}`,
    params: [f],
    results: [width],
    body: (s, a) => {
      const integral = s.local(s.op(truncate ? `${f}.trunc` : `${f}.nearest`, a!))
      const result = s.local(s.op(`i${width}.trunc_sat_${f}_s`, integral.get()))
      const limit = 2 ** (width - 1)
      const inside = s.and(
        truth(s, s.op(`${f}.lt`, integral.get(), s.const(f, limit))),
        truth(s, s.op(`${f}.ge`, integral.get(), s.const(f, -limit))),
      )
      const exact = (): Val => truth(s, s.op(`${f}.eq`, integral.get(), a!))
      const fast = (truncate ? fastTruncation : fastEnough)(s, inside, exact)
      s.if(s.not(fast), () => {
        const [value] = s.microcode(`sse.int.${f}`, [toBits(s, f, a!), u32(s, width), u32(s, truncate ? 1 : 0)], 1)
        result.set(s.trunc(value!, width))
      })
      return [result.get()]
    },
  }
}

type Fast = (s: Builder, a: Val) => { result: Val; plain: Val; exact: () => Val }

/** A packed conversion of the low part of a vector. */
function packedConversion(name: string, fast: Fast, truncates = false): Subroutine {
  return {
    name: `sse.${name}`,
    params: [128],
    results: [128],
    body: (s, a) => {
      const { result, plain, exact } = fast(s, a!)
      const r = s.local(result)
      s.if(s.not((truncates ? fastTruncation : fastEnough)(s, plain, exact)), () =>
        r.set(vectorMicrocode(s, `sse.${name}`, a!, a!)),
      )
      return [r.get()]
    },
  }
}

/** Float lanes to dwords: all within range. */
const lanesToInteger =
  (f: Float, truncate: boolean, lanes: 2 | 4): Fast =>
  (s, a) => {
    const shape = f === 'f32' ? 'f32x4' : 'f64x2'
    const source = lanes === 2 && f === 'f32' ? lift(s, lo64(s, a)) : a
    const integral = s.op(truncate ? `${shape}.trunc` : `${shape}.nearest`, source)
    const bound = (value: number): Val => s.op(`${shape}.splat`, s.const(f, value))
    const inside = s.op(
      'v128.and',
      s.op(`${shape}.lt`, integral, bound(2 ** 31)),
      s.op(`${shape}.ge`, integral, bound(-(2 ** 31))),
    )
    return {
      result: s.op(f === 'f32' ? 'i32x4.trunc_sat_f32x4_s' : 'i32x4.trunc_sat_f64x2_s_zero', integral),
      plain: noLane(s, s.op('v128.not', inside)),
      exact: () => noLane(s, s.op(`${shape}.ne`, integral, source)),
    }
  }

/** Dwords to singles; exact up to 24 bits. */
const lanesFromInteger =
  (lanes: 2 | 4): Fast =>
  (s, a) => {
    const source = lanes === 2 ? lift(s, lo64(s, a)) : a
    const limit = s.op('i32x4.splat', u32(s, 1 << 24))
    return {
      result: s.op('f32x4.convert_i32x4_s', source),
      plain: yes(s),
      exact: () => noLane(s, s.op('i32x4.gt_u', s.op('i32x4.abs', source), limit)),
    }
  }

const widenLanes: Fast = (s, a) => {
  const source = lift(s, lo64(s, a))
  return {
    result: s.op('f64x2.promote_low_f32x4', source),
    plain: noLane(s, orLanes(s, unboundedLanes(s, 'f32', source), denormalLanes(s, 'f32', source))),
    exact: () => yes(s),
  }
}

const narrowLanes: Fast = (s, a) => {
  const r = s.op('f32x4.demote_f64x2_zero', a)
  const zeros = s.op('f64x2.eq', a, zero(s))
  const upper = s.op('i64x2.replace_lane', s.op('i64x2.splat', s.const(64, -1)), s.const(64, 0))
  // The two upper lanes of the result are not looked at, and zero lanes are sound.
  const zeroLanes = s.shuffle(zeros, upper, [0, 1, 2, 3, 8, 9, 10, 11, 24, 25, 26, 27, 28, 29, 30, 31])
  return {
    result: r,
    plain: noLane(s, s.op('v128.andnot', unsoundLanes(s, 'f32', r), zeroLanes)),
    exact: () => noLane(s, s.op('f64x2.ne', s.op('f64x2.promote_low_f32x4', r), a)),
  }
}

const PS2PD = packedConversion('cvtps2pd', widenLanes)
const PD2PS = packedConversion('cvtpd2ps', narrowLanes)
const DQ2PS = packedConversion('cvtdq2ps', lanesFromInteger(4))
const PI2PS = packedConversion('cvtpi2ps', lanesFromInteger(2))
const PS2DQ = packedConversion('cvtps2dq', lanesToInteger('f32', false, 4))
const TPS2DQ = packedConversion('cvttps2dq', lanesToInteger('f32', true, 4), true)
const PD2DQ = packedConversion('cvtpd2dq', lanesToInteger('f64', false, 2))
const TPD2DQ = packedConversion('cvttpd2dq', lanesToInteger('f64', true, 2), true)
const PS2PI = packedConversion('cvtps2pi', lanesToInteger('f32', false, 2))
const TPS2PI = packedConversion('cvttps2pi', lanesToInteger('f32', true, 2), true)

/** XMM from XMM or memory; a 64-bit source needs no alignment. */
const vector =
  (sub: Subroutine): Semantic =>
  (s, dst, src) => {
    s.requireFpu('sse')
    const half = src!.kind === 'mem' && src!.width === 64
    const a = half ? lift(s, s.read(src!)) : readAligned(s, src!)
    const [r] = s.call(sub, a)
    s.write(whole(s, dst!), r!)
  }

/** MMX register from XMM or memory. */
const toMmx =
  (sub: Subroutine): Semantic =>
  (s, dst, src) => {
    requireBoth(s)
    const half = src!.kind === 'mem' && src!.width === 64
    const a = half ? lift(s, s.read(src!)) : readAligned(s, src!)
    // The x87 state changes even when the conversion faults.
    enterMmx(s)
    const [r] = s.call(sub, a)
    writeMmx(s, dst!, lo64(s, r!))
  }

/** CVTDQ2PD and CVTPI2PD are exact. Only an MMX source touches the x87 state and raises a pending #MF. */
const integersToDoubles: Semantic = (s, dst, src) => {
  const mmx = isMmx(src!)
  if (mmx) requireBoth(s)
  else s.requireFpu('sse')
  const value = s.read(low(s, src!, 64))
  s.write(whole(s, dst!), s.op('f64x2.convert_low_i32x4_s', lift(s, value)))
  if (mmx) enterMmx(s)
}

const CVTPI2PS: Semantic = (s, dst, src) => {
  const mmx = isMmx(src!)
  if (mmx) requireBoth(s)
  else s.requireFpu('sse')
  const value = lift(s, s.read(low(s, src!, 64)))
  if (mmx) enterMmx(s)
  const [r] = s.call(PI2PS, value)
  s.write(low(s, dst!, 64), lo64(s, r!))
}

const subs = {
  i32f32: fromInteger(32, 'f32'),
  i32f64: fromInteger(32, 'f64'),
  i64f32: fromInteger(64, 'f32'),
  i64f64: fromInteger(64, 'f64'),
}

const integerToScalar =
  (f: Float): Semantic =>
  (s, dst, src) => {
    s.requireFpu('sse')
    const [r] = s.call(subs[`${src!.width === 64 ? 'i64' : 'i32'}${f}`], s.read(src!))
    writeScalar(s, f, dst!, r!)
  }

function scalarToInteger(f: Float, truncate: boolean): Semantic {
  const to32 = toInteger(f, 32, truncate)
  const to64 = toInteger(f, 64, truncate)
  return (s, dst, src) => {
    s.requireFpu('sse')
    const [r] = s.call(dst!.width === 64 ? to64 : to32, readScalar(s, f, src!))
    s.write(dst!, r!)
  }
}

export const convertSemantics: SemanticTable = {
  CVTSS2SD: (s, dst, src) => {
    s.requireFpu('sse')
    const [r] = s.call(WIDEN, readScalar(s, 'f32', src!))
    writeScalar(s, 'f64', dst!, r!)
  },
  CVTSD2SS: (s, dst, src) => {
    s.requireFpu('sse')
    const [r] = s.call(NARROW, readScalar(s, 'f64', src!))
    writeScalar(s, 'f32', dst!, r!)
  },
  CVTSI2SS: integerToScalar('f32'),
  CVTSI2SD: integerToScalar('f64'),
  CVTSS2SI: scalarToInteger('f32', false),
  CVTSD2SI: scalarToInteger('f64', false),
  CVTTSS2SI: scalarToInteger('f32', true),
  CVTTSD2SI: scalarToInteger('f64', true),
  CVTPS2PD: vector(PS2PD),
  CVTPD2PS: vector(PD2PS),
  CVTDQ2PS: vector(DQ2PS),
  CVTPS2DQ: vector(PS2DQ),
  CVTTPS2DQ: vector(TPS2DQ),
  CVTPD2DQ: vector(PD2DQ),
  CVTTPD2DQ: vector(TPD2DQ),
  CVTDQ2PD: integersToDoubles,
  CVTPI2PD: integersToDoubles,
  CVTPI2PS,
  CVTPS2PI: toMmx(PS2PI),
  CVTTPS2PI: toMmx(TPS2PI),
  CVTPD2PI: toMmx(PD2DQ),
  CVTTPD2PI: toMmx(TPD2DQ),
}
