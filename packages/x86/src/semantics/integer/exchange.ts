import { GP } from '../../facts/exception.ts'
import { GPR, type Builder, type Semantic, type Val } from '../builder.ts'
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

/** Two registers of 32 bits as one number. */
const joined = (s: Builder, high: number, low: number): Val =>
  s.or(s.shl(s.zext(s.gpr(high, 32), 64), s.const(32, 32)), s.zext(s.gpr(low, 32), 64))

/** Compares EDX:EAX with memory, and puts ECX:EBX there or that into EDX:EAX. ZF alone changes. */
const CMPXCHG8B: Semantic = (s, dst) => {
  const old = s.readForWrite(dst)
  const equal = s.eq(old, joined(s, GPR.RDX, GPR.RAX))
  s.write(dst, s.select(equal, joined(s, GPR.RCX, GPR.RBX), old))
  s.if(s.not(equal), () => {
    s.setGpr(GPR.RAX, s.trunc(old, 32))
    s.setGpr(GPR.RDX, s.trunc(s.shr(old, s.const(32, 32)), 32))
  })
  s.flags.set({ zf: equal })
}

/** As CMPXCHG8B, with RDX:RAX and RCX:RBX. */
const CMPXCHG16B: Semantic = (s, dst) => {
  const misaligned = s.and(s.address(dst), s.const(s.addressSize, 15))
  s.if(s.not(s.isZero(misaligned)), () => s.fault(GP, s.const(32, 0)))
  const lowHalf = s.at(dst, 0, 64)
  const highHalf = s.at(dst, 8, 64)
  const oldLow = s.readForWrite(lowHalf)
  const oldHigh = s.readForWrite(highHalf)
  const equal = s.and(s.eq(oldLow, s.gpr(GPR.RAX, 64)), s.eq(oldHigh, s.gpr(GPR.RDX, 64)))
  const choose = (replacement: Val, old: Val): Val => s.select(equal, replacement, old)
  s.write(lowHalf, choose(s.gpr(GPR.RBX, 64), oldLow))
  s.write(highHalf, choose(s.gpr(GPR.RCX, 64), oldHigh))
  s.if(s.not(equal), () => {
    s.setGpr(GPR.RAX, oldLow)
    s.setGpr(GPR.RDX, oldHigh)
  })
  s.flags.set({ zf: equal })
}

export const exchange: SemanticTable = { CMPXCHG, XADD, CMPXCHG8B, CMPXCHG16B }
