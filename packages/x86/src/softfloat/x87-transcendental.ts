import { compare, x87Nan } from './arithmetic.ts'
import { arctangent, cosine, expm1, FRACTION, LN2, log1p, ONE, PI, sine, toFixed, topOf } from './elementary.ts'
import type { FpuMicrocode, FpuMicrocodeTable } from './machine.ts'
import {
  bitLength,
  DE,
  finite,
  IE,
  INDEFINITE,
  infinity,
  isNan,
  Kind,
  EXTENDED,
  NEAREST,
  PE,
  quieted,
  ZE,
  zeroNum,
  type Num,
} from './number.ts'
import { onTop } from './x87-basic.ts'
import { C2, X87 } from './x87.ts'

const F = BigInt(FRACTION)
const ONE_NUM = finite(0, 1n, 0)

/** NaNs and unsupported encodings of a one-operand instruction; undefined for numbers and infinities. */
function special(a: Num): { value: Num; flags: number } | undefined {
  if (a.kind === Kind.unsupported) return { value: INDEFINITE, flags: IE }
  if (isNan(a)) return { value: quieted(a), flags: a.kind === Kind.signaling ? IE : 0 }
  return undefined
}

const invalid = { value: INDEFINITE, flags: IE }

/** An irrational result known to FRACTION bits: never exact, so a bit far below is set. */
const inexact = (sign: 0 | 1, mag: bigint, e: number): Num => finite(sign, (mag << 1n) | 1n, e - 1)
const fixed = (value: bigint): Num => inexact(value < 0n ? 1 : 0, value < 0n ? -value : value, -FRACTION)

/** a * (1 - delta) for a delta far below the last place. */
const justBelow = (a: Num): Num => finite(a.sign, (a.mag << 80n) - 1n, a.e - 80)
const justAbove = (a: Num): Num => finite(a.sign, (a.mag << 80n) + 1n, a.e - 80)

/** The processor's pi has 66 bits. [SDM1 8.3.8 "Approximation of Pi"] */
const PI66 = 0x3243f6a8885a308d3n
const PI66_E = -64

interface Reduced {
  /** Remainder in [-pi/4, pi/4], exact, and the quadrant. */
  readonly rest: Num
  readonly quadrant: number
}

function reduce(a: Num): Reduced {
  // pi / 2 = PI66 * 2^(PI66_E - 1)
  const e = Math.min(a.e, PI66_E - 1)
  const x = a.mag << BigInt(a.e - e)
  const half = PI66 << BigInt(PI66_E - 1 - e)
  const q = (2n * x + half) / (2n * half)
  const rest = x - q * half
  const negative = rest < 0n !== (a.sign === 1)
  const quadrant = Number(q & 3n)
  return { rest: finite(negative ? 1 : 0, rest < 0n ? -rest : rest, e), quadrant: a.sign ? (4 - quadrant) & 3 : quadrant }
}

const TINY = -68
const flip = (n: Num): Num => ({ ...n, sign: (n.sign ^ 1) as 0 | 1 })

function sineOf({ rest }: Reduced): Num {
  if (rest.mag === 0n) return zeroNum(rest.sign)
  if (topOf(rest.mag, rest.e) < TINY) return justBelow(rest)
  return { ...fixed(sine(toFixed(rest.mag, rest.e))), sign: rest.sign }
}

function cosineOf({ rest }: Reduced): Num {
  if (rest.mag === 0n || topOf(rest.mag, rest.e) < TINY) return justBelow(ONE_NUM)
  return fixed(cosine(toFixed(rest.mag, rest.e)))
}

function sinOf(r: Reduced): Num {
  const value = r.quadrant & 1 ? cosineOf(r) : sineOf(r)
  return r.quadrant & 2 ? flip(value) : value
}
const cosOf = (r: Reduced): Num => sinOf({ ...r, quadrant: (r.quadrant + 1) & 3 })

function quotient(a: Num, b: Num): Num {
  const scale = 160 + bitLength(b.mag)
  return inexact((a.sign ^ b.sign) as 0 | 1, (a.mag << BigInt(scale)) / b.mag, a.e - b.e - scale)
}

