import type { Builder, Semantic, Subroutine, Val } from '../builder.ts'
import type { SemanticTable } from '../registry.ts'
import { EXTEND32, EXTEND64, FROM_INTEGER } from './convert.ts'
import { DIVIDE_WIDE, OUT_OF_RANGE, ROUND } from './rounding.ts'
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
  pop,
  READ_ST,
  setRegister,
  signOf,
  stNumber,
} from './stack.ts'

const POP = 8
const REVERSED = 16

interface Finish {
  /** Rounds and stores sig + rest / 2^64. */
  rounded(sign: Val, exponent: Val, sig: Val, rest: Val): void
  /** Stores an exact result. */
  exact(mant: Val, word: Val): void
}

/** Computes a op b for plain operands; does nothing when the case is the microcode's. */
type FastPath = (s: Builder, ma: Val, wa: Val, mb: Val, wb: Val, finish: Finish) => void

/** ST(dst) = ST(dst) op source; parameters: control (ST number, POP, REVERSED), significand, word. */
function operation(name: string, compute: FastPath): Subroutine {
  return {
    name: `x87.${name}`,
    params: [32, 64, 32],
    results: [],
    body: (s, control, mb, wb) => {
      const dst = physical(s, control!)
      const ma = mantissa(s, dst)
      const wa = exponentWord(s, dst)
      const done = s.local(s.const(1, 0))
      const finish: Finish = {
        rounded(sign, exponent, sig, rest) {
          const [mant, word, flags] = s.call(ROUND, sign, exponent, sig, rest)
          s.if(s.ne(word!, c32(s, OUT_OF_RANGE)), () => {
            setRegister(s, dst, mant!, word!)
            clearC1(s, flags!)
            done.set(s.const(1, 1))
          })
        },
        exact(mant, word) {
          setRegister(s, dst, mant, word)
          clearC1(s)
          done.set(s.const(1, 1))
        },
      }
      const plain = s.and(s.and(isPlain(s, ma, wa), isPlain(s, mb!, wb!)), s.and(allMasked(s), s.not(isEmpty(s, dst))))
      s.if(plain, () => compute(s, ma, wa, mb!, wb!, finish))
      s.if(
        done.get(),
        () => s.if(s.ne(s.and(control!, c32(s, POP)), c32(s, 0)), () => pop(s)),
        () => {
          s.microcode(`fpu.${name}`, [control!, mb!, wb!], 0)
        },
      )
      return []
    },
  }
}

/** a + b, with the sign of b given apart. */
function sum(s: Builder, ma: Val, wa: Val, mb: Val, wb: Val, signB: Val, finish: Finish): void {
  const ea = exponentOf(s, wa)
  const eb = exponentOf(s, wb)
  const signA = signOf(s, wa)
  const swap = s.or(s.ltU(ea, eb), s.and(s.eq(ea, eb), s.ltU(ma, mb)))
  const [m1, m2] = [s.select(swap, mb, ma), s.select(swap, ma, mb)]
  const [e1, e2] = [s.select(swap, eb, ea), s.select(swap, ea, eb)]
  const sign = s.select(swap, signB, signA)
  const distance = s.sub(e1, e2)
  const near = s.ltU(distance, c32(s, 64))
  const d = s.zext(distance, 64)
  // The smaller one, moved right by `distance`: hi:lo, with everything below collected in the last bit.
  const hi = s.select(near, s.shr(m2, s.and(d, c64(s, 63))), c64(s, 0))
  const below = s.shl(s.shl(m2, c64(s, 1)), s.and(s.sub(c64(s, 63), d), c64(s, 63)))
  const over = s.and(d, c64(s, 1))
  const just = s.or(s.shr(m2, over), s.and(m2, over))
  const far = s.select(s.ltU(distance, c32(s, 66)), just, s.zext(s.ne(m2, c64(s, 0)), 64))
  const lo = s.select(near, below, far)
  s.if(s.ne(m1, c64(s, 0)), () => {
    s.if(
      s.eq(signA, signB),
      () => {
        const total = s.add(m1, hi)
        const carry = s.ltU(total, m1)
        const carriedLow = s.or(s.or(s.shr(lo, c64(s, 1)), s.and(lo, c64(s, 1))), s.shl(total, c64(s, 63)))
        const carried = s.or(s.shr(total, c64(s, 1)), c64(s, 1n << 63n))
        finish.rounded(sign, s.add(e1, s.zext(carry, 32)), s.select(carry, carried, total), s.select(carry, carriedLow, lo))
      },
      () => {
        const rest = s.local(s.neg(lo))
        const total = s.local(s.sub(s.sub(m1, hi), s.zext(s.ne(lo, c64(s, 0)), 64)))
        const exponent = s.local(e1)
        s.if(s.isZero(total.get()), () => {
          total.set(rest.get())
          rest.set(c64(s, 0))
          exponent.set(s.sub(exponent.get(), c32(s, 64)))
        })
        s.if(
          s.isZero(total.get()),
          () => {
            const down = s.eq(s.and(s.get('fpControl'), c32(s, 0xc00)), c32(s, 0x400))
            finish.exact(c64(s, 0), s.select(down, c32(s, 0x8000), c32(s, 0)))
          },
          () => {
            const n = s.clz(total.get())
            const low = s.shr(s.shr(rest.get(), c64(s, 1)), s.sub(c64(s, 63), n))
            finish.rounded(sign, s.sub(exponent.get(), s.trunc(n, 32)), s.or(s.shl(total.get(), n), low), s.shl(rest.get(), n))
          },
        )
      },
    )
  })
}

