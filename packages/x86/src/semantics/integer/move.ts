import type { Builder, Semantic, StagedOperand } from '../builder.ts'
import type { SemanticTable } from '../registry.ts'
import { signedTo, unsignedTo, widthOf } from './width.ts'

/** Loading a segment, control or debug register, and reading the latter two, is for microcode. */
function needsPrivilegedRegister(dst: StagedOperand, src: StagedOperand): boolean {
  const privileged = (o: StagedOperand): boolean => o.kind === 'reg' && (o.cls === 'cr' || o.cls === 'dr' || o.cls === 'tr')
  return privileged(dst) || privileged(src) || (dst.kind === 'reg' && dst.cls === 'seg')
}

const MOV: Semantic = (s, dst, src) => {
  if (needsPrivilegedRegister(dst, src)) {
    s.microcode('mov', [], 0)
    return
  }
  s.write(dst, unsignedTo(s, s.read(src), widthOf(dst)))
}

const MOVZX: Semantic = (s, dst, src) => {
  s.write(dst, unsignedTo(s, s.read(src), widthOf(dst)))
}

const MOVSX: Semantic = (s, dst, src) => {
  s.write(dst, signedTo(s, s.read(src), widthOf(dst)))
}

const LEA: Semantic = (s, dst, src) => {
  s.write(dst, unsignedTo(s, s.address(src), widthOf(dst)))
}

const XCHG: Semantic = (s, left, right) => {
  const a = s.readForWrite(left)
  const b = s.readForWrite(right)
  s.write(left, b)
  s.write(right, a)
}

/** A 16-bit operand gives zero, which the manual leaves undefined and every processor does. */
const BSWAP: Semantic = (s, dst) => {
  s.write(dst, dst.width === 16 ? s.const(16, 0) : s.bswap(s.read(dst)))
}

const MOVBE: Semantic = (s, dst, src) => {
  const value = s.read(src)
  s.write(dst, dst.width === 16 ? s.rotl(value, s.const(16, 8)) : s.bswap(value))
}

/** The source is read, and the upper half of a 32-bit destination cleared, even if the condition is false. */
const CMOVCC: Semantic = (s, dst, src) => {
  const b = s.read(src)
  s.write(dst, s.select(s.flags.condition(s.cc), b, s.read(dst)))
}

const SETCC: Semantic = (s, dst) => {
  s.write(dst, s.zext(s.flags.condition(s.cc), 8))
}

const XLAT: Semantic = (s, table) => {
  const ea = s.add(s.address(table), s.zext(s.gpr(0, 8), s.addressSize))
  s.setGpr(0, s.load(table, ea, 8))
}

/** CBW, CWDE, CDQE: the lower half of rAX, sign-extended. */
const extendAccumulator: Semantic = (s) => {
  s.setGpr(0, s.sext(s.gpr(0, (s.operandSize / 2) as 8 | 16 | 32), s.operandSize))
}

/** CWD, CDQ, CQO: the sign of rAX all over rDX. */
const extendIntoData: Semantic = (s: Builder) => {
  s.setGpr(2, s.sar(s.gpr(0, s.operandSize), s.const(32, s.operandSize - 1)))
}

export const move: SemanticTable = {
  MOV,
  MOVNTI: MOV,
  MOVDIRI: MOV,
  MOVZX,
  MOVSX,
  MOVSXD: MOVSX,
  LEA,
  XCHG,
  BSWAP,
  MOVBE,
  CMOVCC,
  SETCC,
  XLAT,
  CBW: extendAccumulator,
  CWD: extendIntoData,
}