/** FSIN, FCOS, FSINCOS, FPTAN: C2 = 1 and nothing done from 2^63 on. */
function trigonometric(results: (a: Num) => readonly [Num] | readonly [Num, Num]): FpuMicrocode {
  return (m) => {
    const fpu = new X87(m)
    const two = results(zeroNum(0)).length === 2
    fpu.m.state.fpStatus &= ~C2
    if (fpu.isEmpty(0) || (two && !fpu.isEmpty(7))) {
      if (!(fpu.isEmpty(0) ? fpu.underflow(0) : fpu.overflow()) || !two) return
      fpu.set(0, INDEFINITE)
      fpu.down()
      return fpu.set(0, INDEFINITE)
    }
    const a = fpu.get(0)
    const bad = special(a) ?? (a.kind === Kind.infinity ? invalid : undefined)
    if (bad) {
      if (!fpu.raise(bad.flags)) return
      fpu.set(0, bad.value)
      if (!two) return
      fpu.down()
      return fpu.set(0, bad.value)
    }
    if (a.kind === Kind.finite) {
      if (topOf(a.mag, a.e) >= 63) return void (m.state.fpStatus |= C2)
      if (a.denormal && !fpu.raise(DE)) return
    }
    const [first, second] = results(a)
    // Processors give sin x = x for small x, whatever RC says.
    const small = a.kind === Kind.finite && topOf(a.mag, a.e) < TINY
    const rounding = small ? NEAREST : fpu.rounding
    const value = fpu.finish({ value: first, flags: 0 }, EXTENDED, rounding)
    // C1 is the cosine's.
    const top = second === undefined || second === ONE_NUM ? second : fpu.finish({ value: second, flags: 0 }, EXTENDED, rounding)
    if (small) fpu.setC1(false)
    fpu.set(0, value!)
    if (!top) return
    fpu.down()
    fpu.set(0, top)
  }
}

const fsin = trigonometric((a) => [a.kind === Kind.zero ? a : sinOf(reduce(a))])
const fcos = trigonometric((a) => [a.kind === Kind.zero ? ONE_NUM : cosOf(reduce(a))])
const fsincos = trigonometric((a) => {
  if (a.kind === Kind.zero) return [a, ONE_NUM]
  const r = reduce(a)
  return [sinOf(r), cosOf(r)]
})
const fptan = trigonometric((a) => {
  if (a.kind === Kind.zero) return [a, ONE_NUM]
  const r = reduce(a)
  if (r.rest.mag !== 0n && r.quadrant % 2 === 0 && topOf(r.rest.mag, r.rest.e) < TINY) return [justAbove(r.rest), ONE_NUM]
  return [quotient(sinOf(r), cosOf(r)), ONE_NUM]
})

/** 2^x - 1 for -1 <= x <= 1; elsewhere undefined, and the operand stays. */
const f2xm1 = onTop((a, fpu) => {
  const bad = special(a)
  if (bad) return fpu.finish(bad)
  if (a.kind === Kind.infinity) return a.sign ? finite(1, 1n, 0) : a
  if (a.kind === Kind.zero) return a
  const top = topOf(a.mag, a.e)
  if (top >= 0) {
    fpu.raise(PE)
    return compare({ ...a, sign: 0 }, ONE_NUM) === 0 ? half(a) : a
  }
  const flags = a.denormal ? DE : 0
  if (top < TINY) return fpu.finish({ value: inexact(a.sign, (a.mag * LN2) >> (F - 128n), a.e - 128), flags })
  const x = (toFixed(a.mag, a.e + 64) * LN2) >> (F + 64n)
  return fpu.finish({ value: fixed(expm1(a.sign ? -x : x)), flags })
})
/** 2^1 - 1 and 2^-1 - 1. */
const half = (a: Num): Num => (a.sign ? finite(1, 1n, -1) : ONE_NUM)

/** Two operands, ST(1) = f(ST(0), ST(1)), pop. */
function toSecond(f: (x: Num, y: Num) => { value: Num; flags: number }): FpuMicrocode {
  return (m) => {
    const fpu = new X87(m)
    if (fpu.isEmpty(0) || fpu.isEmpty(1)) {
      if (fpu.underflow(1)) fpu.pop()
      return
    }
    const x = fpu.get(0)
    const y = fpu.get(1)
    let outcome: { value: Num; flags: number }
    if (x.kind === Kind.unsupported || y.kind === Kind.unsupported) outcome = invalid
    else if (isNan(x) || isNan(y)) {
      outcome = { value: x87Nan(y, x), flags: x.kind === Kind.signaling || y.kind === Kind.signaling ? IE : 0 }
    } else {
      outcome = f(x, y)
      if (!(outcome.flags & (IE | ZE)) && (x.denormal || y.denormal))
        outcome = { value: outcome.value, flags: outcome.flags | DE }
    }
    const value = fpu.finish({ value: outcome.value, flags: outcome.flags & ~PE })
    if (!value) return
    fpu.raise(outcome.flags & PE)
    fpu.set(1, value)
    fpu.pop()
  }
}

const times = (y: Num, log: bigint): Num => {
  const negative = log < 0n
  return inexact((y.sign ^ (negative ? 1 : 0)) as 0 | 1, y.mag * (negative ? -log : log), y.e - FRACTION)
}

