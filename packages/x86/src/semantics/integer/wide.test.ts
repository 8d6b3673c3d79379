import { expect, test } from 'vitest'
import { div128, idiv128 } from './wide.ts'

const MAX = (1n << 64n) - 1n
const values = [0n, 1n, 2n, 7n, 0xffff_ffffn, 1n << 32n, (1n << 63n) - 1n, 1n << 63n, MAX - 6n, MAX]
const signed = (value: bigint): bigint => BigInt.asIntN(64, value)

test('unsigned: quotient times divisor plus remainder is the dividend, or the quotient has no room', () => {
  for (const high of values) {
    for (const low of values) {
      for (const divisor of values) {
        const result = div128(high, low, divisor)
        const dividend = (high << 64n) | low
        if (result === undefined) expect(divisor === 0n || dividend / divisor > MAX).toBe(true)
        else {
          expect(result.quotient * divisor + result.remainder).toBe(dividend)
          expect(result.quotient <= MAX && result.remainder < divisor).toBe(true)
        }
      }
    }
  }
})

test('signed: likewise, the remainder with the sign of the dividend', () => {
  for (const high of values) {
    for (const low of values) {
      for (const divisor of values) {
        const result = idiv128(high, low, divisor)
        const dividend = BigInt.asIntN(128, (high << 64n) | low)
        if (result === undefined) {
          const quotient = divisor === 0n ? undefined : dividend / signed(divisor)
          expect(quotient === undefined || signed(quotient) !== quotient).toBe(true)
        } else {
          const remainder = signed(result.remainder)
          expect(signed(result.quotient) * signed(divisor) + remainder).toBe(dividend)
          expect(remainder === 0n || remainder < 0n === dividend < 0n).toBe(true)
        }
      }
    }
  }
})
