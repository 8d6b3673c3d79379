import { add, compare, divide, multiply, squareRoot, subtract, x87Nan, type Outcome } from './arithmetic.ts'
import type { FpuMicrocode, FpuMicrocodeTable } from './machine.ts'
import {
  cut,
  DE,
  DOUBLE,
  IE,
  INDEFINITE,
  isNan,
  Kind,
  packDouble,
  packSingle,
  PE,
  quieted,
  round,
  SINGLE,
  unpackExtended,
  zeroNum,
  finite,
  type Format,
  type Num,
  type Rounding,
} from './number.ts'
import { C0, C1, C2, C3, EMPTY, FROM_DENORMAL, RAW, X87 } from './x87.ts'

const POP = 8
const REVERSED = 16

const source = (mant: bigint, word: number): Num => unpackExtended(mant, word & 0xffff, (word & FROM_DENORMAL) !== 0)

/** ST(dst) = ST(dst) op source. Arguments: ST number with POP and REVERSED, significand, word. */
const arithmetic =
  (op: (a: Num, b: Num, rounding: Rounding) => Outcome): FpuMicrocode =>
  (m, [control, mant, wordArg]) => {
    const fpu = new X87(m)
    const flags = Number(control)
    const dst = flags & 7
    const word = Number(wordArg)
    if (fpu.isEmpty(dst) || word & EMPTY) {
      if (fpu.underflow(dst) && flags & POP) fpu.pop()
      return
    }
    const a = fpu.get(dst)
    const b = source(mant!, word)
    const value = fpu.finish(flags & REVERSED ? op(b, a, fpu.rounding) : op(a, b, fpu.rounding), fpu.precision)
    if (!value) return
    fpu.set(dst, value)
    if (flags & POP) fpu.pop()
  }

/** Unary operations on ST(0). */
export const onTop =
  (op: (a: Num, fpu: X87) => Num | undefined): FpuMicrocode =>
  (m) => {
    const fpu = new X87(m)
    if (fpu.isEmpty(0)) return void fpu.underflow(0)
    const value = op(fpu.get(0), fpu)
    if (value) fpu.set(0, value)
  }

/** FRNDINT, and the value part of FIST. */
export function toInteger(a: Num, rounding: Rounding): { value: bigint; inexact: boolean; up: boolean } {
  if (a.kind === Kind.zero) return { value: 0n, inexact: false, up: false }
  // Everything smaller than a quarter rounds as 2^-70 does.
  const tiny = a.e < -200
  const { q, inexact, up } = cut(rounding, a.sign, tiny ? 1n : a.mag, tiny ? -70 : a.e, 0)
  return { value: a.sign ? -q : q, inexact, up }
}

function roundToInteger(a: Num, fpu: X87): Num | undefined {
  if (a.kind === Kind.unsupported || isNan(a)) return fpu.finish(squareRoot(a))
  if (a.kind !== Kind.finite) return a
  if (a.denormal && !fpu.raise(DE)) return undefined
  if (a.e >= 0) return a
  const { value, inexact, up } = toInteger(a, fpu.rounding)
  if (inexact) {
    fpu.setC1(up)
    fpu.raise(PE)
  }
  return value === 0n ? zeroNum(a.sign) : finite(a.sign, value < 0n ? -value : value, 0)
}

type Order = { order: -1 | 0 | 1 | undefined; flags: number }

/** Order of two operands, undefined when unordered; `quiet`: a quiet NaN is no invalid operand (FUCOM). */
export function orderOf(a: Num, b: Num, quiet: boolean): Order {
  if (a.kind >= Kind.quiet || b.kind >= Kind.quiet) {
    const invalid = !quiet || a.kind > Kind.quiet || b.kind > Kind.quiet
    return { order: undefined, flags: invalid ? IE : 0 }
  }
  return { order: compare(a, b), flags: a.denormal || b.denormal ? DE : 0 }
}

/** Compares ST(0) with the source. `settled` is false when an unmasked exception forbids the pops. */
function compared(fpu: X87, mant: bigint, word: number, quiet: boolean): { order: Order['order']; settled: boolean } {
  if (fpu.isEmpty(0) || word & EMPTY) return { order: undefined, settled: fpu.underflow() }
  const { order, flags } = orderOf(fpu.get(0), source(mant, word), quiet)
  return { order, settled: fpu.raise(flags) }
}

const conditionOf = (order: Order['order']): number =>
  order === undefined ? C3 | C2 | C0 : order < 0 ? C0 : order === 0 ? C3 : 0
/** ZF, PF, CF in their RFLAGS places. */
export const eflagsOf = (order: Order['order']): bigint =>
  order === undefined ? 0x45n : order < 0 ? 1n : order === 0 ? 0x40n : 0n

/** Arguments: significand, word, bit 0 = quiet, bits 1.. = number of pops. */
const fcom: FpuMicrocode = (m, [mant, word, mode]) => {
  const fpu = new X87(m)
  const result = compared(fpu, mant!, Number(word), (mode! & 1n) !== 0n)
  fpu.condition(conditionOf(result.order))
  if (!result.settled) return
  for (let pops = Number(mode! >> 1n); pops > 0; pops--) fpu.pop()
}

/** As fcom; the result is the flags, which change with an unmasked exception too. */
const fcomi: FpuMicrocode = (m, [mant, word, mode]) => {
  const c1 = m.state.fpStatus & C1
  const fpu = new X87(m)
  const underflow = fpu.isEmpty(0) || (Number(word) & EMPTY) !== 0
  const result = compared(fpu, mant!, Number(word), (mode! & 1n) !== 0n)
  if (!underflow) m.state.fpStatus |= c1
  if (result.settled && mode! >> 1n) fpu.pop()
  return [eflagsOf(result.order)]
}

