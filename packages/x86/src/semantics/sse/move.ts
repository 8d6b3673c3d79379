import type { Semantic } from '../builder.ts'
import type { SemanticTable } from '../registry.ts'
import {
  enterMmx,
  isMmx,
  isXmm,
  lift,
  low,
  packedUnary,
  readAligned,
  requireAligned,
  requireBoth,
  storeMmx,
  whole,
  writeMmx,
} from './operand.ts'

/** 128 bits, memory on a 16-byte boundary. */
const moveAligned: Semantic = (s, dst, src) => {
  s.requireFpu('sse')
  requireAligned(s, dst!)
  const value = readAligned(s, src!)
  s.write(whole(s, dst!), value)
}

const moveUnaligned: Semantic = (s, dst, src) => {
  s.requireFpu('sse')
  s.write(whole(s, dst!), s.read(whole(s, src!)))
}

/** MOVSS, MOVSD: from memory the rest of the register is cleared, between registers it is kept. */
const moveScalar =
  (width: 32 | 64): Semantic =>
  (s, dst, src) => {
    s.requireFpu('sse')
    const value = s.read(low(s, src!, width))
    if (src!.kind === 'mem') s.write(whole(s, dst!), lift(s, value))
    else s.write(low(s, dst!, width), value)
  }

/** MOVD and MOVQ between MMX, XMM, general registers and memory; what is narrower is zero-extended. */
const moveQuad: Semantic = (s, dst, src) => {
  const mmx = isMmx(dst!) || isMmx(src!)
  s.requireFpu(mmx ? 'mmx' : 'sse')
  const toVector = isMmx(dst!) || isXmm(dst!)
  const width =
    src!.kind === 'reg' && src!.cls === 'gpr' ? src!.width : dst!.kind === 'reg' && dst!.cls === 'gpr' ? dst!.width : 0
  const memory = src!.kind === 'mem' ? src!.width : dst!.kind === 'mem' ? dst!.width : 64
  const part = (width || memory) === 32 ? 32 : 64
  const value = s.read(low(s, src!, part))
  if (isMmx(dst!)) return writeMmx(s, dst!, s.zext(value, 64))
  if (mmx && !toVector) storeMmx(s, low(s, dst!, part), value)
  else if (toVector) s.write(whole(s, dst!), lift(s, value))
  else s.write(low(s, dst!, part), value)
  if (mmx) enterMmx(s)
}

/** Half `at` (byte offset) of an XMM register, and 64 bits of memory or of another register's half `from`. */
const moveHalf =
  (at: 0 | 8, from: 0 | 8): Semantic =>
  (s, dst, src) => {
    s.requireFpu('sse')
    if (dst!.kind === 'mem') return s.write(low(s, dst!, 64), s.read(s.at(src!, at, 64)))
    const value = src!.kind === 'mem' ? s.read(low(s, src!, 64)) : s.read(s.at(src!, from, 64))
    s.write(s.at(dst!, at, 64), value)
  }

const moveMask =
  (name: string): Semantic =>
  (s, dst, src) => {
    s.requireFpu('sse')
    const mask = s.op(name, s.read(whole(s, src!)))
    s.write(dst!, dst!.width === 64 ? s.zext(mask, 64) : mask)
  }

const PMOVMSKB: Semantic = (s, dst, src) => {
  const mmx = isMmx(src!)
  s.requireFpu(mmx ? 'mmx' : 'sse')
  const value = s.read(whole(s, src!))
  const mask = s.op('i8x16.bitmask', mmx ? lift(s, value) : value)
  s.write(dst!, dst!.width === 64 ? s.zext(mask, 64) : mask)
  if (mmx) enterMmx(s)
}

const MOVNTQ: Semantic = (s, dst, src) => {
  s.requireFpu('mmx')
  storeMmx(s, dst!, s.read(src!))
}

const MOVQ2DQ: Semantic = (s, dst, src) => {
  requireBoth(s)
  s.write(whole(s, dst!), lift(s, s.read(src!)))
  enterMmx(s)
}

const MOVDQ2Q: Semantic = (s, dst, src) => {
  requireBoth(s)
  writeMmx(s, dst!, s.read(low(s, src!, 64)))
}

const MOVDDUP: Semantic = (s, dst, src) => {
  s.requireFpu('sse')
  s.write(whole(s, dst!), s.op('i64x2.splat', s.read(low(s, src!, 64))))
}

const duplicate = (lanes: readonly number[]): Semantic => packedUnary((s, a) => s.shuffle(a, a, lanes))

/** A hint, a fence or a flush: nothing to do in this processor. */
const nothing: Semantic = () => {}
const CLFLUSH: Semantic = (s, address) => {
  s.read(low(s, address!, 8))
}

export const moveSemantics: SemanticTable = {
  MOVAPS: moveAligned,
  MOVAPD: moveAligned,
  MOVDQA: moveAligned,
  MOVNTPS: moveAligned,
  MOVNTPD: moveAligned,
  MOVNTDQ: moveAligned,
  MOVNTDQA: moveAligned,
  MOVUPS: moveUnaligned,
  MOVUPD: moveUnaligned,
  MOVDQU: moveUnaligned,
  LDDQU: moveUnaligned,
  MOVSS: moveScalar(32),
  MOVSD: moveScalar(64),
  MOVD: moveQuad,
  MOVQ: moveQuad,
  MOVLPS: moveHalf(0, 8),
  MOVLPD: moveHalf(0, 0),
  MOVHLPS: moveHalf(0, 8),
  MOVHPS: moveHalf(8, 0),
  MOVHPD: moveHalf(8, 0),
  MOVLHPS: moveHalf(8, 0),
  MOVMSKPS: moveMask('i32x4.bitmask'),
  MOVMSKPD: moveMask('i64x2.bitmask'),
  PMOVMSKB,
  MOVNTQ,
  MOVQ2DQ,
  MOVDQ2Q,
  MOVDDUP,
  MOVSLDUP: duplicate([0, 1, 2, 3, 0, 1, 2, 3, 8, 9, 10, 11, 8, 9, 10, 11]),
  MOVSHDUP: duplicate([4, 5, 6, 7, 4, 5, 6, 7, 12, 13, 14, 15, 12, 13, 14, 15]),
  SFENCE: nothing,
  LFENCE: nothing,
  MFENCE: nothing,
  CLFLUSH,
  CLFLUSHOPT: CLFLUSH,
  CLWB: CLFLUSH,
}
