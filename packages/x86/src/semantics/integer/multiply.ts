import { DE } from '../../facts/exception.ts'
import { GPR, type Builder, type Semantic, type StagedOperand, type Val } from '../builder.ts'
import type { SemanticTable } from '../registry.ts'
import { signedTo, widthOf, type IntWidth } from './width.ts'

type Extend = (s: Builder, value: Val, width: IntWidth) => Val
const unsigned: Extend = (s, value, width) => s.zext(value, width)
const signed: Extend = (s, value, width) => s.sext(value, width)

/** A product: its halves, and whether the high half says more than the low half alone does. */
interface Product {
  readonly low: Val
  readonly high: Val
  readonly overflow: Val
}

function product(s: Builder, a: Val, b: Val, isSigned: boolean): Product {
  const width = widthOf(a)
  let low: Val
  let high: Val
  if (width === 64) {
    low = s.mul(a, b)
    high = isSigned ? s.mulHighS(a, b) : s.mulHighU(a, b)
  } else {
    const extend = isSigned ? signed : unsigned
    const wide = (width * 2) as IntWidth
    const whole = s.mul(extend(s, a, wide), extend(s, b, wide))
    low = s.trunc(whole, width)
    high = s.trunc(s.shr(whole, s.const(32, width)), width)
  }
  const plain = isSigned ? s.sar(low, s.const(32, width - 1)) : s.const(width, 0)
  return { low, high, overflow: s.ne(high, plain) }
}

/** CF = OF = overflow. Of the flags that the manual leaves undefined, Intel's processors set SF and PF by the low half and clear ZF and AF. */
function setProductFlags(s: Builder, low: Val, overflow: Val): void {
  const positive = s.const(64, 0x100)
  s.flags.result(s.select(s.isZero(low), positive, signedTo(s, low, 64)), overflow, overflow)
}

/** rDX:rAX, or AX for bytes. */
function setWideAccumulator(s: Builder, high: Val, low: Val): void {
  s.setGpr(GPR.RAX, low)
  if (low.width === 8) s.setGprHigh(GPR.RAX, high)
  else s.setGpr(GPR.RDX, high)
}

const multiplyAccumulator = (s: Builder, src: StagedOperand, isSigned: boolean): void => {
  const b = s.read(src)
  const { low, high, overflow } = product(s, s.gpr(GPR.RAX, widthOf(b)), b, isSigned)
  setWideAccumulator(s, high, low)
  setProductFlags(s, low, overflow)
}

const MUL: Semantic = (s, src) => multiplyAccumulator(s, src, false)

const IMUL: Semantic = (s, dst, src, factor) => {
  if (src === undefined) {
    multiplyAccumulator(s, dst, true)
    return
  }
  const a = s.read(src)
  const b = s.read(factor ?? dst)
  const { low, overflow } = product(s, a, b, true)
  s.write(dst, low)
  setProductFlags(s, low, overflow)
}

const divide = (s: Builder, src: StagedOperand, isSigned: boolean): void => {
  const divisor = s.read(src)
  const width = widthOf(divisor)
  s.if(s.isZero(divisor), () => s.fault(DE))
  if (width === 64) divideQuad(s, divisor, isSigned)
  else divideInline(s, divisor, width, isSigned)
}

/** The dividend fits an integer of twice the width. */
function divideInline(s: Builder, divisor: Val, width: 8 | 16 | 32, isSigned: boolean): void {
  const wide = (width * 2) as 16 | 32 | 64
  const dividend =
    width === 8
      ? s.gpr(GPR.RAX, 16)
      : s.or(s.shl(s.zext(s.gpr(GPR.RDX, width), wide), s.const(32, width)), s.zext(s.gpr(GPR.RAX, width), wide))
  if (!isSigned) {
    const by = s.zext(divisor, wide)
    s.if(s.leU(divisor, s.trunc(s.shr(dividend, s.const(32, width)), width)), () => s.fault(DE))
    setWideAccumulator(s, s.trunc(s.remU(dividend, by), width), s.trunc(s.divU(dividend, by), width))
    return
  }
  const by = s.sext(divisor, wide)
  const least = s.const(wide, 1n << BigInt(wide - 1))
  s.if(s.and(s.eq(dividend, least), s.eq(by, s.const(wide, -1))), () => s.fault(DE))
  const quotient = s.divS(dividend, by)
  const low = s.trunc(quotient, width)
  s.if(s.ne(s.sext(low, wide), quotient), () => s.fault(DE))
  setWideAccumulator(s, s.trunc(s.remS(dividend, by), width), low)
}

/** RDX nearly always just extends RAX; when it does not, 128 bits are divided by `div128` and `idiv128`. */
function divideQuad(s: Builder, divisor: Val, isSigned: boolean): void {
  const low = s.gpr(GPR.RAX, 64)
  const high = s.gpr(GPR.RDX, 64)
  const simple = isSigned
    ? s.and(
        s.eq(high, s.sar(low, s.const(32, 63))),
        s.not(s.and(s.eq(low, s.const(64, 1n << 63n)), s.eq(divisor, s.const(64, -1)))),
      )
    : s.isZero(high)
  s.if(
    simple,
    () => {
      const quotient = isSigned ? s.divS(low, divisor) : s.divU(low, divisor)
      setWideAccumulator(s, isSigned ? s.remS(low, divisor) : s.remU(low, divisor), quotient)
    },
    () => {
      const [quotient, remainder] = s.microcode(isSigned ? 'idiv128' : 'div128', [high, low, divisor], 2)
      setWideAccumulator(s, remainder!, quotient!)
    },
  )
}

export const multiply: SemanticTable = {
  MUL,
  IMUL,
  DIV: (s, src) => divide(s, src, false),
  IDIV: (s, src) => divide(s, src, true),
}
