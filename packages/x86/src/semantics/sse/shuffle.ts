import type { Builder, Semantic, StagedOperand, Val } from '../builder.ts'
import type { SemanticTable } from '../registry.ts'
import {
  bytes,
  dwords,
  enterMmx,
  hi64,
  isMmx,
  lift,
  lo64,
  low,
  pair,
  readAligned,
  u32,
  whole,
  words,
  writeMmx,
} from './operand.ts'

export const imm8 = (s: Builder, operand: StagedOperand): Val => s.zext(s.trunc(s.read(operand), 8), 32)

/** Byte indices that pick four dwords by the two-bit fields of `imm`. */
function dwordIndices(s: Builder, imm: Val): Val {
  const spread = s.op(
    'i32x4.mul',
    s.op('i32x4.splat', imm),
    dwords(s, (i) => 64 >> (2 * i)),
  )
  const fields = s.op(
    'v128.and',
    s.op('i32x4.shr_u', spread, u32(s, 6)),
    dwords(s, () => 3),
  )
  return s.op(
    'i32x4.add',
    s.op(
      'i32x4.mul',
      fields,
      dwords(s, () => 0x0404_0404),
    ),
    dwords(s, () => 0x0302_0100),
  )
}

/** Byte indices that pick four words by the two-bit fields of `imm` in one half; the other half stays. */
function wordIndices(s: Builder, imm: Val, half: 0 | 8): Val {
  const inHalf = (lane: number): boolean => lane >> 2 === half >> 3
  const spread = s.op(
    'i16x8.mul',
    s.op('i16x8.splat', imm),
    words(s, (i) => (inHalf(i) ? 64 >> (2 * (i & 3)) : 0)),
  )
  const fields = s.op(
    'v128.and',
    s.op('i16x8.shr_u', spread, u32(s, 6)),
    words(s, () => 3),
  )
  const base = words(s, (i) => (inHalf(i) ? half * 0x0101 + 0x0100 : 0x0101 * 2 * i + 0x0100))
  return s.op(
    'i16x8.add',
    s.op(
      'i16x8.mul',
      fields,
      words(s, () => 0x0202),
    ),
    base,
  )
}

const PSHUFD: Semantic = (s, dst, src, imm) => {
  s.requireFpu('sse')
  const value = readAligned(s, src!)
  s.write(dst!, s.op('i8x16.swizzle', value, dwordIndices(s, imm8(s, imm!))))
}

const shuffleWords =
  (half: 0 | 8): Semantic =>
  (s, dst, src, imm) => {
    s.requireFpu('sse')
    const value = readAligned(s, src!)
    s.write(dst!, s.op('i8x16.swizzle', value, wordIndices(s, imm8(s, imm!), half)))
  }

const PSHUFW: Semantic = (s, dst, src, imm) => {
  s.requireFpu('mmx')
  const value = lift(s, s.read(src!))
  writeMmx(s, dst!, lo64(s, s.op('i8x16.swizzle', value, wordIndices(s, imm8(s, imm!), 0))))
}

const SHUFPS: Semantic = (s, dst, src, imm) => {
  s.requireFpu('sse')
  const b = readAligned(s, src!)
  const index = dwordIndices(s, imm8(s, imm!))
  const fromA = s.op('i8x16.swizzle', s.read(dst!), index)
  const fromB = s.op('i8x16.swizzle', b, index)
  s.write(dst!, pair(s, lo64(s, fromA), hi64(s, fromB)))
}

const SHUFPD: Semantic = (s, dst, src, imm) => {
  s.requireFpu('sse')
  const b = readAligned(s, src!)
  const a = s.read(dst!)
  const control = imm8(s, imm!)
  const pick = (v: Val, bit: number): Val => s.select(s.bit(control, bit), hi64(s, v), lo64(s, v))
  s.write(dst!, pair(s, pick(a, 0), pick(b, 1)))
}

/** Lane `imm` of a vector as an integer: the vector is turned so that the lane stands at the bottom. */
export function extractLane(s: Builder, v: Val, imm: Val, size: 1 | 2 | 4 | 8): Val {
  const first = s.op('i8x16.splat', s.mul(s.and(imm, u32(s, 16 / size - 1)), u32(s, size)))
  const turned = s.op(
    'i8x16.swizzle',
    v,
    s.op(
      'i8x16.add',
      first,
      bytes(s, (i) => i),
    ),
  )
  return lo64(s, turned)
}

