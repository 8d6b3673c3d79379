import type { Builder, StagedOperand, Subroutine, Val } from '../builder.ts'
import { EMPTY, RAW } from '../../softfloat/x87.ts'

/**
 * A datum travels as its significand (width 64) and a word (width 32): sign and exponent in bits 15..0, above them
 * FROM_DENORMAL (a denormal of a shorter format, already normalized) and EMPTY (the register was empty). The fast paths take
 * zeros and normal numbers; everything else, and every exception, is the microcode's.
 */
export const c32 = (s: Builder, value: number): Val => s.const(32, value)
export const c64 = (s: Builder, value: number | bigint): Val => s.const(64, value)

export const C1 = 0x200
const CONDITIONS = 0x4700

/** Number i of an ST(i) operand: known when the handler is made. */
export function stNumber(operand: StagedOperand): number {
  if (operand.kind !== 'reg' || operand.index === undefined) throw new Error('an x87 register operand must be known at staging')
  return operand.index
}

export const physical = (s: Builder, st: Val): Val => s.and(s.add(s.get('fpTop'), st), c32(s, 7))
export const isEmpty = (s: Builder, register: Val): Val => s.trunc(s.shr(s.get('fpEmpty'), register), 1)
export const mantissa = (s: Builder, register: Val): Val => s.get('fpMant', register)
export const exponentWord = (s: Builder, register: Val): Val => s.zext(s.get('fpExp', register), 32)

export function setRegister(s: Builder, register: Val, mant: Val, word: Val): void {
  s.set('fpMant', mant, register)
  s.set('fpExp', s.trunc(word, 16), register)
}

export function markValid(s: Builder, register: Val): void {
  s.set('fpEmpty', s.and(s.get('fpEmpty'), s.not(s.shl(c32(s, 1), register))))
}

/** Clears C1 and sets the flags given (width 32, or none). */
export function clearC1(s: Builder, also?: Val): void {
  const cleared = s.and(s.get('fpStatus'), c32(s, ~C1 >>> 0))
  s.set('fpStatus', also ? s.or(cleared, also) : cleared)
}

export function setConditions(s: Builder, bits: Val): void {
  s.set('fpStatus', s.or(s.and(s.get('fpStatus'), c32(s, ~CONDITIONS >>> 0)), bits))
}

export function pop(s: Builder): void {
  const top = s.get('fpTop')
  s.set('fpEmpty', s.or(s.get('fpEmpty'), s.shl(c32(s, 1), top)))
  s.set('fpTop', s.and(s.add(top, c32(s, 1)), c32(s, 7)))
}

/** ST(i) with EMPTY in its word. */
export const READ_ST: Subroutine = {
  name: 'x87.read',
  params: [32],
  results: [64, 32],
  body: (s, st) => {
    const register = physical(s, st!)
    const empty = s.shl(s.zext(isEmpty(s, register), 32), c32(s, 17))
    return [mantissa(s, register), s.or(exponentWord(s, register), empty)]
  },
}

/** Pushes a datum in extended format as it is. */
export const PUSH_RAW: Subroutine = {
  name: 'x87.push',
  params: [64, 32],
  results: [],
  body: (s, mant, word) => {
    const register = physical(s, c32(s, 7))
    s.if(
      s.and(isEmpty(s, register), s.isZero(s.and(word!, c32(s, EMPTY)))),
      () => {
        setRegister(s, register, mant!, word!)
        markValid(s, register)
        s.set('fpTop', register)
        clearC1(s)
      },
      () => {
        s.microcode('fpu.ld', [mant!, s.or(word!, c32(s, RAW))], 0)
      },
    )
    return []
  },
}

/** Pushes a datum that came from a shorter format: signaling NaNs and denormals raise exceptions. */
export const PUSH: Subroutine = {
  name: 'x87.load',
  params: [64, 32],
  results: [],
  body: (s, mant, word) => {
    s.if(
      s.ltU(s.and(word!, c32(s, 0x3_7fff)), c32(s, 0x7fff)),
      () => {
        s.call(PUSH_RAW, mant!, word!)
      },
      () => {
        s.microcode('fpu.ld', [mant!, word!], 0)
      },
    )
    return []
  },
}

/** Zero or a normal number, in a register that is not empty. */
export function isPlain(s: Builder, mant: Val, word: Val): Val {
  const exponent = s.and(word, c32(s, 0xffff_7fff))
  const normal = s.and(s.ltU(s.sub(exponent, c32(s, 1)), c32(s, 0x7ffe)), s.ltS(mant, c64(s, 0)))
  return s.or(normal, s.isZero(s.or(mant, s.zext(exponent, 64))))
}

export const signOf = (s: Builder, word: Val): Val => s.and(word, c32(s, 0x8000))
export const exponentOf = (s: Builder, word: Val): Val => s.and(word, c32(s, 0x7fff))
/** All six exceptions are masked. */
export const allMasked = (s: Builder): Val => s.eq(s.and(s.get('fpControl'), c32(s, 0x3f)), c32(s, 0x3f))
export const roundingControl = (s: Builder): Val => s.and(s.shr(s.get('fpControl'), c32(s, 10)), c32(s, 3))

/** #NM without #MF: for the instructions that do not wait. */
export function requireFpuNoWait(s: Builder): void {
  s.if(s.bit(s.get('fpuTrap'), 0), () => s.fault(7))
}
