import type { Builder, Semantic, StagedOperand, Subroutine, Val } from '../builder.ts'
import type { SemanticTable } from '../registry.ts'
import { EXTEND32, EXTEND64, FROM_INTEGER, SHORTEN32, SHORTEN64, splitInteger, TO_INTEGER } from './convert.ts'
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
  markValid,
  physical,
  pop,
  PUSH,
  PUSH_RAW,
  READ_ST,
  roundingControl,
  setRegister,
  signOf,
  stNumber,
} from './stack.ts'

const FLD: Semantic = (s, src) => {
  s.requireFpu('x87')
  if (src!.kind === 'reg') {
    const [mant, word] = s.call(READ_ST, c32(s, stNumber(src!)))
    s.call(PUSH_RAW, mant!, word!)
  } else if (src!.width === 80) {
    const mant = s.read(s.at(src!, 0, 64))
    const word = s.zext(s.read(s.at(src!, 8, 16)), 32)
    s.call(PUSH_RAW, mant, word)
  } else {
    const [mant, word] = s.call(src!.width === 32 ? EXTEND32 : EXTEND64, s.read(src!))
    s.call(PUSH, mant!, word!)
  }
}

/** ST(i) = ST(0). */
const STORE_REGISTER: Subroutine = {
  name: 'x87.store',
  params: [32, 1],
  results: [],
  body: (s, st, popping) => {
    const from = physical(s, c32(s, 0))
    s.if(
      isEmpty(s, from),
      () => {
        s.microcode('fpu.underflow', [st!, popping!], 0)
      },
      () => {
        const to = physical(s, st!)
        const mant = mantissa(s, from)
        const word = exponentWord(s, from)
        setRegister(s, to, mant, word)
        markValid(s, to)
        clearC1(s)
        s.if(popping!, () => pop(s))
      },
    )
    return []
  },
}

/** ST(0) as it is. Results: 1 when it is to be stored, significand, word. */
const EXTENDED: Subroutine = {
  name: 'x87.extended',
  params: [],
  results: [1, 64, 32],
  body: (s) => {
    const register = physical(s, c32(s, 0))
    const ok = s.local(s.const(1, 1))
    const mant = s.local(mantissa(s, register))
    const word = s.local(exponentWord(s, register))
    s.if(
      isEmpty(s, register),
      () => {
        const [done, m, w] = s.microcode('fpu.st80', [], 3)
        ok.set(s.trunc(done!, 1))
        mant.set(m!)
        word.set(s.trunc(w!, 32))
      },
      () => clearC1(s),
    )
    return [ok.get(), mant.get(), word.get()]
  },
}

/** Writes ten bytes; both pages are checked first. */
function writeTen(s: Builder, dst: StagedOperand, low: Val, high: Val): void {
  const lower = s.at(dst, 0, 64)
  const upper = s.at(dst, 8, 16)
  s.readForWrite(lower)
  s.readForWrite(upper)
  s.write(lower, low)
  s.write(upper, high)
}

/**
 * Computes what is to be stored, and stores it unless an unmasked exception forbids that. The status word changes with the
 * computation, but not when the store faults.
 */
function storing<T>(s: Builder, popping: boolean, compute: () => [ok: Val, value: T], write: (value: T) => void): void {
  const before = s.local(s.get('fpStatus'))
  const [ok, value] = compute()
  const after = s.local(s.get('fpStatus'))
  s.if(ok, () => {
    s.set('fpStatus', before.get())
    write(value)
    s.set('fpStatus', after.get())
    if (popping) pop(s)
  })
}

const store =
  (popping: boolean): Semantic =>
  (s, dst) => {
    s.requireFpu('x87')
    if (dst!.kind === 'reg') return void s.call(STORE_REGISTER, c32(s, stNumber(dst!)), s.const(1, popping ? 1 : 0))
    if (dst!.width === 80) {
      const compute = (): [Val, [Val, Val]] => {
        const [ok, mant, word] = s.call(EXTENDED)
        return [ok!, [mant!, s.trunc(word!, 16)]]
      }
      storing(s, popping, compute, ([mant, word]) => writeTen(s, dst!, mant, word))
    } else {
      const shorten = dst!.width === 32 ? SHORTEN32 : SHORTEN64
      storing(
        s,
        popping,
        () => s.call(shorten) as [Val, Val],
        (bits) => s.write(dst!, bits),
      )
    }
  }

