import { GPR, type Builder, type Val } from '../builder.ts'
import { unsignedTo, type IntWidth } from './width.ts'

/** Bits of a 32-bit register that make up the stack pointer outside 64-bit code, where SS.B decides at run time. */
function stackMask(s: Builder): Val {
  return s.select(s.eq(s.get('stackWidth'), s.const(32, 16)), s.const(32, 0xffff), s.const(32, 0xffff_ffff))
}

/** Width in which `stackAddress` and `setStackPointer` calculate. */
function stackArithmetic(s: Builder): 32 | 64 {
  return s.codeWidth === 64 ? 64 : 32
}

/** A general register, or an offset from it, as an offset into the stack segment. */
export function stackAddress(s: Builder, register: number, displacement = 0): Val {
  const width = stackArithmetic(s)
  const value = s.gpr(register, width)
  const sum = displacement === 0 ? value : s.add(value, s.const(width, displacement))
  return width === 64 ? sum : s.and(sum, stackMask(s))
}

/** Sets SP, ESP or RSP. */
export function setStackPointer(s: Builder, value: Val): void {
  if (stackArithmetic(s) === 64) {
    s.setGpr(GPR.RSP, value)
    return
  }
  const mask = stackMask(s)
  const kept = s.and(s.gpr(GPR.RSP, 32), s.not(mask))
  s.setGpr(GPR.RSP, s.or(kept, s.and(value, mask)))
}

/** Adds bytes to SP, ESP or RSP. */
export function moveStackPointer(s: Builder, bytes: Val): void {
  const width = stackArithmetic(s)
  setStackPointer(s, s.add(s.gpr(GPR.RSP, width), unsignedTo(s, bytes, width)))
}

/** The value on top of the stack, or `displacement` bytes above it. */
export function topOfStack(s: Builder, width: IntWidth, displacement = 0): Val {
  return s.load(2, stackAddress(s, GPR.RSP, displacement), width)
}
