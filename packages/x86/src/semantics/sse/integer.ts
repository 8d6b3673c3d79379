import type { Builder, Val } from '../builder.ts'
import type { SemanticTable } from '../registry.ts'
import { bytes, hi64, joined, lo64, packed, packedUnary, pair, words, zero, type VectorOp } from './operand.ts'

const lanes =
  (name: string): VectorOp =>
  (s, a, b) =>
    s.op(name, a, b)

/** The high 16 bits of the eight products. */
const mulHigh =
  (sign: 's' | 'u'): VectorOp =>
  (s, a, b) => {
    const low = s.op(`i32x4.extmul_low_i16x8_${sign}`, a, b)
    const high = s.op(`i32x4.extmul_high_i16x8_${sign}`, a, b)
    return s.shuffle(low, high, [2, 3, 6, 7, 10, 11, 14, 15, 18, 19, 22, 23, 26, 27, 30, 31])
  }

/** Products of the even 32-bit lanes. */
const mulEven =
  (sign: 's' | 'u'): VectorOp =>
  (s, a, b) => {
    const even = (v: Val): Val => s.shuffle(v, v, [0, 1, 2, 3, 8, 9, 10, 11, 0, 1, 2, 3, 8, 9, 10, 11])
    return s.op(`i64x2.extmul_low_i32x4_${sign}`, even(a), even(b))
  }

/** Sums of eight absolute differences, for each half. */
function sumOfDifferences(s: Builder, a: Val, b: Val): Val {
  const difference = s.op('i8x16.sub', s.op('i8x16.max_u', a, b), s.op('i8x16.min_u', a, b))
  const fours = s.op('i32x4.extadd_pairwise_i16x8_u', s.op('i16x8.extadd_pairwise_i8x16_u', difference))
  const sums = s.op('i64x2.add', fours, s.op('i64x2.shr_u', fours, s.const(32, 32)))
  return s.op(
    'v128.and',
    sums,
    bytes(s, (i) => ((i & 7) < 2 ? 0xff : 0)),
  )
}

/** Interleaves lanes of `size` bytes, from the low (first = 0) or high (first = 8) halves. */
const interleave =
  (size: number, first: 0 | 8): VectorOp =>
  (s, a, b) =>
    s.shuffle(
      a,
      b,
      Array.from({ length: 16 }, (_, i) => {
        const lane = Math.floor(i / size)
        return first + (lane >> 1) * size + (i % size) + (lane & 1 ? 16 : 0)
      }),
    )

/** The high half of an MMX register is the upper dword: bytes 4..7, interleaved as the upper part of the low half. */
const unpackHigh = (size: number): ReturnType<typeof packed> => {
  const xmm = packed(interleave(size, 8))
  const mmx = packed((s, a, b) => {
    const both = interleave(size, 0)(s, a, b)
    return pair(s, hi64(s, both), lo64(s, both))
  })
  return (s, dst, src) => (dst!.kind === 'reg' && dst!.cls === 'mmx' ? mmx(s, dst!, src!) : xmm(s, dst!, src!))
}

/** Even (0) or odd (1) lanes of a, then of b. */
const everyOther = (s: Builder, a: Val, b: Val, size: number, odd: 0 | 1): Val =>
  s.shuffle(
    a,
    b,
    Array.from({ length: 16 }, (_, i) => (Math.floor(i / size) * 2 + odd) * size + (i % size)),
  )

const horizontal = (name: string, size: number): ReturnType<typeof joined> =>
  joined((s, a, b) => s.op(name, everyOther(s, a, b, size, 0), everyOther(s, a, b, size, 1)))

/** a, negated or cleared by the sign of b. */
const sign =
  (shape: string): VectorOp =>
  (s, a, b) => {
    const negative = s.op(`${shape}.lt_s`, b, zero(s))
    const signed = s.op(`${shape}.sub`, s.op('v128.xor', a, negative), negative)
    return s.op('v128.andnot', signed, s.op(`${shape}.eq`, b, zero(s)))
  }

/** Rounded high product; WebAssembly saturates -1 * -1, x86 wraps. */
function mulHighRounded(s: Builder, a: Val, b: Val): Val {
  const minimum = words(s, () => 0x8000)
  const both = s.op('v128.and', s.op('i16x8.eq', a, minimum), s.op('i16x8.eq', b, minimum))
  return s.op('v128.xor', s.op('i16x8.q15mulr_sat_s', a, b), both)
}

function mulAddBytes(s: Builder, a: Val, b: Val): Val {
  const eight = s.const(32, 8)
  const even = s.op(
    'i16x8.mul',
    s.op(
      'v128.and',
      a,
      words(s, () => 0xff),
    ),
    s.op('i16x8.shr_s', s.op('i16x8.shl', b, eight), eight),
  )
  const odd = s.op('i16x8.mul', s.op('i16x8.shr_u', a, eight), s.op('i16x8.shr_s', b, eight))
  return s.op('i16x8.add_sat_s', even, odd)
}

function shuffleBytes(s: Builder, a: Val, b: Val): Val {
  return s.op(
    'i8x16.swizzle',
    a,
    s.op(
      'v128.and',
      b,
      bytes(s, () => 0x8f),
    ),
  )
}
function shuffleBytesMmx(s: Builder, a: Val, b: Val): Val {
  return s.op(
    'i8x16.swizzle',
    a,
    s.op(
      'v128.and',
      b,
      bytes(s, () => 0x87),
    ),
  )
}

export const and: VectorOp = lanes('v128.and')
export const or: VectorOp = lanes('v128.or')
export const xor: VectorOp = lanes('v128.xor')
/** NOT dst AND src. */
export const andNot: VectorOp = (s, a, b) => s.op('v128.andnot', b, a)

