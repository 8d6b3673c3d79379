import { GPR, type Builder, type Val } from '../builder.ts'
import { unsignedTo, type IntWidth } from './width.ts'

function knownWidth(s: Builder): 16 | 32 | 64 | undefined {
  return s.codeWidth === 64 ? 64 : s.stackWidth
}

/** Bits of a 32-bit register that make up the stack pointer, when SS.B decides at run time. */
function stackMask(s: Builder): Val {
  return s.select(s.eq(s.get('stackWidth'), s.const(32, 16)), s.const(32, 0xffff), s.const(32, 0xffff_ffff))
}

/** A general register, or an offset from it, as an offset into the stack segment; `less` is taken off too. */
export function stackAddress(s: Builder, register: number, displacement = 0, less?: Val): Val {
  const known = knownWidth(s)
  const width = known ?? 32
  const value = s.gpr(register, width)
  const moved = displacement === 0 ? value : s.add(value, s.const(width, displacement))
  const sum = less === undefined ? moved : s.sub(moved, unsignedTo(s, less, width))
  return known === undefined ? s.and(sum, stackMask(s)) : sum
}

/** Sets SP, ESP or RSP. */
export function setStackPointer(s: Builder, value: Val): void {
  const known = knownWidth(s)
  if (known !== undefined) {
    s.setGpr(GPR.RSP, unsignedTo(s, value, known))
    return
  }
  const mask = stackMask(s)
  const kept = s.and(s.gpr(GPR.RSP, 32), s.not(mask))
  s.setGpr(GPR.RSP, s.or(kept, s.and(unsignedTo(s, value, 32), mask)))
}

/** Adds bytes to SP, ESP or RSP. */
export function moveStackPointer(s: Builder, bytes: Val): void {
  const width = knownWidth(s) ?? 32
  setStackPointer(s, s.add(s.gpr(GPR.RSP, width), unsignedTo(s, bytes, width)))
}

/** The value on top of the stack, or `displacement` bytes above it. */
export function topOfStack(s: Builder, width: IntWidth, displacement = 0): Val {
  return s.load(2, stackAddress(s, GPR.RSP, displacement), width)
}
