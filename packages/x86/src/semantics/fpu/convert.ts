import type { Builder, Subroutine, Val } from '../builder.ts'
import { roundingFlags, roundsUp } from './rounding.ts'
import {
  c32,
  c64,
  clearC1,
  exponentOf,
  exponentWord,
  isEmpty,
  isPlain,
  mantissa,
  physical,
  roundingControl,
  signOf,
} from './stack.ts'

const INTEGER_BIT = 1n << 63n
const FROM_DENORMAL = 0x1_0000

/** A single or double as significand and word; a denormal is normalized and marked. */
function extend(width: 32 | 64): Subroutine {
  const fractionBits = width === 32 ? 23 : 52
  const maximum = width === 32 ? 0xff : 0x7ff
  const bias = width === 32 ? 127 : 1023
  return {
    name: `x87.extend${width}`,
    params: [width],
    results: [64, 32],
    body: (s, bits) => {
      const wide = s.zext(bits!, 64)
      const fraction = s.shl(wide, c64(s, 64 - fractionBits))
      const exponent = s.and(s.trunc(s.shr(wide, c64(s, fractionBits)), 32), c32(s, maximum))
      const sign = s.and(s.trunc(s.shr(wide, c64(s, width - 16)), 32), c32(s, 0x8000))
      const mant = s.local(s.or(s.shr(fraction, c64(s, 1)), c64(s, INTEGER_BIT)))
      const word = s.local(s.or(s.add(exponent, c32(s, 16383 - bias)), sign))
      s.if(s.isZero(exponent), () =>
        s.if(
          s.isZero(fraction),
          () => {
            mant.set(c64(s, 0))
            word.set(sign)
          },
          () => {
            const zeros = s.clz(fraction)
            mant.set(s.shl(fraction, zeros))
            const biased = s.sub(c32(s, 16383 - bias), s.trunc(zeros, 32))
            word.set(s.or(s.or(biased, sign), c32(s, FROM_DENORMAL)))
          },
        ),
      )
      s.if(s.eq(exponent, c32(s, maximum)), () => word.set(s.or(sign, c32(s, 0x7fff))))
      return [mant.get(), word.get()]
    },
  }
}
export const EXTEND32 = extend(32)
export const EXTEND64 = extend(64)

/** A signed integer, exactly. */
export const FROM_INTEGER: Subroutine = {
  name: 'x87.integer',
  params: [64],
  results: [64, 32],
  body: (s, value) => {
    const negative = s.ltS(value!, c64(s, 0))
    const magnitude = s.select(negative, s.neg(value!), value!)
    const zeros = s.clz(magnitude)
    const zero = s.isZero(value!)
    const word = s.or(s.sub(c32(s, 16383 + 63), s.trunc(zeros, 32)), s.select(negative, c32(s, 0x8000), c32(s, 0)))
    return [s.select(zero, c64(s, 0), s.shl(magnitude, s.and(zeros, c64(s, 63)))), s.select(zero, c32(s, 0), word)]
  },
}

/** PE is masked, or the result is exact. */
const precisionMasked = (s: Builder, rest: Val): Val =>
  s.or(s.ne(s.and(s.get('fpControl'), c32(s, 0x20)), c32(s, 0)), s.isZero(rest))

