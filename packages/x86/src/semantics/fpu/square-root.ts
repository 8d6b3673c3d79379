import type { Builder, Semantic, Subroutine, Val } from '../builder.ts'
import { OUT_OF_RANGE, ROUND } from './rounding.ts'
import {
  allMasked,
  c32,
  c64,
  clearC1,
  exponentOf,
  exponentWord,
  isEmpty,
  isPlain,
  mantissa,
  physical,
  setRegister,
  signOf,
} from './stack.ts'

/** hi:lo - q * q, as high and low words of a signed 128-bit number. */
function excess(s: Builder, hi: Val, lo: Val, q: Val): { high: Val; low: Val } {
  const low = s.mul(q, q)
  const borrow = s.zext(s.ltU(lo, low), 64)
  return { high: s.sub(s.sub(hi, s.mulHighU(q, q)), borrow), low: s.sub(lo, low) }
}

/**
 * Root of hi:lo (hi from 2^62 on), rounded down, and the remainder's low word with a flag that it is greater than the root.
 * A double gives 52 bits of the root, one Newton step in doubles the rest but one unit.
 */
const ROOT: Subroutine = {
  name: 'x87.root',
  params: [64, 64],
  results: [64, 64],
  body: (s, hi, lo) => {
    const two64 = s.const('f64', 2 ** 64)
    const estimate = s.op('f64.mul', s.op('f64.sqrt', s.op('f64.convert_i64_u', hi!)), s.const('f64', 2 ** 32))
    // The largest roots could wrap in the step.
    const first = s.local(s.op('i64.trunc_sat_f64_u', s.op('f64.min', estimate, s.const('f64', 2 ** 64 - 2 ** 13))))
    const error = excess(s, hi!, lo!, first.get())
    const wide = s.op(
      'f64.add',
      s.op('f64.mul', s.op('f64.convert_i64_s', error.high), two64),
      s.op('f64.convert_i64_u', error.low),
    )
    const twice = s.op('f64.mul', s.op('f64.convert_i64_u', first.get()), s.const('f64', 2))
    const q = s.local(s.add(first.get(), s.op('i64.trunc_sat_f64_s', s.op('f64.div', wide, twice))))
    const rest = excess(s, hi!, lo!, q.get())
    const high = s.local(rest.high)
    const low = s.local(rest.low)
    s.if(
      s.ltS(high.get(), c64(s, 0)),
      () => {
        q.set(s.sub(q.get(), c64(s, 1)))
        const again = excess(s, hi!, lo!, q.get())
        high.set(again.high)
        low.set(again.low)
      },
      () => {
        // More than 2q is left: one unit too small.
        const one = s.isZero(s.shr(high.get(), c64(s, 1)))
        const double = s.shl(q.get(), c64(s, 1))
        const fits = s.or(s.isZero(high.get()), s.and(one, s.leU(low.get(), double)))
        s.if(s.not(fits), () => {
          q.set(s.add(q.get(), c64(s, 1)))
          const again = excess(s, hi!, lo!, q.get())
          high.set(again.high)
          low.set(again.low)
        })
      },
    )
    const above = s.or(s.ne(high.get(), c64(s, 0)), s.ltU(q.get(), low.get()))
    const inexact = s.ne(s.or(high.get(), low.get()), c64(s, 0))
    const rounding = s.or(s.select(above, c64(s, 1n << 63n), c64(s, 0)), s.zext(inexact, 64))
    return [q.get(), rounding]
  },
}

const SQRT: Subroutine = {
  name: 'x87.sqrt',
  params: [],
  results: [],
  body: (s) => {
    const register = physical(s, c32(s, 0))
    const mant = mantissa(s, register)
    const word = exponentWord(s, register)
    const done = s.local(s.const(1, 0))
    const negative = s.and(s.ne(signOf(s, word), c32(s, 0)), s.ne(mant, c64(s, 0)))
    const plain = s.and(isPlain(s, mant, word), s.not(s.or(negative, isEmpty(s, register))))
    s.if(s.and(plain, allMasked(s)), () =>
      s.if(
        s.isZero(mant),
        () => {
          clearC1(s)
          done.set(s.const(1, 1))
        },
        () => {
          // The biased exponent is odd when the true one is even.
          const even = s.trunc(word, 1)
          const hi = s.select(even, s.shr(mant, c64(s, 1)), mant)
          const lo = s.select(even, s.shl(mant, c64(s, 63)), c64(s, 0))
          const [root, rest] = s.call(ROOT, hi, lo)
          const exponent = s.add(s.shr(s.add(exponentOf(s, word), c32(s, 1)), c32(s, 1)), c32(s, 8191))
          const [m, w, flags] = s.call(ROUND, c32(s, 0), exponent, root!, rest!)
          s.if(s.ne(w!, c32(s, OUT_OF_RANGE)), () => {
            setRegister(s, register, m!, w!)
            clearC1(s, flags!)
            done.set(s.const(1, 1))
          })
        },
      ),
    )
    s.if(s.not(done.get()), () => {
      s.microcode('fpu.sqrt', [], 0)
    })
    return []
  },
}

export const FSQRT: Semantic = (s) => {
  s.requireFpu('x87')
  s.call(SQRT)
}