const ADD = operation('add', (s, ma, wa, mb, wb, finish) => sum(s, ma, wa, mb, wb, signOf(s, wb), finish))

/** Operand order matters only to the signs: a - b, or b - a when REVERSED. */
const subtraction = (name: string, reversed: boolean): Subroutine =>
  operation(name, (s, ma, wa, mb, wb, finish) => {
    const flip = c32(s, 0x8000)
    if (reversed) sum(s, ma, s.xor(wa, flip), mb, wb, signOf(s, wb), finish)
    else sum(s, ma, wa, mb, wb, s.xor(signOf(s, wb), flip), finish)
  })
const SUB = subtraction('sub', false)
const SUBR: Subroutine = { ...subtraction('sub', true), name: 'x87.subr' }

const MUL = operation('mul', (s, ma, wa, mb, wb, finish) => {
  const sign = signOf(s, s.xor(wa, wb))
  s.if(
    s.or(s.isZero(ma), s.isZero(mb)),
    () => finish.exact(c64(s, 0), sign),
    () => {
      const hi = s.mulHighU(ma, mb)
      const lo = s.mul(ma, mb)
      const top = s.shr(hi, c64(s, 63))
      const shift = s.xor(top, c64(s, 1))
      const exponent = s.sub(s.add(s.add(exponentOf(s, wa), exponentOf(s, wb)), s.trunc(top, 32)), c32(s, 16383))
      const carried = s.and(s.shr(lo, c64(s, 63)), shift)
      finish.rounded(sign, exponent, s.or(s.shl(hi, shift), carried), s.shl(lo, shift))
    },
  )
})

const division: (reversed: boolean) => FastPath = (reversed) => (s, ma, wa, mb, wb, finish) => {
  const [n, wn, d, wd] = reversed ? [mb, wb, ma, wa] : [ma, wa, mb, wb]
  const sign = signOf(s, s.xor(wa, wb))
  s.if(s.ne(d, c64(s, 0)), () =>
    s.if(
      s.isZero(n),
      () => finish.exact(c64(s, 0), sign),
      () => {
        const less = s.ltU(n, d)
        const hi = s.select(less, n, s.shr(n, c64(s, 1)))
        const lo = s.select(less, c64(s, 0), s.shl(n, c64(s, 63)))
        const [q, r] = s.call(DIVIDE_WIDE, hi, lo, d)
        const exponent = s.sub(s.add(s.sub(exponentOf(s, wn), exponentOf(s, wd)), c32(s, 16383)), s.zext(less, 32))
        // Only the order of 2r and d counts.
        const twice = s.sub(d, r!)
        const above = s.or(s.select(s.leU(twice, r!), c64(s, 1n << 63n), c64(s, 0)), s.zext(s.ne(r!, twice), 64))
        const rest = s.select(s.isZero(r!), c64(s, 0), above)
        finish.rounded(sign, exponent, q!, rest)
      },
    ),
  )
}
const DIV = operation('div', division(false))
const DIVR: Subroutine = { ...operation('div', division(true)), name: 'x87.divr' }

type Source = 'float' | 'integer'

/** Significand and word of the second operand: a memory float or integer, or a register. */
function readSource(s: Builder, operand: Parameters<Semantic>[1], source: Source): Val[] {
  if (operand.kind !== 'mem') return s.call(READ_ST, c32(s, stNumber(operand)))
  const value = s.read(operand)
  if (source === 'integer') return s.call(FROM_INTEGER, s.sext(value, 64))
  return operand.width === 32 ? s.call(EXTEND32, value) : s.call(EXTEND64, value)
}

/** Forms: memory; ST0, STi; STi, ST0 (with and without pop). */
const arithmetic =
  (sub: Subroutine, options: { pop?: boolean; source?: Source; reversed?: boolean } = {}): Semantic =>
  (s, ...operands) => {
    s.requireFpu('x87')
    const source = operands.length === 1 ? operands[0]! : operands[1]!
    const dst = operands.length === 1 ? 0 : stNumber(operands[0]!)
    const [mant, word] = readSource(s, source, options.source ?? 'float')
    const control = dst | (options.pop ? POP : 0) | (options.reversed ? REVERSED : 0)
    s.call(sub, c32(s, control), mant!, word!)
  }

const integer = { source: 'integer' } as const
const reversed = { reversed: true } as const
const popping = { pop: true } as const

export const arithmeticSemantics: SemanticTable = {
  FADD: arithmetic(ADD),
  FSUB: arithmetic(SUB),
  FSUBR: arithmetic(SUBR, reversed),
  FMUL: arithmetic(MUL),
  FDIV: arithmetic(DIV),
  FDIVR: arithmetic(DIVR, reversed),
  FADDP: arithmetic(ADD, popping),
  FSUBP: arithmetic(SUB, popping),
  FSUBRP: arithmetic(SUBR, { ...popping, ...reversed }),
  FMULP: arithmetic(MUL, popping),
  FDIVP: arithmetic(DIV, popping),
  FDIVRP: arithmetic(DIVR, { ...popping, ...reversed }),
  FIADD: arithmetic(ADD, integer),
  FISUB: arithmetic(SUB, integer),
  FISUBR: arithmetic(SUBR, { ...integer, ...reversed }),
  FIMUL: arithmetic(MUL, integer),
  FIDIV: arithmetic(DIV, integer),
  FIDIVR: arithmetic(DIVR, { ...integer, ...reversed }),
}
