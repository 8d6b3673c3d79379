import type { Builder, Subroutine, Val } from '../builder.ts'
import { C1, c32, c64, roundingControl } from './stack.ts'

const HALF = 1n << 63n
const PE = 0x20

/** Whether the magnitude `sig` with the fraction `rest` / 2^64 below it rounds away from zero. `sign` is 0 or non-zero; `odd` the last bit kept (width 64). */
export function roundsUp(s: Builder, rounding: Val, sign: Val, odd: Val, rest: Val): Val {
  const half = c64(s, HALF)
  const up = s.local(s.or(s.ltU(half, rest), s.and(s.eq(rest, half), s.trunc(odd, 1))))
  s.if(s.ne(rounding, c32(s, 0)), () => {
    // Down rounds negative numbers away, up positive ones.
    const away = s.and(s.xor(s.trunc(rounding, 1), s.isZero(sign)), s.ne(rounding, c32(s, 3)))
    up.set(s.and(s.ne(rest, c64(s, 0)), away))
  })
  return up.get()
}

/** PE and C1 by what rounding did. */
export const roundingFlags = (s: Builder, rest: Val, up: Val): Val =>
  s.or(s.select(s.ne(rest, c64(s, 0)), c32(s, PE), c32(s, 0)), s.select(up, c32(s, C1), c32(s, 0)))

/** Result word that says: not representable as a normal number. */
export const OUT_OF_RANGE = 0x8_0000

/**
 * Rounds sig + rest / 2^64 (sig normalized) to the precision of the control word. Parameters: sign (0 or 8000H), biased
 * exponent (signed), sig, rest. Results: significand, word (OUT_OF_RANGE when it overflows or underflows), PE and C1.
 */
export const ROUND: Subroutine = {
  name: 'x87.round',
  params: [32, 32, 64, 64],
  results: [64, 32, 32],
  body: (s, sign, exponent, sigIn, restIn) => {
    const sig = s.local(sigIn!)
    const rest = s.local(restIn!)
    const unit = s.local(c64(s, 1))
    const control = s.get('fpControl')
    const precision = s.and(s.shr(control, c32(s, 8)), c32(s, 3))
    s.if(s.isZero(s.trunc(precision, 1)), () => {
      const drop = s.select(s.isZero(precision), c64(s, 40), c64(s, 11))
      const sticky = s.zext(s.ne(rest.get(), c64(s, 0)), 64)
      rest.set(s.or(s.shl(sig.get(), s.sub(c64(s, 64), drop)), sticky))
      const one = s.shl(c64(s, 1), drop)
      unit.set(one)
      sig.set(s.and(sig.get(), s.neg(one)))
    })
    const odd = s.zext(s.ne(s.and(sig.get(), unit.get()), c64(s, 0)), 64)
    const remainder = rest.get()
    const up = s.local(roundsUp(s, roundingControl(s), sign!, odd, remainder))
    const result = s.local(s.add(sig.get(), s.select(up.get(), unit.get(), c64(s, 0))))
    const e = s.local(exponent!)
    s.if(s.isZero(result.get()), () => {
      result.set(c64(s, HALF))
      e.set(s.add(e.get(), c32(s, 1)))
    })
    const inRange = s.ltU(s.sub(e.get(), c32(s, 1)), c32(s, 0x7ffe))
    const word = s.select(inRange, s.or(sign!, e.get()), c32(s, OUT_OF_RANGE))
    return [result.get(), word, roundingFlags(s, rest.get(), up.get())]
  },
}

/** Quotient and remainder of hi:lo by a normalized divisor greater than hi, in two steps of 32 bits. */
export const DIVIDE_WIDE: Subroutine = {
  name: 'x87.divide',
  params: [64, 64, 64],
  results: [64, 64],
  body: (s, hi, lo, divisor) => {
    const mask = c64(s, 0xffff_ffff)
    const d1 = s.shr(divisor!, c64(s, 32))
    const d0 = s.and(divisor!, mask)
    const step = (high: Val, next: Val): { digit: Val; rest: Val } => {
      const q = s.local(s.divU(high, d1))
      const r = s.local(s.sub(high, s.mul(q.get(), d1)))
      const tooBig = (): Val => s.ltU(s.or(s.shl(r.get(), c64(s, 32)), next), s.mul(q.get(), d0))
      const fits = (): Val => s.isZero(s.shr(r.get(), c64(s, 32)))
      // At most twice, and the second time only while the remainder has 32 bits.
      const correct = (): void => {
        q.set(s.sub(q.get(), c64(s, 1)))
        r.set(s.add(r.get(), d1))
      }
      s.if(s.or(s.ne(s.shr(q.get(), c64(s, 32)), c64(s, 0)), tooBig()), () => {
        correct()
        s.if(s.and(fits(), s.or(s.ne(s.shr(q.get(), c64(s, 32)), c64(s, 0)), tooBig())), correct)
      })
      const digit = q.get()
      return { digit, rest: s.sub(s.or(s.shl(high, c64(s, 32)), next), s.mul(digit, divisor!)) }
    }
    const first = step(hi!, s.shr(lo!, c64(s, 32)))
    const second = step(first.rest, s.and(lo!, mask))
    return [s.or(s.shl(first.digit, c64(s, 32)), second.digit), second.rest]
  },
}