/** Replaces lane `imm` by the low bits of `value` (width 64). */
export function insertLane(s: Builder, v: Val, value: Val, imm: Val, size: 1 | 2 | 4 | 8): Val {
  const lane = s.op('i8x16.splat', s.and(imm, u32(s, 16 / size - 1)))
  const mask = s.op(
    'i8x16.eq',
    lane,
    bytes(s, (i) => Math.floor(i / size)),
  )
  const spread = s.op(
    'i8x16.swizzle',
    s.op('i64x2.splat', value),
    bytes(s, (i) => i % size),
  )
  return s.op('v128.bitselect', spread, v, mask)
}

/** Truncates or keeps a 64-bit value for a destination of another width. */
const narrowed = (s: Builder, value: Val, width: number): Val => (width === 64 ? value : s.trunc(value, width as 8 | 16 | 32))

/** PEXTRB, PEXTRW, PEXTRD (PEXTRQ with a 64-bit operand), EXTRACTPS: zero-extended into a register. */
const extract =
  (least: 1 | 2 | 4): Semantic =>
  (s, dst, src, imm) => {
    const size = least === 4 && dst!.width === 64 ? 8 : least
    const mmx = isMmx(src!)
    s.requireFpu(mmx ? 'mmx' : 'sse')
    const vector = s.read(whole(s, src!))
    const control = imm8(s, imm!)
    const lane = mmx ? extractLane(s, lift(s, vector), s.and(control, u32(s, 3)), size) : extractLane(s, vector, control, size)
    const value = size === 8 ? lane : s.and(lane, s.const(64, (1n << BigInt(size * 8)) - 1n))
    const target = dst!.kind === 'mem' ? low(s, dst!, (size * 8) as 8 | 16 | 32 | 64) : dst!
    s.write(target, narrowed(s, value, target.width))
    if (mmx) enterMmx(s)
  }

/** PINSRB, PINSRW, PINSRD (PINSRQ with a 64-bit operand). */
const insert =
  (least: 1 | 2 | 4): Semantic =>
  (s, dst, src, imm) => {
    const size = least === 4 && src!.width === 64 ? 8 : least
    const mmx = isMmx(dst!)
    s.requireFpu(mmx ? 'mmx' : 'sse')
    const value = s.zext(s.read(src!.kind === 'mem' ? low(s, src!, (size * 8) as 8 | 16 | 32 | 64) : src!), 64)
    const control = imm8(s, imm!)
    const old = s.read(whole(s, dst!))
    if (mmx) writeMmx(s, dst!, lo64(s, insertLane(s, lift(s, old), value, s.and(control, u32(s, 3)), size)))
    else s.write(whole(s, dst!), insertLane(s, old, value, control, size))
  }

/**
 * MASKMOVQ, MASKMOVDQU: bytes whose mask has its top bit set go to [rDI]. All bytes must be writable, whatever the mask, the upper half
 * of the sixteen first, as Intel's processors do; the x87 state changes even when they are not.
 */
const maskMove: Semantic = (s, data, mask, memory) => {
  const mmx = isMmx(data!)
  s.requireFpu(mmx ? 'mmx' : 'sse')
  const register = (operand: StagedOperand): Val => (mmx ? lift(s, s.read(operand)) : s.read(whole(s, operand)))
  const selected = s.op('i8x16.shr_s', register(mask!), u32(s, 7))
  const value = register(data!)
  if (mmx) enterMmx(s)
  else s.readForWrite(s.at(memory!, 8, 64))
  const old = s.readForWrite(memory!)
  const merged = s.op('v128.bitselect', value, mmx ? lift(s, old) : old, selected)
  s.write(memory!, mmx ? lo64(s, merged) : merged)
}

export const shuffleSemantics: SemanticTable = {
  PSHUFD,
  PSHUFLW: shuffleWords(0),
  PSHUFHW: shuffleWords(8),
  PSHUFW,
  SHUFPS,
  SHUFPD,
  PEXTRB: extract(1),
  PEXTRW: extract(2),
  PEXTRD: extract(4),
  EXTRACTPS: extract(4),
  PINSRB: insert(1),
  PINSRW: insert(2),
  PINSRD: insert(4),
  MASKMOVQ: maskMove,
  MASKMOVDQU: maskMove,
}