/** ST(0) as a single or double. Results: 1 when it is to be stored, the bits. */
function shorten(width: 32 | 64): Subroutine {
  const fractionBits = width === 32 ? 23 : 52
  const maximum = width === 32 ? 0xff : 0x7ff
  const bias = width === 32 ? 127 : 1023
  const drop = 63 - fractionBits
  return {
    name: `x87.shorten${width}`,
    params: [],
    results: [1, width],
    body: (s) => {
      const register = physical(s, c32(s, 0))
      const mant = mantissa(s, register)
      const word = exponentWord(s, register)
      const sign = signOf(s, word)
      const place = s.shl(s.zext(sign, 64), c64(s, width - 16))
      const exponent = s.sub(exponentOf(s, word), c32(s, 16383 - bias))
      const done = s.local(s.const(1, 0))
      const bits = s.local(place)
      s.if(s.and(isPlain(s, mant, word), s.not(isEmpty(s, register))), () =>
        s.if(
          s.isZero(mant),
          () => {
            clearC1(s)
            done.set(s.const(1, 1))
          },
          () => {
            const kept = s.shr(mant, c64(s, drop))
            const rest = s.shl(mant, c64(s, 64 - drop))
            const up = s.local(roundsUp(s, roundingControl(s), sign, kept, rest))
            // Adding the exponent to the significand with its leading one counts the carry of rounding in.
            const biased = s.shl(s.zext(s.sub(exponent, c32(s, 1)), 64), c64(s, fractionBits))
            const sum = s.add(s.add(biased, kept), s.zext(up.get(), 64))
            const largest = (BigInt(maximum) << BigInt(fractionBits)) - 1n
            const normal = s.and(s.ltS(c32(s, 0), exponent), s.ltS(exponent, c32(s, maximum)))
            s.if(s.and(normal, s.and(s.leU(sum, c64(s, largest)), precisionMasked(s, rest))), () => {
              bits.set(s.or(place, sum))
              clearC1(s, roundingFlags(s, rest, up.get()))
              done.set(s.const(1, 1))
            })
          },
        ),
      )
      s.if(s.not(done.get()), () => {
        const [ok, result] = s.microcode(`fpu.st${width}`, [], 2)
        done.set(s.trunc(ok!, 1))
        bits.set(result!)
      })
      return [done.get(), width === 32 ? s.trunc(bits.get(), 32) : bits.get()]
    },
  }
}
export const SHORTEN32 = shorten(32)
export const SHORTEN64 = shorten(64)

/** |ST(0)| split at the binary point, for exponents below 63: integer part and fraction / 2^64 (the latter with a sticky last bit). */
export function splitInteger(s: Builder, mant: Val, exponent: Val): { whole: Val; rest: Val } {
  const e = s.sub(exponent, c32(s, 16383))
  const wide = s.zext(e, 64)
  const one = c64(s, 63)
  const whole = s.select(s.ltS(e, c32(s, 0)), c64(s, 0), s.shr(mant, s.and(s.sub(one, wide), one)))
  const shifted = s.shl(mant, s.and(s.add(wide, c64(s, 1)), one))
  const small = s.select(s.eq(e, c32(s, 0xffff_ffff)), mant, s.zext(s.ne(mant, c64(s, 0)), 64))
  return { whole, rest: s.select(s.ltS(e, c32(s, 0)), small, s.and(shifted, s.sext(s.ltS(e, c32(s, 63)), 64))) }
}

/** ST(0) as an integer. Parameters: width, 1 = truncate. Results: 1 when it is to be stored, the value. */
export const TO_INTEGER: Subroutine = {
  name: 'x87.toInteger',
  params: [32, 1],
  results: [1, 64],
  body: (s, width, truncate) => {
    const register = physical(s, c32(s, 0))
    const mant = mantissa(s, register)
    const word = exponentWord(s, register)
    const done = s.local(s.const(1, 0))
    const value = s.local(c64(s, 0))
    const exponent = exponentOf(s, word)
    const fits = s.ltU(exponent, s.add(c32(s, 16383 - 1), width!))
    s.if(s.and(s.and(isPlain(s, mant, word), fits), s.not(isEmpty(s, register))), () => {
      const { whole, rest } = splitInteger(s, mant, exponent)
      const rounding = s.select(truncate!, c32(s, 3), roundingControl(s))
      const up = s.local(roundsUp(s, rounding, signOf(s, word), whole, rest))
      const magnitude = s.add(whole, s.zext(up.get(), 64))
      const limit = s.shr(c64(s, -1), s.sub(c64(s, 65), s.zext(width!, 64)))
      s.if(s.and(s.leU(magnitude, limit), precisionMasked(s, rest)), () => {
        value.set(s.select(s.isZero(signOf(s, word)), magnitude, s.neg(magnitude)))
        clearC1(s, roundingFlags(s, rest, up.get()))
        done.set(s.const(1, 1))
      })
    })
    s.if(s.not(done.get()), () => {
      const [ok, result] = s.microcode('fpu.ist', [width!, truncate!], 2)
      done.set(s.trunc(ok!, 1))
      value.set(result!)
    })
    return [done.get(), value.get()]
  },
}
