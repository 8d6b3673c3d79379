import { bitLength, isqrt } from './number.ts'

/** Elementary functions in fixed point: integers stand for multiples of 2^-FRACTION. Results are good to about 2^-(FRACTION - 8). */
export const FRACTION = 256
const F = BigInt(FRACTION)
export const ONE = 1n << F

const mul = (a: bigint, b: bigint): bigint => (a * b) >> F

/** Sum of t(k) with t(k + 1) = t(k) * factor / divisor(k), until the terms vanish. */
function series(first: bigint, factor: bigint, divisor: (k: number) => number): bigint {
  let term = first
  let sum = 0n
  for (let k = 0; term > 1n || term < -1n; k++) {
    sum += term
    term = mul(term, factor) / BigInt(divisor(k))
  }
  return sum
}

/** 2 * artanh(s) for |s| < 1/2. */
function log1pRatio(s: bigint): bigint {
  const square = mul(s, s)
  let power = s
  let sum = 0n
  for (let n = 1n; power > 1n || power < -1n; n += 2n) {
    sum += power / n
    power = mul(power, square)
  }
  return 2n * sum
}

export const LN2 = log1pRatio(ONE / 3n)

/** ln(1 + x) for x in about [-0.3, 0.5]. */
export const log1p = (x: bigint): bigint => log1pRatio((x << F) / (2n * ONE + x))

/** exp(x) - 1 for |x| < 1. */
export const expm1 = (x: bigint): bigint => series(x, x, (k) => k + 2)

export const sine = (x: bigint): bigint => series(x, -mul(x, x), (k) => (2 * k + 2) * (2 * k + 3))
export const cosine = (x: bigint): bigint => series(ONE, -mul(x, x), (k) => (2 * k + 1) * (2 * k + 2))

/** arctan(x) for 0 <= x <= 1, by three halvings of the angle. */
export function arctangent(x: bigint): bigint {
  let t = x
  for (let i = 0; i < 3; i++) t = (t << F) / (ONE + isqrt((ONE + mul(t, t)) << F))
  const square = mul(t, t)
  let power = t
  let sum = 0n
  for (let n = 1n; power > 1n || power < -1n; n += 2n) {
    sum += power / n
    power = -mul(power, square)
  }
  return sum << 3n
}

export const PI = arctangent(ONE) << 2n

/** A finite magnitude as fixed point, truncated. */
export const toFixed = (mag: bigint, e: number): bigint =>
  e + FRACTION >= 0 ? mag << BigInt(e + FRACTION) : mag >> BigInt(-e - FRACTION)

/** Exponent of the leading bit. */
export const topOf = (mag: bigint, e: number): number => e + bitLength(mag) - 1
