import { DE } from '../../facts/exception.ts'
import { GPR, type Builder, type Semantic, type Val } from '../builder.ts'
import type { SemanticTable } from '../registry.ts'
import { unsignedTo } from './width.ts'

/** The low decimal digit of AL needs adjusting. */
function lowDigitOut(s: Builder, al: Val): Val {
  return s.or(s.ltU(s.const(8, 9), s.and(al, s.const(8, 0xf))), s.flags.get('af'))
}

/** [SDM2 "DAA—Decimal Adjust AL After Addition", "DAS—Decimal Adjust AL After Subtraction"] */
const adjustPacked =
  (direction: 'add' | 'sub'): Semantic =>
  (s) => {
    const al = s.gpr(GPR.RAX, 8)
    const carry = s.flags.get('cf')
    const low = lowDigitOut(s, al)
    const high = s.or(s.ltU(s.const(8, 0x99), al), carry)
    const correction = s.or(s.select(low, s.const(8, 6), s.const(8, 0)), s.select(high, s.const(8, 0x60), s.const(8, 0)))
    const r = direction === 'add' ? s.add(al, correction) : s.sub(al, correction)
    const borrowed = direction === 'sub' ? s.or(high, s.and(low, s.ltU(al, s.const(8, 6)))) : high
    s.setGpr(GPR.RAX, r)
    s.flags.result(r, borrowed, s.const(1, 0))
    s.flags.set({ af: low })
  }

/** [SDM2 "AAA—ASCII Adjust After Addition", "AAS—ASCII Adjust AL After Subtraction"] */
const adjustUnpacked =
  (direction: 'add' | 'sub'): Semantic =>
  (s) => {
    const ax = s.gpr(GPR.RAX, 16)
    const out = lowDigitOut(s, s.gpr(GPR.RAX, 8))
    const correction = s.select(out, s.const(16, 0x106), s.const(16, 0))
    const adjusted = direction === 'add' ? s.add(ax, correction) : s.sub(ax, correction)
    const r = s.and(adjusted, s.const(16, 0xff0f))
    s.setGpr(GPR.RAX, r)
    s.flags.result(s.trunc(r, 8), out, s.const(1, 0))
    s.flags.set({ af: out })
  }

const AAM: Semantic = (s, base) => {
  const divisor = unsignedTo(s, s.read(base), 8)
  s.if(s.isZero(divisor), () => s.fault(DE))
  const al = s.gpr(GPR.RAX, 8)
  const digit = s.remU(al, divisor)
  s.setGprHigh(GPR.RAX, s.divU(al, divisor))
  s.setGpr(GPR.RAX, digit)
  s.flags.logic(digit)
}

const AAD: Semantic = (s: Builder, base) => {
  const al = s.gpr(GPR.RAX, 8)
  const product = s.mul(s.gprHigh(GPR.RAX), unsignedTo(s, s.read(base), 8))
  const r = s.add(al, product)
  s.setGpr(GPR.RAX, s.zext(r, 16))
  s.flags.add(al, product, r)
}

export const decimal: SemanticTable = {
  DAA: adjustPacked('add'),
  DAS: adjustPacked('sub'),
  AAA: adjustUnpacked('add'),
  AAS: adjustUnpacked('sub'),
  AAM,
  AAD,
}
