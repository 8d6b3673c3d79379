import { EFLAGS_DF } from '../../facts/eflags.ts'
import { GPR, type Builder, type Semantic, type StagedOperand, type Val } from '../builder.ts'
import type { SemanticTable } from '../registry.ts'
import { signedTo, widthOf } from './width.ts'

/** Bytes from one element to the next: the element's size, negative if EFLAGS.DF = 1. */
function stride(s: Builder, width: number): Val {
  const size = width / 8
  const twice = s.shr(s.and(s.get('flagsSystem'), s.const(32, EFLAGS_DF)), s.const(32, Math.log2(EFLAGS_DF / size) - 1))
  return signedTo(s, s.sub(s.const(32, size), twice), s.addressSize)
}

function advance(s: Builder, by: Val, ...registers: number[]): void {
  for (const register of registers) s.setGpr(register, s.add(s.gpr(register, s.addressSize), by))
}

/** One iteration each; the executor counts rCX and tests ZF when the instruction is repeated. */
const MOVS: Semantic = (s, dst, src) => {
  s.write(dst, s.read(src))
  advance(s, stride(s, dst.width), GPR.RSI, GPR.RDI)
}

const STOS: Semantic = (s, dst, src) => {
  s.write(dst, s.read(src))
  advance(s, stride(s, dst.width), GPR.RDI)
}

const LODS: Semantic = (s, dst, src) => {
  s.write(dst, s.read(src))
  advance(s, stride(s, src.width), GPR.RSI)
}

function compare(s: Builder, left: StagedOperand, right: StagedOperand, ...registers: number[]): void {
  // ES:rDI first, as Intel's processors do: CR2 tells.
  const b = s.read(right)
  const a = s.read(left)
  advance(s, stride(s, widthOf(a)), ...registers)
  s.flags.sub(a, b, s.sub(a, b))
}

export const string: SemanticTable = {
  MOVS,
  STOS,
  LODS,
  CMPS: (s, left, right) => compare(s, left, right, GPR.RSI, GPR.RDI),
  SCAS: (s, accumulator, element) => compare(s, accumulator, element, GPR.RDI),
}
