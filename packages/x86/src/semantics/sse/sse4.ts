import type { Builder, Semantic, StagedOperand, Subroutine, Val } from '../builder.ts'
import type { SemanticTable } from '../registry.ts'
import { readScalar, vectorMicrocode, writeScalar } from './arithmetic.ts'
import {
  bitsWidth,
  denormalLanes,
  fromBits,
  isDenormal,
  isFinite,
  magnitude,
  noLane,
  orLanes,
  shapeOf,
  toBits,
  unboundedLanes,
  type Float,
} from './fast-path.ts'
import { lift, low, readAligned, truth, u32, whole, words, zero } from './operand.ts'
import { extractLane, imm8, insertLane } from './shuffle.ts'

const xmm0 = (s: Builder): Val => s.get('xmm', 0)

/** Lanes whose top bit in XMM0 is set come from the source. */
const blendByRegister =
  (shift: string, bits: number): Semantic =>
  (s, dst, src) => {
    s.requireFpu('sse')
    const b = readAligned(s, src!)
    s.write(dst!, s.op('v128.bitselect', b, s.read(dst!), s.op(shift, xmm0(s), u32(s, bits))))
  }

/** Lanes of 8 / `perBit` words whose bit in the immediate is set come from the source. */
const blendByImmediate =
  (perBit: 1 | 2 | 4): Semantic =>
  (s, dst, src, imm) => {
    s.requireFpu('sse')
    const b = readAligned(s, src!)
    const bits = words(s, (i) => 1 << Math.floor(i / perBit))
    const mask = s.op('i16x8.eq', s.op('v128.and', s.op('i16x8.splat', imm8(s, imm!)), bits), bits)
    s.write(dst!, s.op('v128.bitselect', b, s.read(dst!), mask))
  }

const PTEST: Semantic = (s, a, b) => {
  s.requireFpu('sse')
  const right = readAligned(s, b!)
  const left = s.read(a!)
  const none = (v: Val): Val => s.zext(s.not(truth(s, s.op('v128.any_true', v))), 32)
  const zf = s.shl(none(s.op('v128.and', left, right)), u32(s, 6))
  s.flags.write(s.or(zf, none(s.op('v128.andnot', right, left))))
}

/** PMOVSX, PMOVZX: one step for each doubling of the width. */
const widen =
  (steps: readonly string[]): Semantic =>
  (s, dst, src) => {
    s.requireFpu('sse')
    const source = lift(s, s.read(src!))
    s.write(
      whole(s, dst!),
      steps.reduce((v, step) => s.op(step, v), source),
    )
  }

function widening(): SemanticTable {
  const result: Record<string, Semantic> = {}
  const letters = ['B', 'W', 'D', 'Q']
  const shapes = ['i8x16', 'i16x8', 'i32x4', 'i64x2']
  for (const sign of ['s', 'u'] as const) {
    for (let from = 0; from < 3; from++) {
      for (let to = from + 1; to < 4; to++) {
        const steps = Array.from(
          { length: to - from },
          (_, i) => `${shapes[from + i + 1]}.extend_low_${shapes[from + i]}_${sign}`,
        )
        result[`PMOV${sign === 's' ? 'SX' : 'ZX'}${letters[from]}${letters[to]}`] = widen(steps)
      }
    }
  }
  return result
}

/** The rounding that an immediate asks for: its own, or MXCSR's when bit 2 is set. */
function byMode(s: Builder, shape: string, value: Val, imm: Val): Val {
  const own = s.and(imm, u32(s, 3))
  const mode = s.select(s.bit(imm, 2), s.and(s.shr(s.get('mxcsr'), u32(s, 13)), u32(s, 3)), own)
  const [nearest, down, up, chop] = ['nearest', 'floor', 'ceil', 'trunc'].map((op) => s.op(`${shape}.${op}`, value))
  const directed = s.select(s.bit(mode, 0), down!, up!)
  return s.select(s.isZero(mode), nearest!, s.select(s.eq(mode, u32(s, 3)), chop!, directed))
}

/** PE does not change: suppressed by bit 3, set and masked already, or the result exact. */
const precisionSettled = (s: Builder, imm: Val, exact: Val): Val => {
  const set = s.eq(s.and(s.get('mxcsr'), u32(s, 0x1020)), u32(s, 0x1020))
  return s.or(s.or(s.bit(imm, 3), exact), set)
}

function roundScalar(f: Float): Semantic {
  const sub: Subroutine = {
    name: `sse.round.${f}`,
    params: [f, 32],
    results: [f],
    body: (s, b, imm) => {
      const r = s.local(byMode(s, f, b!, imm!))
      const m = magnitude(s, f, b!)
      const plain = s.and(isFinite(s, f, m), s.not(isDenormal(s, f, m)))
      const settled = precisionSettled(s, imm!, truth(s, s.op(`${f}.eq`, r.get(), b!)))
      s.if(s.not(s.and(plain, settled)), () => {
        const bits = toBits(s, f, b!)
        const [result] = s.microcode(`sse.round.${f}`, [bits, bits, imm!], 1)
        r.set(fromBits(s, f, s.trunc(result!, bitsWidth(f))))
      })
      return [r.get()]
    },
  }
  return (s, dst, src, imm) => {
    s.requireFpu('sse')
    const [r] = s.call(sub, readScalar(s, f, src!), imm8(s, imm!))
    writeScalar(s, f, dst!, r!)
  }
}