/** FSTP without a stack underflow: with an empty ST(0) it only pops. */
const FSTPNCE: Semantic = (s, dst) => {
  s.requireFpu('x87')
  const from = physical(s, c32(s, 0))
  const to = physical(s, c32(s, stNumber(dst!)))
  s.if(s.not(isEmpty(s, from)), () => {
    setRegister(s, to, mantissa(s, from), exponentWord(s, from))
    markValid(s, to)
  })
  clearC1(s)
  pop(s)
}

const FILD: Semantic = (s, src) => {
  s.requireFpu('x87')
  const [mant, word] = s.call(FROM_INTEGER, s.sext(s.read(src!), 64))
  s.call(PUSH_RAW, mant!, word!)
}

const storeInteger =
  (popping: boolean, truncate: boolean): Semantic =>
  (s, dst) => {
    s.requireFpu('x87')
    storing(
      s,
      popping,
      () => s.call(TO_INTEGER, c32(s, dst!.width), s.const(1, truncate ? 1 : 0)) as [Val, Val],
      (value) => s.write(dst!, dst!.width === 64 ? value : s.trunc(value, dst!.width as 16 | 32)),
    )
  }

const FBLD: Semantic = (s, src) => {
  s.requireFpu('x87')
  const low = s.read(s.at(src!, 0, 64))
  s.microcode('fbld', [low, s.zext(s.read(s.at(src!, 8, 16)), 64)], 0)
}

const FBSTP: Semantic = (s, dst) => {
  s.requireFpu('x87')
  const compute = (): [Val, [Val, Val]] => {
    const [ok, low, high] = s.microcode('fbstp', [], 3)
    return [s.trunc(ok!, 1), [low!, s.trunc(high!, 16)]]
  }
  storing(s, true, compute, ([low, high]) => writeTen(s, dst!, low, high))
}

/** `mant` is the chopped significand; the constant is rounded by RC. [SDM2 "FLD1/FLDL2T/FLDL2E/FLDPI/FLDLG2/FLDLN2/FLDZ—Load Constant"] */
const constant =
  (mant: bigint, word: number, nearestUp = false): Semantic =>
  (s) => {
    s.requireFpu('x87')
    let value = c64(s, mant)
    if (mant & 0xffff_ffffn) {
      const rc = roundingControl(s)
      // With nearestUp, RC = nearest and RC = up (the even ones) take the next significand.
      const up = nearestUp ? s.isZero(s.and(rc, c32(s, 1))) : s.eq(rc, c32(s, 2))
      value = s.add(value, s.zext(up, 64))
    }
    s.call(PUSH_RAW, value, c32(s, word))
  }

const EXCHANGE: Subroutine = {
  name: 'x87.exchange',
  params: [32],
  results: [],
  body: (s, st) => {
    const a = physical(s, c32(s, 0))
    const b = physical(s, st!)
    s.if(
      s.or(isEmpty(s, a), isEmpty(s, b)),
      () => {
        s.microcode('fpu.xch', [st!], 0)
      },
      () => {
        const [ma, wa, mb, wb] = [mantissa(s, a), exponentWord(s, a), mantissa(s, b), exponentWord(s, b)]
        setRegister(s, a, mb, wb)
        setRegister(s, b, ma, wa)
        clearC1(s)
      },
    )
    return []
  },
}

const MOVE_IF: Subroutine = {
  name: 'x87.moveIf',
  params: [32, 1],
  results: [],
  body: (s, st, condition) => {
    const a = physical(s, c32(s, 0))
    const b = physical(s, st!)
    s.if(
      s.or(isEmpty(s, a), isEmpty(s, b)),
      () => {
        s.microcode('fpu.underflow', [c32(s, 0), c32(s, 0)], 0)
      },
      () => {
        s.if(condition!, () => setRegister(s, a, mantissa(s, b), exponentWord(s, b)))
      },
    )
    return []
  },
}