/** Packed integer arithmetic of MMX, SSE, SSE2, SSSE3 and SSE4. */
export const integerSemantics: SemanticTable = {
  PADDB: packed(lanes('i8x16.add')),
  PADDW: packed(lanes('i16x8.add')),
  PADDD: packed(lanes('i32x4.add')),
  PADDQ: packed(lanes('i64x2.add')),
  PADDSB: packed(lanes('i8x16.add_sat_s')),
  PADDSW: packed(lanes('i16x8.add_sat_s')),
  PADDUSB: packed(lanes('i8x16.add_sat_u')),
  PADDUSW: packed(lanes('i16x8.add_sat_u')),
  PSUBB: packed(lanes('i8x16.sub')),
  PSUBW: packed(lanes('i16x8.sub')),
  PSUBD: packed(lanes('i32x4.sub')),
  PSUBQ: packed(lanes('i64x2.sub')),
  PSUBSB: packed(lanes('i8x16.sub_sat_s')),
  PSUBSW: packed(lanes('i16x8.sub_sat_s')),
  PSUBUSB: packed(lanes('i8x16.sub_sat_u')),
  PSUBUSW: packed(lanes('i16x8.sub_sat_u')),
  PMULLW: packed(lanes('i16x8.mul')),
  PMULHW: packed(mulHigh('s')),
  PMULHUW: packed(mulHigh('u')),
  PMULUDQ: packed(mulEven('u')),
  PMADDWD: packed(lanes('i32x4.dot_i16x8_s')),
  PSADBW: packed(sumOfDifferences),
  PAVGB: packed(lanes('i8x16.avgr_u')),
  PAVGW: packed(lanes('i16x8.avgr_u')),
  PMINUB: packed(lanes('i8x16.min_u')),
  PMAXUB: packed(lanes('i8x16.max_u')),
  PMINSW: packed(lanes('i16x8.min_s')),
  PMAXSW: packed(lanes('i16x8.max_s')),

  PAND: packed(and),
  PANDN: packed(andNot),
  POR: packed(or),
  PXOR: packed(xor),
  PCMPEQB: packed(lanes('i8x16.eq')),
  PCMPEQW: packed(lanes('i16x8.eq')),
  PCMPEQD: packed(lanes('i32x4.eq')),
  PCMPGTB: packed(lanes('i8x16.gt_s')),
  PCMPGTW: packed(lanes('i16x8.gt_s')),
  PCMPGTD: packed(lanes('i32x4.gt_s')),

  PACKSSWB: joined(lanes('i8x16.narrow_i16x8_s')),
  PACKUSWB: joined(lanes('i8x16.narrow_i16x8_u')),
  PACKSSDW: joined(lanes('i16x8.narrow_i32x4_s')),
  PUNPCKLBW: packed(interleave(1, 0)),
  PUNPCKLWD: packed(interleave(2, 0)),
  PUNPCKLDQ: packed(interleave(4, 0)),
  PUNPCKLQDQ: packed(interleave(8, 0)),
  PUNPCKHBW: unpackHigh(1),
  PUNPCKHWD: unpackHigh(2),
  PUNPCKHDQ: unpackHigh(4),
  PUNPCKHQDQ: packed(interleave(8, 8)),
  UNPCKLPS: packed(interleave(4, 0)),
  UNPCKLPD: packed(interleave(8, 0)),
  UNPCKHPS: packed(interleave(4, 8)),
  UNPCKHPD: packed(interleave(8, 8)),
  ANDPS: packed(and),
  ANDPD: packed(and),
  ANDNPS: packed(andNot),
  ANDNPD: packed(andNot),
  ORPS: packed(or),
  ORPD: packed(or),
  XORPS: packed(xor),
  XORPD: packed(xor),

  PSHUFB: (s, dst, src) => packed(dst!.kind === 'reg' && dst!.cls === 'mmx' ? shuffleBytesMmx : shuffleBytes)(s, dst!, src!),
  PABSB: packedUnary((s, a) => s.op('i8x16.abs', a)),
  PABSW: packedUnary((s, a) => s.op('i16x8.abs', a)),
  PABSD: packedUnary((s, a) => s.op('i32x4.abs', a)),
  PSIGNB: packed(sign('i8x16')),
  PSIGNW: packed(sign('i16x8')),
  PSIGND: packed(sign('i32x4')),
  PMULHRSW: packed(mulHighRounded),
  PMADDUBSW: packed(mulAddBytes),
  PHADDW: horizontal('i16x8.add', 2),
  PHADDD: horizontal('i32x4.add', 4),
  PHADDSW: horizontal('i16x8.add_sat_s', 2),
  PHSUBW: horizontal('i16x8.sub', 2),
  PHSUBD: horizontal('i32x4.sub', 4),
  PHSUBSW: horizontal('i16x8.sub_sat_s', 2),

  PMULLD: packed(lanes('i32x4.mul')),
  PMULDQ: packed(mulEven('s')),
  PMINSB: packed(lanes('i8x16.min_s')),
  PMAXSB: packed(lanes('i8x16.max_s')),
  PMINUW: packed(lanes('i16x8.min_u')),
  PMAXUW: packed(lanes('i16x8.max_u')),
  PMINSD: packed(lanes('i32x4.min_s')),
  PMAXSD: packed(lanes('i32x4.max_s')),
  PMINUD: packed(lanes('i32x4.min_u')),
  PMAXUD: packed(lanes('i32x4.max_u')),
  PCMPEQQ: packed(lanes('i64x2.eq')),
  PCMPGTQ: packed(lanes('i64x2.gt_s')),
  PACKUSDW: packed(lanes('i16x8.narrow_i32x4_u')),
}