function roundPacked(f: Float): Semantic {
  const shape = shapeOf(f)
  const sub: Subroutine = {
    name: `sse.round.${shape}`,
    params: [128, 32],
    results: [128],
    body: (s, b, imm) => {
      const r = s.local(byMode(s, shape, b!, imm!))
      const plain = noLane(s, orLanes(s, unboundedLanes(s, f, b!), denormalLanes(s, f, b!)))
      const settled = precisionSettled(s, imm!, noLane(s, s.op(`${shape}.ne`, r.get(), b!)))
      s.if(s.not(s.and(plain, settled)), () => r.set(vectorMicrocode(s, `sse.round.${shape}`, b!, b!, imm!)))
      return [r.get()]
    },
  }
  return (s, dst, src, imm) => {
    s.requireFpu('sse')
    const [r] = s.call(sub, readAligned(s, src!), imm8(s, imm!))
    s.write(whole(s, dst!), r!)
  }
}

/** Immediate: bits 7..6 source lane (registers), 5..4 destination lane, 3..0 lanes to clear. */
const INSERTPS: Semantic = (s, dst, src, imm) => {
  s.requireFpu('sse')
  const control = imm8(s, imm!)
  const value =
    src!.kind === 'mem'
      ? s.zext(s.read(low(s, src!, 32)), 64)
      : extractLane(s, s.read(whole(s, src!)), s.shr(control, u32(s, 6)), 4)
  const inserted = insertLane(s, s.read(whole(s, dst!)), value, s.shr(control, u32(s, 4)), 4)
  const bits = words(s, (i) => (i & 1 ? 0 : 1 << (i >> 1)))
  const cleared = s.op('i32x4.eq', s.op('v128.and', s.op('i32x4.splat', control), bits), bits)
  s.write(whole(s, dst!), s.op('v128.andnot', inserted, cleared))
}

/** dst = routine(dst, src, imm). */
const microcoded =
  (name: string): Semantic =>
  (s, dst, src, imm) => {
    s.requireFpu('sse')
    const b = readAligned(s, src!)
    s.write(whole(s, dst!), vectorMicrocode(s, name, s.read(whole(s, dst!)), b, ...(imm ? [imm8(s, imm)] : [])))
  }

/** dst = routine(src, imm). */
const microcodedUnary =
  (name: string): Semantic =>
  (s, dst, src, imm) => {
    s.requireFpu('sse')
    const b = readAligned(s, src!)
    s.write(whole(s, dst!), vectorMicrocode(s, name, b, zero(s), ...(imm ? [imm8(s, imm)] : [])))
  }

/** Memory needs no alignment here. */
const compareStrings =
  (explicit: boolean, mask: boolean): Semantic =>
  (s, a: StagedOperand | undefined, b: StagedOperand | undefined, imm: StagedOperand | undefined) => {
    s.requireFpu('sse')
    const right = s.read(b!)
    s.set('scratch', s.read(a!), 6)
    s.set('scratch', right, 7)
    const control = s.or(imm8(s, imm!), u32(s, (explicit ? 0x100 : 0) | (mask ? 0x200 : 0)))
    const width = s.operandSize === 64 ? 64 : 32
    const length = (register: number): Val => s.sext(s.gpr(register, width), 64)
    const [index, flags] = s.microcode('sse.pcmpstr', [control, length(0), length(2)], 2)
    const found = s.trunc(index!, 32)
    const image = s.trunc(flags!, 32)
    if (mask) s.set('xmm', s.get('scratch', 6), 0)
    else s.setGpr(1, found)
    s.flags.write(image)
  }

export const sse4Semantics: SemanticTable = {
  ...widening(),
  PBLENDVB: blendByRegister('i8x16.shr_s', 7),
  BLENDVPS: blendByRegister('i32x4.shr_s', 31),
  BLENDVPD: blendByRegister('i64x2.shr_s', 63),
  PBLENDW: blendByImmediate(1),
  BLENDPS: blendByImmediate(2),
  BLENDPD: blendByImmediate(4),
  PTEST,
  ROUNDSS: roundScalar('f32'),
  ROUNDSD: roundScalar('f64'),
  ROUNDPS: roundPacked('f32'),
  ROUNDPD: roundPacked('f64'),
  INSERTPS,
  DPPS: microcoded('sse.dp.f32x4'),
  DPPD: microcoded('sse.dp.f64x2'),
  MPSADBW: microcoded('sse.mpsadbw'),
  PHMINPOSUW: microcodedUnary('sse.phminposuw'),
  PCMPESTRI: compareStrings(true, false),
  PCMPESTRM: compareStrings(true, true),
  PCMPISTRI: compareStrings(false, false),
  PCMPISTRM: compareStrings(false, true),
  PCLMULQDQ: microcoded('sse.pclmulqdq'),
  AESENC: microcoded('sse.aesenc'),
  AESENCLAST: microcoded('sse.aesenclast'),
  AESDEC: microcoded('sse.aesdec'),
  AESDECLAST: microcoded('sse.aesdeclast'),
  AESIMC: microcodedUnary('sse.aesimc'),
  AESKEYGENASSIST: microcodedUnary('sse.aeskeygen'),
}