/** `cc` as in Jcc: B 2, E 4, BE 6, U (parity) 10; odd ones are the negations. */
const conditionalMove =
  (cc: number): Semantic =>
  (s, _st0, src) => {
    s.requireFpu('x87')
    s.call(MOVE_IF, c32(s, stNumber(src!)), s.flags.condition(cc))
  }

const signChange =
  (change: (s: Builder, word: Val) => Val): Semantic =>
  (s) => {
    s.requireFpu('x87')
    const register = physical(s, c32(s, 0))
    s.if(
      isEmpty(s, register),
      () => {
        s.microcode('fpu.underflow', [c32(s, 0), c32(s, 0)], 0)
      },
      () => {
        s.set('fpExp', s.trunc(change(s, exponentWord(s, register)), 16), register)
        clearC1(s)
      },
    )
  }

/** ST(0) to an integer in the same format. */
const ROUND_TO_INTEGER: Subroutine = {
  name: 'x87.rndint',
  params: [],
  results: [],
  body: (s) => {
    const register = physical(s, c32(s, 0))
    const mant = mantissa(s, register)
    const word = exponentWord(s, register)
    const exponent = exponentOf(s, word)
    const masked = s.ne(s.and(s.get('fpControl'), c32(s, 0x20)), c32(s, 0))
    s.if(
      s.and(s.and(isPlain(s, mant, word), masked), s.not(isEmpty(s, register))),
      () =>
        s.if(
          s.ltU(exponent, c32(s, 16383 + 63)),
          () => {
            const { whole, rest } = splitInteger(s, mant, exponent)
            const up = s.local(roundsUp(s, roundingControl(s), signOf(s, word), whole, rest))
            const value = s.add(whole, s.zext(up.get(), 64))
            const [m, w] = s.call(FROM_INTEGER, value)
            // 2^63 - 1 + 1/2 rounds up to 2^63, which FROM_INTEGER takes for negative.
            setRegister(s, register, m!, s.or(s.and(w!, c32(s, 0x7fff)), signOf(s, word)))
            clearC1(s, roundingFlags(s, rest, up.get()))
          },
          () => clearC1(s),
        ),
      () => {
        s.microcode('fpu.rndint', [], 0)
      },
    )
    return []
  },
}

export const loadStoreSemantics: SemanticTable = {
  FLD,
  FST: store(false),
  FSTP: store(true),
  FSTPNCE,
  FILD,
  FIST: storeInteger(false, false),
  FISTP: storeInteger(true, false),
  FISTTP: storeInteger(true, true),
  FBLD,
  FBSTP,
  FLDZ: constant(0n, 0),
  FLD1: constant(1n << 63n, 0x3fff),
  FLDPI: constant(0xc90f_daa2_2168_c234n, 0x4000, true),
  FLDL2T: constant(0xd49a_784b_cd1b_8afen, 0x4000),
  FLDL2E: constant(0xb8aa_3b29_5c17_f0bbn, 0x3fff, true),
  FLDLG2: constant(0x9a20_9a84_fbcf_f798n, 0x3ffd, true),
  FLDLN2: constant(0xb172_17f7_d1cf_79abn, 0x3ffe, true),
  FXCH: (s, src) => {
    s.requireFpu('x87')
    s.call(EXCHANGE, c32(s, stNumber(src!)))
  },
  FCMOVB: conditionalMove(2),
  FCMOVNB: conditionalMove(3),
  FCMOVE: conditionalMove(4),
  FCMOVNE: conditionalMove(5),
  FCMOVBE: conditionalMove(6),
  FCMOVNBE: conditionalMove(7),
  FCMOVU: conditionalMove(10),
  FCMOVNU: conditionalMove(11),
  FCHS: signChange((s, word) => s.xor(word, c32(s, 0x8000))),
  FABS: signChange((s, word) => s.and(word, c32(s, 0x7fff))),
  FRNDINT: (s) => {
    s.requireFpu('x87')
    s.call(ROUND_TO_INTEGER)
  },
}
