import { GP } from '../../facts/exception.ts'
import { GPR, type Builder, type Semantic, type StagedOperand, type Val } from '../builder.ts'
import type { SemanticTable } from '../registry.ts'
import { widthOf } from './width.ts'

/** Memory is written in either case, a register only if it is equal. [SDM2 "CMPXCHG—Compare and Exchange"] */
const CMPXCHG: Semantic = (s, dst, src) => {
  const old = s.readForWrite(dst)
  const accumulator = s.gpr(GPR.RAX, widthOf(old))
  const equal = s.eq(accumulator, old)
  const replacement = s.read(src)
  if (dst.kind === 'mem') s.write(dst, s.select(equal, replacement, old))
  s.if(
    equal,
    () => dst.kind === 'reg' && s.write(dst, replacement),
    () => s.setGpr(GPR.RAX, old),
  )
  s.flags.sub(accumulator, old, s.sub(accumulator, old))
}

const XADD: Semantic = (s, dst, src) => {
  const a = s.readForWrite(dst)
  const b = s.read(src)
  const r = s.add(a, b)
  s.write(src, a)
  s.write(dst, r)
  s.flags.add(a, b, r)
}

/** Compares rDX:rAX with two neighbours in memory, and puts rCX:rBX there or them into rDX:rAX. ZF alone changes. */
function compareAndExchangePair(s: Builder, dst: StagedOperand, width: 32 | 64): void {
  const lowHalf = s.at(dst, 0, width)
  const highHalf = s.at(dst, width / 8, width)
  const oldLow = s.readForWrite(lowHalf)
  const oldHigh = s.readForWrite(highHalf)
  const equal = s.and(s.eq(oldLow, s.gpr(GPR.RAX, width)), s.eq(oldHigh, s.gpr(GPR.RDX, width)))
  const choose = (replacement: Val, old: Val): Val => s.select(equal, replacement, old)
  s.write(lowHalf, choose(s.gpr(GPR.RBX, width), oldLow))
  s.write(highHalf, choose(s.gpr(GPR.RCX, width), oldHigh))
  s.if(s.not(equal), () => {
    s.setGpr(GPR.RAX, oldLow)
    s.setGpr(GPR.RDX, oldHigh)
  })
  s.flags.set({ zf: equal })
}

const CMPXCHG8B: Semantic = (s, dst) => compareAndExchangePair(s, dst, 32)

const CMPXCHG16B: Semantic = (s, dst) => {
  const misaligned = s.and(s.address(dst), s.const(s.addressSize, 15))
  s.if(s.not(s.isZero(misaligned)), () => s.fault(GP, s.const(32, 0)))
  compareAndExchangePair(s, dst, 64)
}

export const exchange: SemanticTable = { CMPXCHG, XADD, CMPXCHG8B, CMPXCHG16B }
