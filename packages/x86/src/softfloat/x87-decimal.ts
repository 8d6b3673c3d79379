import type { FpuMicrocode, FpuMicrocodeTable } from './machine.ts'
import { IE, INDEFINITE, Kind, PE, zeroNum } from './number.ts'
import { toInteger } from './x87-basic.ts'
import { integer, X87 } from './x87.ts'

/** Packed BCD indefinite: FFFF C000 0000 0000 0000H. */
const INDEFINITE_HIGH = 0xffffn
const INDEFINITE_LOW = 0xc000_0000_0000_0000n

/** Arguments: low 64 bits, sign byte and top two digits. */
const fbld: FpuMicrocode = (m, [low, high]) => {
  const fpu = new X87(m)
  if (!fpu.isEmpty(7)) {
    if (!fpu.overflow()) return
    fpu.down()
    return fpu.set(0, INDEFINITE)
  }
  let value = 0n
  const digits = low! | ((high! & 0xffn) << 64n)
  for (let i = 17n; i >= 0n; i--) value = value * 10n + ((digits >> (4n * i)) & 15n)
  const negative = (high! & 0x8000n) !== 0n
  fpu.down()
  fpu.set(0, value === 0n ? zeroNum(negative ? 1 : 0) : integer(negative ? -value : value))
}

/** Results: 1 when it is to be stored, low 64 bits, high 16 bits. The handler pops. */
const fbstp: FpuMicrocode = (m) => {
  const fpu = new X87(m)
  if (fpu.isEmpty(0)) return fpu.underflow() ? [1n, INDEFINITE_LOW, INDEFINITE_HIGH] : [0n, 0n, 0n]
  const a = fpu.get(0)
  if (a.kind <= Kind.finite && a.e < 70) {
    const { value, inexact, up } = toInteger(a, fpu.rounding)
    let magnitude = value < 0n ? -value : value
    if (magnitude < 10n ** 18n) {
      fpu.setC1(up)
      if (inexact) fpu.raise(PE)
      let digits = 0n
      for (let i = 0n; i < 18n; i++) {
        digits |= (magnitude % 10n) << (4n * i)
        magnitude /= 10n
      }
      return [1n, digits & 0xffff_ffff_ffff_ffffn, (digits >> 64n) | (a.sign ? 0x8000n : 0n)]
    }
  }
  return fpu.raise(IE) ? [1n, INDEFINITE_LOW, INDEFINITE_HIGH] : [0n, 0n, 0n]
}

export const decimalMicrocode: FpuMicrocodeTable = { fbld, fbstp }
