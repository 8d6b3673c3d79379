import type { Builder, Semantic, StagedOperand, Subroutine, Val } from '../builder.ts'
import type { SemanticTable } from '../registry.ts'
import { EXTEND32, EXTEND64, FROM_INTEGER } from './convert.ts'
import {
  c32,
  c64,
  exponentOf,
  exponentWord,
  isEmpty,
  isPlain,
  mantissa,
  physical,
  pop,
  READ_ST,
  setConditions,
  signOf,
  stNumber,
} from './stack.ts'

/** Order of two plain numbers. */
function order(s: Builder, ma: Val, wa: Val, mb: Val, wb: Val): { less: Val; equal: Val } {
  const [ea, eb] = [exponentOf(s, wa), exponentOf(s, wb)]
  const bothZero = s.isZero(s.or(ma, mb))
  const sameSign = s.isZero(signOf(s, s.xor(wa, wb)))
  const sameExponent = s.eq(ea, eb)
  const equal = s.or(bothZero, s.and(sameSign, s.and(sameExponent, s.eq(ma, mb))))
  const smaller = s.or(s.ltU(ea, eb), s.and(sameExponent, s.ltU(ma, mb)))
  const negative = s.ne(signOf(s, wa), c32(s, 0))
  return { less: s.and(s.not(equal), s.select(sameSign, s.xor(smaller, negative), negative)), equal }
}

/** Pops as many times as `mode` >> 1 says. */
function popTimes(s: Builder, mode: Val): void {
  s.if(s.leU(c32(s, 2), mode), () => pop(s))
  s.if(s.leU(c32(s, 4), mode), () => pop(s))
}

/** Compares ST(0) with a datum. Parameters: significand, word, mode: bit 0 = quiet NaNs are no invalid operands, above it the number of pops. */
const COMPARE: Subroutine = {
  name: 'x87.compare',
  params: [64, 32, 32],
  results: [],
  body: (s, mb, wb, mode) => {
    const register = physical(s, c32(s, 0))
    const ma = mantissa(s, register)
    const wa = exponentWord(s, register)
    s.if(
      s.and(s.and(isPlain(s, ma, wa), isPlain(s, mb!, wb!)), s.not(isEmpty(s, register))),
      () => {
        const { less, equal } = order(s, ma, wa, mb!, wb!)
        setConditions(s, s.or(s.shl(s.zext(less, 32), c32(s, 8)), s.shl(s.zext(equal, 32), c32(s, 14))))
        popTimes(s, mode!)
      },
      () => {
        s.microcode('fpu.com', [mb!, wb!, mode!], 0)
      },
    )
    return []
  },
}

/** As COMPARE, with the result in ZF, PF, CF; OF, SF and AF become 0; C1 stays but for a stack underflow. */
const COMPARE_FLAGS: Subroutine = {
  name: 'x87.compareFlags',
  params: [64, 32, 32],
  results: [],
  body: (s, mb, wb, mode) => {
    const register = physical(s, c32(s, 0))
    const ma = mantissa(s, register)
    const wa = exponentWord(s, register)
    s.if(
      s.and(s.and(isPlain(s, ma, wa), isPlain(s, mb!, wb!)), s.not(isEmpty(s, register))),
      () => {
        const { less, equal } = order(s, ma, wa, mb!, wb!)
        s.flags.write(s.or(s.zext(less, 32), s.shl(s.zext(equal, 32), c32(s, 6))))
        popTimes(s, mode!)
      },
      () => {
        const [flags] = s.microcode('fpu.comi', [mb!, wb!, mode!], 1)
        s.flags.write(s.trunc(flags!, 32))
      },
    )
    return []
  },
}

function readSource(s: Builder, operand: StagedOperand | undefined, integer: boolean): Val[] {
  if (operand === undefined) return s.call(READ_ST, c32(s, 1))
  if (operand.kind === 'reg') return s.call(READ_ST, c32(s, stNumber(operand)))
  const value = s.read(operand)
  if (integer) return s.call(FROM_INTEGER, s.sext(value, 64))
  return s.call(operand.width === 32 ? EXTEND32 : EXTEND64, value)
}

const compare =
  (pops: number, options: { quiet?: boolean; integer?: boolean; flags?: boolean } = {}): Semantic =>
  (s, ...operands) => {
    s.requireFpu('x87')
    const [mant, word] = readSource(s, operands.at(-1), options.integer ?? false)
    s.call(options.flags ? COMPARE_FLAGS : COMPARE, mant!, word!, c32(s, 2 * pops + (options.quiet ? 1 : 0)))
  }

const FTST: Semantic = (s) => {
  s.requireFpu('x87')
  s.call(COMPARE, c64(s, 0), c32(s, 0), c32(s, 0))
}

export const compareSemantics: SemanticTable = {
  FCOM: compare(0),
  FCOMP: compare(1),
  FCOMPP: compare(2),
  FUCOM: compare(0, { quiet: true }),
  FUCOMP: compare(1, { quiet: true }),
  FUCOMPP: compare(2, { quiet: true }),
  FICOM: compare(0, { integer: true }),
  FICOMP: compare(1, { integer: true }),
  FCOMI: compare(0, { flags: true }),
  FCOMIP: compare(1, { flags: true }),
  FUCOMI: compare(0, { flags: true, quiet: true }),
  FUCOMIP: compare(1, { flags: true, quiet: true }),
  FTST,
}