/** Pushes a datum that was loaded from memory or made by the processor. Arguments: significand, word. */
const fld: FpuMicrocode = (m, [mant, wordArg]) => {
  const fpu = new X87(m)
  const word = Number(wordArg)
  if (word & EMPTY) {
    if (!fpu.underflow()) return
    fpu.down()
    return fpu.set(0, INDEFINITE)
  }
  if (!fpu.isEmpty(7)) {
    if (!fpu.overflow()) return
    fpu.down()
    return fpu.set(0, INDEFINITE)
  }
  if (!(word & RAW)) {
    const value = source(mant!, word)
    if (value.kind === Kind.signaling) {
      if (!fpu.raise(IE)) return
      fpu.down()
      return fpu.set(0, quieted(value))
    }
    // Even unmasked, DE does not keep the number from being pushed.
    if (value.denormal) fpu.raise(DE)
  }
  fpu.down()
  fpu.setRaw(0, mant!, word & 0xffff)
}

/** ST(0) in a shorter format. Results: 1 when it is to be stored, the bits. */
const store =
  (format: Format, pack: (n: Num) => bigint): FpuMicrocode =>
  (m) => {
    const fpu = new X87(m)
    if (fpu.isEmpty(0)) return fpu.underflow() ? [1n, pack(INDEFINITE)] : [0n, 0n]
    const a = fpu.get(0)
    if (a.kind !== Kind.finite) {
      const { value, flags } = a.kind < Kind.quiet ? { value: a, flags: 0 } : squareRoot(a)
      return fpu.raise(flags) ? [1n, pack(value)] : [0n, 0n]
    }
    const r = round(a, format, fpu.rounding, fpu.masks)
    const unmasked = r.flags & ~PE & ~fpu.masks
    fpu.setC1(r.up && !unmasked)
    fpu.raise(unmasked || r.flags)
    if (unmasked) return [0n, 0n]
    return [1n, pack(r.value)]
  }

/** ST(0) when it is empty. Results: 1 when it is to be stored, significand, word. */
const storeEmpty: FpuMicrocode = (m) => (new X87(m).underflow() ? [1n, INDEFINITE.mag, 0xffffn] : [0n, 0n, 0n])

/** ST(0) as an integer. Arguments: width, 1 = truncate. Results: 1 when it is to be stored, the value. */
const fist: FpuMicrocode = (m, [width, truncate]) => {
  const fpu = new X87(m)
  const indefinite = 1n << (width! - 1n)
  if (fpu.isEmpty(0)) return fpu.underflow() ? [1n, indefinite] : [0n, 0n]
  const a = fpu.get(0)
  if (a.kind <= Kind.finite && a.e < 70) {
    const { value, inexact, up } = toInteger(a, truncate ? 3 : fpu.rounding)
    if (value >= -indefinite && value < indefinite) {
      fpu.setC1(up)
      if (inexact) fpu.raise(PE)
      return [1n, BigInt.asUintN(64, value)]
    }
  }
  return fpu.raise(IE) ? [1n, indefinite] : [0n, 0n]
}

/** Arguments: ST number to be made indefinite, 1 = pop. */
const underflow: FpuMicrocode = (m, [dst, pop]) => {
  const fpu = new X87(m)
  if (fpu.underflow(Number(dst)) && pop) fpu.pop()
}

const fxch: FpuMicrocode = (m, [st]) => {
  const fpu = new X87(m)
  const i = Number(st)
  const empty = [0, i].filter((n) => fpu.isEmpty(n))
  if (empty.length && !fpu.underflow()) return
  for (const n of empty) fpu.set(n, INDEFINITE)
  const { fpMant, fpExp } = m.state
  const [p, q] = [fpu.physical(0), fpu.physical(i)]
  const [mant, exp] = [fpMant.get(p), fpExp.get(p)]
  fpMant.set(p, fpMant.get(q))
  fpExp.set(p, fpExp.get(q))
  fpMant.set(q, mant)
  fpExp.set(q, exp)
}

/** Class of ST(0), empty or not; C1 is its sign. [SDM2 "FXAM—Examine Floating-Point"] */
const fxam: FpuMicrocode = (m) => {
  const fpu = new X87(m)
  const word = m.state.fpExp.get(fpu.physical(0))
  const a = fpu.get(0)
  const classes: Record<Kind, number> = {
    [Kind.zero]: C3,
    [Kind.finite]: a.denormal ? C3 | C2 : C2,
    [Kind.infinity]: C2 | C0,
    [Kind.quiet]: C0,
    [Kind.signaling]: C0,
    [Kind.unsupported]: 0,
  }
  fpu.condition(fpu.isEmpty(0) ? C3 | C0 : classes[a.kind])
  if (word & 0x8000) m.state.fpStatus |= C1
}

export const basicMicrocode: FpuMicrocodeTable = {
  'fpu.add': arithmetic((a, b, rounding) => add(a, b, rounding, x87Nan)),
  'fpu.sub': arithmetic((a, b, rounding) => subtract(a, b, rounding, x87Nan)),
  'fpu.mul': arithmetic((a, b) => multiply(a, b, x87Nan)),
  'fpu.div': arithmetic((a, b) => divide(a, b, x87Nan)),
  'fpu.sqrt': onTop((a, fpu) => fpu.finish(squareRoot(a), fpu.precision)),
  'fpu.rndint': onTop(roundToInteger),
  'fpu.com': fcom,
  'fpu.comi': fcomi,
  'fpu.ld': fld,
  'fpu.st32': store(SINGLE, packSingle),
  'fpu.st64': store(DOUBLE, packDouble),
  'fpu.st80': storeEmpty,
  'fpu.ist': fist,
  'fpu.underflow': underflow,
  'fpu.xch': fxch,
  'fpu.xam': fxam,
}
