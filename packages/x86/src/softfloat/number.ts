/** Exception flags, alike in the x87 status word, the masks of its control word, and MXCSR. [SDM1 4.9.1 "Floating-Point Exception Conditions"] */
export const IE = 1
export const DE = 2
export const ZE = 4
export const OE = 8
export const UE = 16
export const PE = 32

/** Rounding control: to nearest even, down, up, toward zero. */
export type Rounding = number
export const NEAREST = 0
export const DOWN = 1
export const UP = 2
export const CHOP = 3

export const Kind = { zero: 0, finite: 1, infinity: 2, quiet: 3, signaling: 4, unsupported: 5 } as const
export type Kind = (typeof Kind)[keyof typeof Kind]

/**
 * An unpacked floating-point datum. Finite: (-1)^sign * mag * 2^e, mag not normalized. NaN: mag is the significand as the
 * extended format has it (integer bit 63, quiet bit 62).
 */
export interface Num {
  readonly kind: Kind
  readonly sign: 0 | 1
  readonly mag: bigint
  readonly e: number
  /** It was a denormal number in its format. */
  readonly denormal: boolean
}

export const isNan = (n: Num): boolean => n.kind === Kind.quiet || n.kind === Kind.signaling

const probe = new Float64Array(1)
const probeWords = new Uint32Array(probe.buffer)

/** Number of bits of a positive integer; 0 for 0. */
export function bitLength(x: bigint): number {
  let n = 0
  while (x >= 1n << 1000n) {
    x >>= 900n
    n += 900
  }
  if (x === 0n) return n
  probe[0] = Number(x)
  // The conversion may have rounded up to a power of two.
  const length = (probeWords[1]! >>> 20) - 1022
  return n + (x >> BigInt(length - 1) === 0n ? length - 1 : length)
}

/** Integer square root, rounded down. */
export function isqrt(x: bigint): bigint {
  if (x < 2n) return x
  let r = 1n << BigInt((bitLength(x) + 1) >> 1)
  for (;;) {
    const next = (r + x / r) >> 1n
    if (next >= r) return r
    r = next
  }
}

export const num = (kind: Kind, sign: 0 | 1, mag = 0n, e = 0, denormal = false): Num => ({ kind, sign, mag, e, denormal })
export const zeroNum = (sign: 0 | 1): Num => num(Kind.zero, sign)
export const infinity = (sign: 0 | 1): Num => num(Kind.infinity, sign)
export const finite = (sign: 0 | 1, mag: bigint, e: number): Num => num(Kind.finite, sign, mag, e)
const QUIET_BIT = 1n << 62n
/** The "real indefinite", the default quiet NaN. [SDM1 4.8.3.7 "QNaN Floating-Point Indefinite"] */
export const INDEFINITE: Num = num(Kind.quiet, 1, 0xc000_0000_0000_0000n)
export const quieted = (n: Num): Num => num(Kind.quiet, n.sign, n.mag | QUIET_BIT)

/** An interchange format: `p` bits of significand with the leading one; exponents of normal numbers are emin..emax. */
export interface Format {
  readonly p: number
  readonly emin: number
  readonly emax: number
  /** Exponent by which an unmasked overflow or underflow is scaled. [SDM1 4.9.1.4 and 4.9.1.5] */
  readonly adjust: number
}

export const EXTENDED: Format = { p: 64, emin: -16382, emax: 16383, adjust: 24576 }
/** Extended exponent range with the precision of PC = double and PC = single. */
export const EXTENDED_53: Format = { ...EXTENDED, p: 53 }
export const EXTENDED_24: Format = { ...EXTENDED, p: 24 }
export const DOUBLE: Format = { p: 53, emin: -1022, emax: 1023, adjust: 1536 }
export const SINGLE: Format = { p: 24, emin: -126, emax: 127, adjust: 192 }

export function unpackExtended(mant: bigint, word: number, denormalSource = false): Num {
  const sign = ((word >> 15) & 1) as 0 | 1
  const exp = word & 0x7fff
  const integerBit = mant >> 63n !== 0n
  if (exp === 0) {
    if (mant === 0n) return zeroNum(sign)
    return num(Kind.finite, sign, mant, EXTENDED.emin - 63, true)
  }
  if (!integerBit) return num(Kind.unsupported, sign, mant)
  if (exp === 0x7fff) {
    if (mant << 1n === 1n << 64n) return infinity(sign)
    return num(mant & QUIET_BIT ? Kind.quiet : Kind.signaling, sign, mant)
  }
  return num(Kind.finite, sign, mant, exp - 16383 - 63, denormalSource)
}

function unpackIeee(bits: bigint, format: Format, exponentBits: number): Num {
  const fractionBits = BigInt(format.p - 1)
  const fraction = bits & ((1n << fractionBits) - 1n)
  const biased = Number((bits >> fractionBits) & ((1n << BigInt(exponentBits)) - 1n))
  const sign = Number((bits >> (fractionBits + BigInt(exponentBits))) & 1n) as 0 | 1
  if (biased === 0) {
    if (fraction === 0n) return zeroNum(sign)
    return num(Kind.finite, sign, fraction, format.emin - format.p + 1, true)
  }
  if (biased === (1 << exponentBits) - 1) {
    if (fraction === 0n) return infinity(sign)
    const mag = (1n << 63n) | (fraction << (63n - fractionBits))
    return num(mag & QUIET_BIT ? Kind.quiet : Kind.signaling, sign, mag)
  }
  return num(Kind.finite, sign, fraction | (1n << fractionBits), biased + format.emin - format.p)
}

