import type { Builder, Semantic, StagedOperand, Val } from '../builder.ts'
import type { SemanticTable } from '../registry.ts'
import { bytes, isMmx, lift, lo64, pair, readAligned, u32, whole, writeMmx, zero } from './operand.ts'

/** The count: an immediate byte, or the low 64 bits of a register or memory operand (128-bit memory must be aligned). */
function readCount(s: Builder, operand: StagedOperand, mmx: boolean): Val {
  if (operand.kind === 'imm') return s.zext(s.trunc(s.read(operand), 8), 64)
  return mmx ? s.read(operand) : lo64(s, readAligned(s, operand))
}

/** Shifts each lane of `width` bits; counts from `width` on clear it, or fill it with the sign. */
function shift(name: string, width: number): Semantic {
  const arithmetic = name.endsWith('shr_s')
  return (s, dst, source) => {
    const mmx = isMmx(dst!)
    s.requireFpu(mmx ? 'mmx' : 'sse')
    const count = readCount(s, source!, mmx)
    const inRange = s.ltU(count, s.const(64, width))
    const value = s.read(dst!)
    const a = mmx ? lift(s, value) : value
    const amount = s.trunc(count, 32)
    const r = arithmetic
      ? s.op(name, a, s.select(inRange, amount, u32(s, width - 1)))
      : s.select(inRange, s.op(name, a, amount), zero(s))
    if (mmx) writeMmx(s, dst!, lo64(s, r))
    else s.write(dst!, r)
  }
}

/** Index vector i + imm (or i - imm), imm limited to `limit`; indices beyond 15 select zero. */
function displaced(s: Builder, imm: StagedOperand, limit: number, direction: 'add' | 'sub'): Val {
  const count = s.zext(s.trunc(s.read(imm), 8), 32)
  const amount = s.select(s.ltU(count, u32(s, limit)), count, u32(s, limit))
  return s.op(
    `i8x16.${direction}`,
    bytes(s, (i) => i),
    s.op('i8x16.splat', amount),
  )
}

function shiftBytes(direction: 'add' | 'sub'): Semantic {
  return (s, dst, imm) => {
    s.requireFpu('sse')
    s.write(dst!, s.op('i8x16.swizzle', s.read(dst!), displaced(s, imm!, 16, direction)))
  }
}

/** Bytes imm.. of the concatenation dst:src. */
const PALIGNR: Semantic = (s, dst, src, imm) => {
  if (isMmx(dst!)) {
    s.requireFpu('mmx')
    const b = s.read(src!)
    const both = pair(s, b, s.read(dst!))
    return writeMmx(s, dst!, lo64(s, s.op('i8x16.swizzle', both, displaced(s, imm!, 16, 'add'))))
  }
  s.requireFpu('sse')
  const b = readAligned(s, src!)
  const index = displaced(s, imm!, 32, 'add')
  const above = s.op(
    'i8x16.sub',
    index,
    bytes(s, () => 16),
  )
  s.write(whole(s, dst!), s.op('v128.or', s.op('i8x16.swizzle', b, index), s.op('i8x16.swizzle', s.read(dst!), above)))
}

export const shiftSemantics: SemanticTable = {
  PSLLW: shift('i16x8.shl', 16),
  PSLLD: shift('i32x4.shl', 32),
  PSLLQ: shift('i64x2.shl', 64),
  PSRLW: shift('i16x8.shr_u', 16),
  PSRLD: shift('i32x4.shr_u', 32),
  PSRLQ: shift('i64x2.shr_u', 64),
  PSRAW: shift('i16x8.shr_s', 16),
  PSRAD: shift('i32x4.shr_s', 32),
  PSLLDQ: shiftBytes('sub'),
  PSRLDQ: shiftBytes('add'),
  PALIGNR,
}