/** log2(x) in fixed point, exact for powers of two. */
function log2(mag: bigint, e: number): { log: bigint; exact: boolean } {
  const length = bitLength(mag)
  let exponent = e + length - 1
  let m = mag << BigInt(FRACTION - length + 1)
  if (m > ONE + (ONE >> 1n)) {
    m >>= 1n
    exponent++
  }
  if (m === ONE) return { log: BigInt(exponent) << F, exact: true }
  return { log: (BigInt(exponent) << F) + (log1p(m - ONE) << F) / LN2, exact: false }
}

const fyl2x = toSecond((x, y) => {
  if (x.kind === Kind.zero) {
    if (y.kind === Kind.zero) return invalid
    const value = infinity((y.sign ^ 1) as 0 | 1)
    return { value, flags: y.kind === Kind.infinity ? 0 : ZE }
  }
  if (x.sign) return invalid
  if (x.kind === Kind.infinity) return y.kind === Kind.zero ? invalid : { value: infinity(y.sign), flags: 0 }
  const order = compare(x, ONE_NUM)
  if (y.kind === Kind.infinity)
    return order === 0 ? invalid : { value: infinity((y.sign ^ (order < 0 ? 1 : 0)) as 0 | 1), flags: 0 }
  if (y.kind === Kind.zero || order === 0) return { value: zeroNum((y.sign ^ (order < 0 ? 1 : 0)) as 0 | 1), flags: 0 }
  const { log, exact } = log2(x.mag, x.e)
  if (!exact) return { value: times(y, log), flags: 0 }
  const k = log >> F
  // Processors take powers of two for inexact too.
  return { value: justBelow(finite((y.sign ^ (k < 0n ? 1 : 0)) as 0 | 1, y.mag * (k < 0n ? -k : k), y.e)), flags: 0 }
})

const fyl2xp1 = toSecond((x, y) => {
  if (x.kind === Kind.infinity) return x.sign || y.kind === Kind.zero ? invalid : { value: infinity(y.sign), flags: 0 }
  const sign = (x.sign ^ y.sign) as 0 | 1
  if (x.kind === Kind.zero) return y.kind === Kind.infinity ? invalid : { value: zeroNum(sign), flags: 0 }
  if (y.kind === Kind.infinity) return { value: infinity(sign), flags: 0 }
  if (y.kind === Kind.zero) return { value: zeroNum(sign), flags: 0 }
  const top = topOf(x.mag, x.e)
  if (top < -120) return { value: finite(sign, ((((x.mag * y.mag) << 128n) << F) / LN2) | 1n, x.e + y.e - 128), flags: 0 }
  const fixedX = toFixed(x.mag, x.e)
  // Outside its domain the instruction gives the operand back.
  if (x.sign && fixedX >= ONE) return { value: x, flags: PE }
  if (top >= -1) {
    const sum = x.sign ? ONE - fixedX : ONE + fixedX
    return { value: times(y, log2(sum, -FRACTION).log), flags: 0 }
  }
  return { value: times(y, (log1p(x.sign ? -fixedX : fixedX) << F) / LN2), flags: 0 }
})

/** arctan(y / x) in the quadrant of (x, y). [SDM2 Table 3-30 "FPATAN Results"] */
const fpatan = toSecond((x, y) => {
  const angle = (value: bigint): { value: Num; flags: number } => ({ value: { ...fixed(value), sign: y.sign }, flags: 0 })
  if (y.kind === Kind.infinity) {
    if (x.kind !== Kind.infinity) return angle(PI >> 1n)
    return angle(x.sign ? (3n * PI) >> 2n : PI >> 2n)
  }
  if (x.kind === Kind.infinity || y.kind === Kind.zero) return x.sign ? angle(PI) : { value: zeroNum(y.sign), flags: 0 }
  if (x.kind === Kind.zero) return angle(PI >> 1n)
  const difference = topOf(y.mag, y.e) - topOf(x.mag, x.e)
  if (difference < -100) {
    if (x.sign) return angle(PI - 1n)
    const scale = 160 + bitLength(x.mag)
    const value = (y.mag << BigInt(scale)) / x.mag
    const exact = value * x.mag === y.mag << BigInt(scale)
    const e = y.e - x.e - scale
    return { value: exact ? { ...justBelow(finite(0, value, e)), sign: y.sign } : inexact(y.sign, value, e), flags: 0 }
  }
  if (difference > 100) return angle((PI >> 1n) + (x.sign ? 1n : -1n) * (difference > 250 ? 1n : ONE >> BigInt(difference)))
  const e = Math.min(x.e, y.e)
  const a = y.mag << BigInt(y.e - e)
  const b = x.mag << BigInt(x.e - e)
  const scaled = (p: bigint, q: bigint): bigint => (p << F) / q
  const acute = a <= b ? arctangent(scaled(a, b)) : (PI >> 1n) - arctangent(scaled(b, a))
  return angle(x.sign ? PI - acute : acute)
})

export const transcendentalMicrocode: FpuMicrocodeTable = { fsin, fcos, fsincos, fptan, f2xm1, fyl2x, fyl2xp1, fpatan }
