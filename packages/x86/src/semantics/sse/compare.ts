import type { Builder, Semantic, Subroutine, Val } from '../builder.ts'
import type { SemanticTable } from '../registry.ts'
import { floats, readScalar, vectorMicrocode } from './arithmetic.ts'
import {
  bitsWidth,
  denormalLanes,
  isDenormal,
  isNumber,
  magnitude,
  nanLanes,
  noLane,
  orLanes,
  shapeOf,
  toBits,
  type Float,
} from './fast-path.ts'
import { low, readAligned, truth, u32, whole } from './operand.ts'
import { imm8 } from './shuffle.ts'

const plain = (s: Builder, f: Float, value: Val): Val => {
  const m = magnitude(s, f, value)
  return s.and(isNumber(s, f, m), s.not(isDenormal(s, f, m)))
}

/** ZF, PF, CF by the order of two scalars; OF, SF, AF = 0. */
function ordering(f: Float, quiet: boolean): Subroutine {
  const name = `sse.${quiet ? 'ucomi' : 'comi'}.${f}`
  return {
    name,
    params: [f, f],
    results: [],
    body: (s, a, b) => {
      const result = s.local(u32(s, 0))
      s.if(
        s.and(plain(s, f, a!), plain(s, f, b!)),
        () => {
          const less = s.zext(truth(s, s.op(`${f}.lt`, a!, b!)), 32)
          const equal = s.zext(truth(s, s.op(`${f}.eq`, a!, b!)), 32)
          result.set(s.or(less, s.shl(equal, u32(s, 6))))
        },
        () => {
          const [flags] = s.microcode(name, [toBits(s, f, a!), toBits(s, f, b!)], 1)
          result.set(s.trunc(flags!, 32))
        },
      )
      s.flags.write(result.get())
      return []
    },
  }
}

const order = (f: Float, quiet: boolean): Semantic => {
  const sub = ordering(f, quiet)
  return (s, a, b) => {
    s.requireFpu('sse')
    const right = readScalar(s, f, b!)
    s.call(sub, readScalar(s, f, a!), right)
  }
}

/** All-ones lanes where predicate `imm` (EQ LT LE UNORD NEQ NLT NLE ORD) holds; the fast path has no NaN. */
function comparison(f: Float): Subroutine {
  const shape = shapeOf(f)
  return {
    name: `sse.cmp.${shape}`,
    params: [128, 128, 32],
    results: [128],
    body: (s, a, b, predicate) => {
      const special = (v: Val): Val => orLanes(s, nanLanes(s, f, v), denormalLanes(s, f, v))
      const mask = (on: Val): Val => s.op('i32x4.splat', s.neg(s.zext(on, 32)))
      const kind = s.and(predicate!, u32(s, 3))
      const wantsEqual = s.isZero(s.and(kind, u32(s, 1)))
      const wantsLess = s.ltU(s.sub(kind, u32(s, 1)), u32(s, 2))
      const equal = s.op('v128.and', s.op(`${shape}.eq`, a!, b!), mask(wantsEqual))
      const less = s.op('v128.and', s.op(`${shape}.lt`, a!, b!), mask(wantsLess))
      const negated = mask(s.bit(predicate!, 2))
      const r = s.local(s.op('v128.xor', s.op('v128.or', equal, less), negated))
      s.if(s.not(noLane(s, orLanes(s, special(a!), special(b!)))), () => {
        r.set(vectorMicrocode(s, `sse.cmp.${shape}`, a!, b!, predicate!))
      })
      return [r.get()]
    },
  }
}

/** Scalar comparison: the other lanes are equal numbers, which raise nothing. */
function scalarComparison(f: Float): Semantic {
  const sub: Subroutine = {
    name: `sse.cmp.${f}`,
    params: [f, f, 32],
    results: [bitsWidth(f)],
    body: (s, a, b, predicate) => {
      const ones = s.const(bitsWidth(f), -1n)
      const none = s.const(bitsWidth(f), 0)
      const r = s.local(none)
      s.if(
        s.and(plain(s, f, a!), plain(s, f, b!)),
        () => {
          const kind = s.and(predicate!, u32(s, 3))
          const equal = s.and(truth(s, s.op(`${f}.eq`, a!, b!)), s.isZero(s.and(kind, u32(s, 1))))
          const less = s.and(truth(s, s.op(`${f}.lt`, a!, b!)), s.ltU(s.sub(kind, u32(s, 1)), u32(s, 2)))
          r.set(s.select(s.xor(s.or(equal, less), s.bit(predicate!, 2)), ones, none))
        },
        () => {
          const [bits] = s.microcode(`sse.cmp.${f}`, [toBits(s, f, a!), toBits(s, f, b!), predicate!], 1)
          r.set(s.trunc(bits!, bitsWidth(f)))
        },
      )
      return [r.get()]
    },
  }
  return (s, dst, src, imm) => {
    s.requireFpu('sse')
    const b = readScalar(s, f, src!)
    const [r] = s.call(sub, readScalar(s, f, dst!), b, s.and(imm8(s, imm!), u32(s, 7)))
    s.write(low(s, dst!, bitsWidth(f)), r!)
  }
}

function packedComparison(f: Float): Semantic {
  const sub = comparison(f)
  return (s, dst, src, imm) => {
    s.requireFpu('sse')
    const b = readAligned(s, src!)
    const [r] = s.call(sub, s.read(whole(s, dst!)), b, s.and(imm8(s, imm!), u32(s, 7)))
    s.write(whole(s, dst!), r!)
  }
}

function table(): SemanticTable {
  const result: Record<string, Semantic> = {}
  for (const f of floats) {
    const letter = f === 'f32' ? 'S' : 'D'
    result[`COMIS${letter}`] = order(f, false)
    result[`UCOMIS${letter}`] = order(f, true)
    result[`CMPS${letter}`] = scalarComparison(f)
    result[`CMPP${letter}`] = packedComparison(f)
  }
  return result
}

export const compareSemantics: SemanticTable = table()
