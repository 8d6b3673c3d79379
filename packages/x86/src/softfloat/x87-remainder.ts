import { x87Nan } from './arithmetic.ts'
import { topOf } from './elementary.ts'
import type { FpuMicrocode, FpuMicrocodeTable } from './machine.ts'
import { DE, finite, IE, INDEFINITE, infinity, isNan, Kind, quieted, ZE, zeroNum, type Num } from './number.ts'
import { integer, C0, C1, C2, C3, X87 } from './x87.ts'

const invalid = { value: INDEFINITE, flags: IE }

/** NaNs, unsupported encodings and DE of a two-operand instruction on ST(0) and ST(1). False when nothing was stored. */
function twoOperands(fpu: X87, f: (a: Num, b: Num) => { value: Num; flags: number }): boolean {
  if (fpu.isEmpty(0) || fpu.isEmpty(1)) {
    fpu.underflow(0)
    return false
  }
  const a = fpu.get(0)
  const b = fpu.get(1)
  let outcome: { value: Num; flags: number }
  if (a.kind === Kind.unsupported || b.kind === Kind.unsupported) outcome = invalid
  else if (isNan(a) || isNan(b)) {
    outcome = { value: x87Nan(a, b), flags: a.kind === Kind.signaling || b.kind === Kind.signaling ? IE : 0 }
  } else {
    if (a.denormal || b.denormal) {
      const bad = f(a, b)
      if (bad.flags & IE) outcome = bad
      else outcome = { value: bad.value, flags: bad.flags | DE }
    } else outcome = f(a, b)
  }
  const value = fpu.finish(outcome)
  if (value) fpu.set(0, value)
  return value !== undefined
}

/** FPREM truncates the quotient, FPREM1 rounds it to nearest even. Exponents that differ by 64 or more are reduced in steps. */
const remainder =
  (nearest: boolean): FpuMicrocode =>
  (m) => {
    const fpu = new X87(m)
    fpu.m.state.fpStatus &= ~C2
    let conditions: number | undefined
    const stored = twoOperands(fpu, (a, b) => {
      if (a.kind === Kind.infinity || b.kind === Kind.zero) return invalid
      conditions = 0
      if (a.kind === Kind.zero || b.kind === Kind.infinity) return { value: a, flags: 0 }
      const difference = topOf(a.mag, a.e) - topOf(b.mag, b.e)
      if (difference < -1) return { value: a, flags: 0 }
      if (difference >= 64) {
        const n = 32 + (difference & 31)
        const shift = difference - n
        const e = Math.min(a.e, b.e + shift)
        const dividend = a.mag << BigInt(a.e - e)
        const divisor = b.mag << BigInt(b.e + shift - e)
        conditions = C2
        const rest = dividend % divisor
        return { value: rest === 0n ? zeroNum(a.sign) : finite(a.sign, rest, e), flags: 0 }
      }
      const e = Math.min(a.e, b.e)
      const dividend = a.mag << BigInt(a.e - e)
      const divisor = b.mag << BigInt(b.e - e)
      let q = dividend / divisor
      let rest = dividend - q * divisor
      let sign = a.sign
      if (nearest && (2n * rest > divisor || (2n * rest === divisor && (q & 1n) === 1n))) {
        q++
        rest = divisor - rest
        sign = (sign ^ 1) as 0 | 1
      }
      conditions = (q & 1n ? C1 : 0) | (q & 2n ? C3 : 0) | (q & 4n ? C0 : 0)
      return { value: rest === 0n ? zeroNum(a.sign) : finite(sign, rest, e), flags: 0 }
    })
    if (conditions === undefined || !stored) return
    fpu.condition(conditions & ~C1)
    if (conditions & C1) fpu.setC1(true)
  }

/** ST(0) * 2^trunc(ST(1)). */
const fscale: FpuMicrocode = (m) =>
  void twoOperands(new X87(m), (a, b) => {
    if (b.kind === Kind.infinity) {
      if (b.sign) return a.kind === Kind.infinity ? invalid : { value: zeroNum(a.sign), flags: 0 }
      return a.kind === Kind.zero ? invalid : { value: infinity(a.sign), flags: 0 }
    }
    if (a.kind !== Kind.finite || b.kind === Kind.zero) return { value: a, flags: 0 }
    // Beyond 2^17 every scale overflows or underflows alike.
    const scale =
      topOf(b.mag, b.e) > 17 ? 1 << 17 : Number(b.e >= 0 ? b.mag << BigInt(b.e) : b.mag >> BigInt(Math.min(-b.e, 200)))
    return { value: finite(a.sign, a.mag, a.e + (b.sign ? -scale : scale)), flags: 0 }
  })

/** ST(0) becomes the exponent, the significand is pushed. */
const fxtract: FpuMicrocode = (m) => {
  const fpu = new X87(m)
  const both = (exponent: Num, significand: Num): void => {
    fpu.set(0, exponent)
    fpu.down()
    fpu.set(0, significand)
  }
  if (fpu.isEmpty(0)) return void (fpu.underflow() && both(INDEFINITE, INDEFINITE))
  if (!fpu.isEmpty(7)) return void (fpu.overflow() && both(INDEFINITE, INDEFINITE))
  const a = fpu.get(0)
  if (a.kind === Kind.unsupported) return void (fpu.raise(IE) && both(INDEFINITE, INDEFINITE))
  if (isNan(a)) return void (fpu.raise(a.kind === Kind.signaling ? IE : 0) && both(quieted(a), quieted(a)))
  if (a.kind === Kind.infinity) return both(infinity(0), a)
  if (a.kind === Kind.zero) return void (fpu.raise(ZE) && both(infinity(1), a))
  if (a.denormal && !fpu.raise(DE)) return
  const top = topOf(a.mag, a.e)
  both(integer(BigInt(top)), finite(a.sign, a.mag, a.e - top))
}

export const remainderMicrocode: FpuMicrocodeTable = { fprem: remainder(false), fprem1: remainder(true), fscale, fxtract }
