import type { Random } from './random.ts'

/** Operands at the edges of the formats, where instructions differ from one another. */

const mask = (bits: number): bigint => (1n << BigInt(bits)) - 1n

export function integer(random: Random, bits: number): bigint {
  const width = BigInt(bits)
  switch (random.below(8)) {
    case 0:
      return BigInt(random.below(20))
    case 1:
      return BigInt.asUintN(bits, BigInt(-random.below(20)))
    case 2:
      // Around the sign bit of some width.
      return BigInt.asUintN(bits, (1n << BigInt(random.pick([7, 8, 15, 16, 31, 32, 63, 64]))) + BigInt(random.between(-2, 2)))
    case 3:
      return 1n << BigInt(random.below(bits))
    case 4:
      return BigInt.asUintN(bits, ~(1n << BigInt(random.below(bits))))
    case 5:
      return (random.u64() | (random.u64() << 64n)) & mask(random.between(1, bits))
    default:
      return BigInt.asUintN(Number(width), random.u64() | (random.u64() << 64n))
  }
}

interface Format {
  readonly exponentBits: number
  readonly fractionBits: number
}
const single: Format = { exponentBits: 8, fractionBits: 23 }
const double: Format = { exponentBits: 11, fractionBits: 52 }

function fraction(random: Random, bits: number): bigint {
  const all = mask(bits)
  switch (random.below(7)) {
    case 0:
      return 0n
    case 1:
      return all
    case 2:
      return 1n
    case 3:
      return 1n << BigInt(random.below(bits))
    case 4:
      return all ^ mask(random.below(bits))
    default:
      return random.u64() & all
  }
}

/** A biased exponent: zero, the least and the greatest, near one, near the limits of the integers and of the narrower formats. */
function exponent(random: Random, bits: number): number {
  const greatest = 2 ** bits - 1
  const bias = (greatest - 1) / 2
  const clamp = (value: number): number => Math.min(Math.max(value, 0), greatest)
  switch (random.below(12)) {
    case 0:
      return 0
    case 1:
      return 1
    case 2:
      return greatest
    case 3:
      return greatest - 1
    case 4:
      return clamp(bias + random.pick([15, 16, 31, 32, 63, 64]) + random.between(-1, 1))
    case 5:
      return clamp(
        bias + random.pick([-1, 1]) * random.pick([126, 127, 128, 149, 150, 1022, 1023, 1074, 1075]) + random.between(-1, 1),
      )
    case 6:
      return clamp(bias + random.between(-70, 70))
    case 7:
      return random.below(greatest + 1)
    default:
      return clamp(bias + random.between(-4, 4))
  }
}

function float(random: Random, { exponentBits, fractionBits }: Format): bigint {
  const sign = BigInt(random.below(2))
  return (
    (((sign << BigInt(exponentBits)) | BigInt(exponent(random, exponentBits))) << BigInt(fractionBits)) |
    fraction(random, fractionBits)
  )
}

export const float32 = (random: Random): bigint => float(random, single)
export const float64 = (random: Random): bigint => float(random, double)

/** Ten bytes; now and then with an integer bit that belongs to no number (pseudo-denormal, unnormal, pseudo-NaN). */
export function float80(random: Random): bigint {
  const sign = BigInt(random.below(2)) << 79n
  if (random.chance(0.1)) {
    const value = BigInt.asIntN(64, integer(random, random.pick([16, 32, 64])))
    return value === 0n ? sign : fromInteger(value)
  }
  const biased = exponent(random, 15)
  const usual = biased === 0 ? 0n : 1n
  const integerBit = random.chance(0.05) ? 1n - usual : usual
  return sign | (BigInt(biased) << 64n) | (integerBit << 63n) | fraction(random, 63)
}

function fromInteger(value: bigint): bigint {
  const magnitude = value < 0n ? -value : value
  const length = magnitude.toString(2).length
  return (value < 0n ? 1n << 79n : 0n) | (BigInt(16382 + length) << 64n) | (magnitude << BigInt(64 - length))
}

/** Packed decimal, mostly with digits that are digits. */
function decimal(random: Random): bigint {
  let value = BigInt(random.below(2)) << 79n
  const digits = random.below(19)
  for (let i = 0; i < digits; i++) value |= BigInt(random.below(10)) << BigInt(4 * i)
  if (random.chance(0.2)) value |= BigInt(random.below(16)) << BigInt(4 * random.below(20))
  return value
}

/** Sixteen bytes of one kind of operand. */
export function octoword(random: Random): bigint {
  const lanes = (bits: number, make: () => bigint): bigint => {
    let value = 0n
    for (let at = 0; at < 128; at += bits) value |= make() << BigInt(at)
    return value
  }
  switch (random.below(10)) {
    case 0:
    case 1:
      return lanes(32, () => float32(random))
    case 2:
    case 3:
      return lanes(64, () => float64(random))
    case 4:
      return float80(random)
    case 5:
      return decimal(random)
    case 6:
      return lanes(8, () => integer(random, 8))
    case 7:
      return lanes(16, () => integer(random, 16))
    case 8:
      return lanes(32, () => integer(random, 32))
    default:
      return lanes(64, () => integer(random, 64))
  }
}