export const unpackDouble = (bits: bigint): Num => unpackIeee(bits, DOUBLE, 11)
export const unpackSingle = (bits: bigint): Num => unpackIeee(bits, SINGLE, 8)

export interface Rounded {
  /** A packable value: zero, infinity, or finite with mag < 2^p at the exponent of its last place. */
  readonly value: Num
  /** OE, UE, PE. */
  readonly flags: number
  /** The magnitude was increased (C1 of the x87). */
  readonly up: boolean
}

/** mag * 2^e brought to a last place of 2^lsb. */
export function cut(
  rounding: Rounding,
  sign: 0 | 1,
  mag: bigint,
  e: number,
  lsb: number,
): { q: bigint; inexact: boolean; up: boolean } {
  const shift = lsb - e
  if (shift <= 0) return { q: mag << BigInt(-shift), inexact: false, up: false }
  const count = BigInt(shift)
  const q = mag >> count
  const rest = mag - (q << count)
  if (rest === 0n) return { q, inexact: false, up: false }
  let up = false
  if (rounding === NEAREST) {
    const half = 1n << (count - 1n)
    up = rest > half || (rest === half && (q & 1n) === 1n)
  } else if (rounding !== CHOP) up = (rounding === DOWN) === (sign === 1)
  return { q: up ? q + 1n : q, inexact: true, up }
}

/**
 * Rounds a finite non-zero value to a format. `masks` has the mask bits of OE and UE: unmasked, the result is scaled instead
 * of made infinite or denormal. `flush` is MXCSR.FTZ. Tininess is detected after rounding.
 */
export function round(n: Num, format: Format, rounding: Rounding, masks: number, flush = false): Rounded {
  const { sign, mag, e } = n
  const top = e + bitLength(mag) - 1
  const lsb = top - format.p + 1
  const full = cut(rounding, sign, mag, e, lsb)
  const exponent = full.q >> BigInt(format.p) === 0n ? top : top + 1
  const precision = full.inexact ? PE : 0
  // An unmasked exception keeps a result in single or double format from being written: only the flags count.
  const isShort = format.emax < EXTENDED.emax
  if (exponent > format.emax) {
    if (!(masks & OE) && (isShort || exponent - format.adjust <= format.emax)) {
      return { value: finite(sign, full.q, lsb - format.adjust), flags: OE | precision, up: full.up }
    }
    if (!(masks & OE)) return { value: infinity(sign), flags: OE | PE, up: true }
    const away = rounding === NEAREST || (rounding === DOWN && sign === 1) || (rounding === UP && sign === 0)
    const largest = finite(sign, (1n << BigInt(format.p)) - 1n, format.emax - format.p + 1)
    return { value: away ? infinity(sign) : largest, flags: OE | PE, up: away }
  }
  if (exponent >= format.emin) return { value: finite(sign, full.q, lsb), flags: precision, up: full.up }
  if (!(masks & UE) && (isShort || exponent + format.adjust >= format.emin)) {
    return { value: finite(sign, full.q, lsb + format.adjust), flags: UE | precision, up: full.up }
  }
  // FSCALE alone goes that far.
  if (!(masks & UE)) return { value: zeroNum(sign), flags: UE | PE, up: false }
  if (flush) return { value: zeroNum(sign), flags: UE | PE, up: false }
  const tinyLsb = format.emin - format.p + 1
  const tiny = cut(rounding, sign, mag, e, tinyLsb)
  const value = tiny.q === 0n ? zeroNum(sign) : finite(sign, tiny.q, tinyLsb)
  return { value, flags: tiny.inexact ? UE | PE : 0, up: tiny.up }
}

/** Packs a value that is exact in the extended format. */
export function packExtended(n: Num): { mant: bigint; exp: number } {
  const sign = n.sign << 15
  if (n.kind === Kind.zero) return { mant: 0n, exp: sign }
  if (n.kind === Kind.infinity) return { mant: 1n << 63n, exp: sign | 0x7fff }
  if (n.kind !== Kind.finite) return { mant: n.mag, exp: sign | 0x7fff }
  const length = bitLength(n.mag)
  const biased = n.e + length - 1 + 16383
  if (biased < 1) return { mant: shifted(n.mag, n.e - (EXTENDED.emin - 63)), exp: sign }
  return { mant: shifted(n.mag, 64 - length), exp: sign | biased }
}

const shifted = (mag: bigint, left: number): bigint => (left >= 0 ? mag << BigInt(left) : mag >> BigInt(-left))

function packIeee(n: Num, format: Format, exponentBits: number): bigint {
  const fractionBits = BigInt(format.p - 1)
  const sign = BigInt(n.sign) << (fractionBits + BigInt(exponentBits))
  const ones = ((1n << BigInt(exponentBits)) - 1n) << fractionBits
  if (n.kind === Kind.zero) return sign
  if (n.kind === Kind.infinity) return sign | ones
  if (n.kind !== Kind.finite) return sign | ones | ((n.mag >> (63n - fractionBits)) & ((1n << fractionBits) - 1n))
  const length = bitLength(n.mag)
  const exponent = n.e + length - 1
  if (exponent < format.emin) return sign | shifted(n.mag, n.e - (format.emin - format.p + 1))
  const fraction = shifted(n.mag, format.p - length) & ((1n << fractionBits) - 1n)
  return sign | (BigInt(exponent - format.emin + 1) << fractionBits) | fraction
}

export const packDouble = (n: Num): bigint => packIeee(n, DOUBLE, 11)
export const packSingle = (n: Num): bigint => packIeee(n, SINGLE, 8)
