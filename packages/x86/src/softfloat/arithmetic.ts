import {
  DE,
  DOWN,
  finite,
  IE,
  INDEFINITE,
  infinity,
  isNan,
  isqrt,
  Kind,
  quieted,
  ZE,
  zeroNum,
  type Num,
  type Rounding,
} from './number.ts'

/** The exact result of an operation (finite ones still to be rounded) and the exceptions found before computing: IE, ZE, DE. */
export interface Outcome {
  readonly value: Num
  readonly flags: number
}

/** Which NaN a two-operand operation returns. */
export type NanRule = (a: Num, b: Num) => Num

/** x87: of two NaNs of one kind the larger significand, else the quiet one. [SDM1 Table 4-7 "Rules for Handling NaNs"] */
export function x87Nan(a: Num, b: Num): Num {
  if (!isNan(b)) return quieted(a)
  if (!isNan(a)) return quieted(b)
  if (a.kind !== b.kind) return quieted(a.kind === Kind.quiet ? a : b)
  const qa = quieted(a)
  const qb = quieted(b)
  if (qa.mag !== qb.mag) return qa.mag > qb.mag ? qa : qb
  return qa.sign <= qb.sign ? qa : qb
}

/** SSE: the first source if it is a NaN, else the second. */
export const sseNan: NanRule = (a, b) => quieted(isNan(a) ? a : b)

const done = (value: Num, flags = 0): Outcome => ({ value, flags })
const INVALID: Outcome = done(INDEFINITE, IE)

/** Results that NaNs and unsupported encodings decide. */
function special(a: Num, b: Num, rule: NanRule): Outcome | undefined {
  if (a.kind < Kind.quiet && b.kind < Kind.quiet) return undefined
  if (a.kind === Kind.unsupported || b.kind === Kind.unsupported) return INVALID
  return done(rule(a, b), a.kind === Kind.signaling || b.kind === Kind.signaling ? IE : 0)
}

const denormalFlag = (a: Num, b: Num): number => (a.denormal || b.denormal ? DE : 0)
const flipped = (n: Num): Num => ({ ...n, sign: (n.sign ^ 1) as 0 | 1 })

export function add(a: Num, b: Num, rounding: Rounding, rule: NanRule): Outcome {
  return special(a, b, rule) ?? sum(a, b, rounding)
}

export function subtract(a: Num, b: Num, rounding: Rounding, rule: NanRule): Outcome {
  return special(a, b, rule) ?? sum(a, flipped(b), rounding)
}

function sum(a: Num, b: Num, rounding: Rounding): Outcome {
  if (a.kind === Kind.infinity || b.kind === Kind.infinity) {
    if (a.kind === b.kind && a.sign !== b.sign) return INVALID
    return done(infinity(a.kind === Kind.infinity ? a.sign : b.sign), denormalFlag(a, b))
  }
  const flags = denormalFlag(a, b)
  const cancelled = zeroNum(rounding === DOWN ? 1 : 0)
  if (a.kind === Kind.zero && b.kind === Kind.zero) return done(a.sign === b.sign ? a : cancelled)
  if (a.kind === Kind.zero) return done(b, flags)
  if (b.kind === Kind.zero) return done(a, flags)
  const [hi, lo] = a.e >= b.e ? [a, b] : [b, a]
  const signed = (n: Num): bigint => (n.sign ? -n.mag : n.mag)
  let shift = hi.e - lo.e
  let low = signed(lo)
  let e = lo.e
  // Far apart: the smaller one counts only as a sticky bit.
  if (shift > 400) {
    e = hi.e - 400
    shift = 400
    low = lo.sign ? -1n : 1n
  }
  const total = (signed(hi) << BigInt(shift)) + low
  if (total === 0n) return done(cancelled, flags)
  return done(finite(total < 0n ? 1 : 0, total < 0n ? -total : total, e), flags)
}

export function multiply(a: Num, b: Num, rule: NanRule): Outcome {
  const bad = special(a, b, rule)
  if (bad) return bad
  const sign = (a.sign ^ b.sign) as 0 | 1
  const flags = denormalFlag(a, b)
  if (a.kind === Kind.infinity || b.kind === Kind.infinity) {
    return a.kind === Kind.zero || b.kind === Kind.zero ? INVALID : done(infinity(sign), flags)
  }
  if (a.kind === Kind.zero || b.kind === Kind.zero) return done(zeroNum(sign), flags)
  return done(finite(sign, a.mag * b.mag, a.e + b.e), flags)
}

export function divide(a: Num, b: Num, rule: NanRule): Outcome {
  const bad = special(a, b, rule)
  if (bad) return bad
  const sign = (a.sign ^ b.sign) as 0 | 1
  const flags = denormalFlag(a, b)
  if (a.kind === Kind.infinity) return b.kind === Kind.infinity ? INVALID : done(infinity(sign), flags)
  if (b.kind === Kind.infinity) return done(zeroNum(sign), flags)
  if (b.kind === Kind.zero) return a.kind === Kind.zero ? INVALID : done(infinity(sign), ZE)
  if (a.kind === Kind.zero) return done(zeroNum(sign), flags)
  // 200 more bits than the divisor has leave at least 130 of quotient, whatever the operands' normalization.
  const dividend = a.mag << 200n
  const q = dividend / b.mag
  const sticky = q * b.mag === dividend ? 0n : 1n
  return done(finite(sign, (q << 1n) | sticky, a.e - b.e - 201), flags)
}

export function squareRoot(a: Num): Outcome {
  if (a.kind === Kind.unsupported) return INVALID
  if (isNan(a)) return done(quieted(a), a.kind === Kind.signaling ? IE : 0)
  if (a.kind === Kind.zero) return done(a)
  if (a.sign) return INVALID
  if (a.kind === Kind.infinity) return done(a)
  const odd = (a.e & 1) === 1
  const mag = (odd ? a.mag << 1n : a.mag) << 200n
  const e = (odd ? a.e - 1 : a.e) - 200
  const r = isqrt(mag)
  const sticky = r * r === mag ? 0n : 1n
  return done(finite(0, (r << 1n) | sticky, e / 2 - 1), a.denormal ? DE : 0)
}

/** -1, 0, 1 for less, equal, greater; neither is a NaN or unsupported. */
export function compare(a: Num, b: Num): -1 | 0 | 1 {
  const side = (n: Num): number => (n.kind === Kind.zero ? 0 : n.sign ? -1 : 1)
  const sa = side(a)
  const sb = side(b)
  if (sa !== sb) return sa < sb ? -1 : 1
  if (sa === 0) return 0
  let order: number
  if (a.kind === Kind.infinity || b.kind === Kind.infinity)
    order = (a.kind === Kind.infinity ? 1 : 0) - (b.kind === Kind.infinity ? 1 : 0)
  else {
    const e = Math.min(a.e, b.e)
    const difference = (a.mag << BigInt(a.e - e)) - (b.mag << BigInt(b.e - e))
    order = difference > 0n ? 1 : difference < 0n ? -1 : 0
  }
  return (order * sa) as -1 | 0 | 1
}
