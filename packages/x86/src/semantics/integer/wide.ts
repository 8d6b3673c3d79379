/** 128-bit division for DIV r/m64 and IDIV r/m64; operands and results are unsigned 64-bit values. */
export interface QuotientAndRemainder {
  readonly quotient: bigint
  readonly remainder: bigint
}

const MASK = (1n << 64n) - 1n

/** undefined: #DE. */
export function div128(high: bigint, low: bigint, divisor: bigint): QuotientAndRemainder | undefined {
  if (high >= divisor) return undefined
  const dividend = (high << 64n) | low
  return { quotient: dividend / divisor, remainder: dividend % divisor }
}

/** undefined: #DE. The quotient is cut towards zero, the remainder has the sign of the dividend. */
export function idiv128(high: bigint, low: bigint, divisor: bigint): QuotientAndRemainder | undefined {
  const by = BigInt.asIntN(64, divisor)
  if (by === 0n) return undefined
  const dividend = BigInt.asIntN(128, (high << 64n) | low)
  const quotient = dividend / by
  if (BigInt.asIntN(64, quotient) !== quotient) return undefined
  return { quotient: quotient & MASK, remainder: (dividend % by) & MASK }
}
