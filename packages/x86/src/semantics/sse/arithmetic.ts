import type { Builder, Semantic, StagedOperand, Subroutine, Val } from '../builder.ts'
import type { SemanticTable } from '../registry.ts'
import {
  bitsWidth,
  denormalLanes,
  fastEnough,
  fromBits,
  isDenormal,
  isFinite,
  isNumber,
  isWellNormal,
  magnitude,
  nanLanes,
  noLane,
  orLanes,
  shapeOf,
  toBits,
  unboundedLanes,
  unsoundLanes,
  type Float,
} from './fast-path.ts'
import { low, readAligned, truth, u32, whole, zero } from './operand.ts'

type Operation = 'add' | 'sub' | 'mul' | 'div' | 'sqrt'

/** Operands and result of a packed operation that is microcode pass through `scratch`. */
export function vectorMicrocode(s: Builder, name: string, a: Val, b: Val, ...extra: Val[]): Val {
  s.set('scratch', a, 6)
  s.set('scratch', b, 7)
  s.microcode(name, extra, 0)
  return s.get('scratch', 6)
}

/** Error of a rounded sum is zero: Knuth's two-sum, which rounds nothing away. */
function sumIsExact(s: Builder, shape: string, a: Val, b: Val, r: Val): Val {
  const part = s.op(`${shape}.sub`, r, a)
  return s.op(`${shape}.add`, s.op(`${shape}.sub`, a, s.op(`${shape}.sub`, r, part)), s.op(`${shape}.sub`, b, part))
}

/** Sufficient for x * y = r to be exact: the significands have together no more bits than one has. */
function productFits(s: Builder, x: Val, y: Val): Val {
  const zeros = (v: Val): Val => s.ctz(s.or(toBits(s, 'f64', v), s.const(64, 1n << 52n)))
  return s.leU(s.const(64, 53), s.add(zeros(x), zeros(y)))
}

function isExact(s: Builder, f: Float, op: Operation, a: Val, b: Val, r: Val): Val {
  const zeroOf = s.const(f, 0)
  if (op === 'add') return truth(s, s.op(`${f}.eq`, sumIsExact(s, f, a, b, r), zeroOf))
  if (op === 'sub') return truth(s, s.op(`${f}.eq`, sumIsExact(s, f, a, s.op(`${f}.neg`, b), r), zeroOf))
  const wide = (v: Val): Val => (f === 'f32' ? s.op('f64.promote_f32', v) : v)
  const [x, y, product] = op === 'mul' ? [a, b, r] : op === 'div' ? [r, b, a] : [r, r, b]
  const equal = truth(s, s.op('f64.eq', s.op('f64.mul', wide(x), wide(y)), wide(product)))
  return f === 'f32' ? equal : s.and(equal, productFits(s, x, y))
}

const compute = (s: Builder, shape: string, op: Operation, a: Val, b: Val): Val =>
  op === 'sqrt' ? s.op(`${shape}.sqrt`, b) : s.op(`${shape}.${op}`, a, b)

/** One scalar operation. For SQRT the first operand is not used. */
function scalarOperation(f: Float, op: Operation): Subroutine {
  return {
    name: `sse.${op}.${f}`,
    params: [f, f],
    results: [f],
    body: (s, a, b) => {
      const r = s.local(compute(s, f, op, a!, b!))
      const [ma, mb, mr] = [magnitude(s, f, a!), magnitude(s, f, b!), magnitude(s, f, r.get())]
      const zeroOf = s.const(bitsWidth(f), 0)
      let plain = s.not(isDenormal(s, f, mb))
      if (op !== 'sqrt') plain = s.and(plain, s.not(isDenormal(s, f, ma)))
      if (op === 'mul' || op === 'div') {
        const zeroOperand = op === 'mul' ? s.or(s.isZero(ma), s.isZero(mb)) : s.isZero(ma)
        plain = s.and(plain, s.or(isWellNormal(s, f, mr), s.and(s.eq(mr, zeroOf), zeroOperand)))
      } else {
        plain = s.and(plain, isFinite(s, f, mr))
        if (op !== 'sqrt') plain = s.and(plain, s.not(isDenormal(s, f, mr)))
      }
      const fast = fastEnough(s, plain, () => isExact(s, f, op, a!, b!, r.get()))
      s.if(s.not(fast), () => {
        const [bits] = s.microcode(`sse.${op}.${f}`, [toBits(s, f, a!), toBits(s, f, b!)], 1)
        r.set(fromBits(s, f, s.trunc(bits!, bitsWidth(f))))
      })
      return [r.get()]
    },
  }
}

function packedOperation(f: Float, op: Operation): Subroutine {
  const shape = shapeOf(f)
  return {
    name: `sse.${op}.${shape}`,
    params: [128, 128],
    results: [128],
    body: (s, a, b) => {
      const r = s.local(compute(s, shape, op, a!, b!))
      const operands = op === 'sqrt' ? denormalLanes(s, f, b!) : orLanes(s, denormalLanes(s, f, a!), denormalLanes(s, f, b!))
      let unsound: Val
      if (op === 'mul' || op === 'div') {
        // Zero from a zero operand is sound too; a zero that came by underflow is not.
        const zeros = (v: Val): Val => s.op(`${shape}.eq`, v, zero(s))
        const zeroOperand = op === 'mul' ? orLanes(s, zeros(a!), zeros(b!)) : zeros(a!)
        const exactZero = s.op('v128.and', zeros(r.get()), zeroOperand)
        unsound = s.op('v128.andnot', unsoundLanes(s, f, r.get()), exactZero)
      } else unsound = orLanes(s, unboundedLanes(s, f, r.get()), denormalLanes(s, f, r.get()))
      const plain = noLane(s, orLanes(s, operands, unsound))
      const fast = fastEnough(s, plain, () => {
        if (op !== 'add' && op !== 'sub') return s.const(1, 0)
        const error = sumIsExact(s, shape, a!, op === 'sub' ? s.op(`${shape}.neg`, b!) : b!, r.get())
        return noLane(s, s.op(`${shape}.ne`, error, zero(s)))
      })
      s.if(s.not(fast), () => r.set(vectorMicrocode(s, `sse.${op}.${shape}`, a!, b!)))
      return [r.get()]
    },
  }
}

/** MIN and MAX give the second operand when one is a NaN or both are zero. [SDM2 "MINSD—Return Minimum Scalar Double Precision Floating-Point Value"] */
function scalarExtreme(f: Float, op: 'min' | 'max'): Subroutine {
  return {
    name: `sse.${op}.${f}`,
    params: [f, f],
    results: [f],
    body: (s, a, b) => {
      const wins = truth(s, s.op(op === 'min' ? `${f}.lt` : `${f}.gt`, a!, b!))
      const r = s.local(s.select(wins, a!, b!))
      const [ma, mb] = [magnitude(s, f, a!), magnitude(s, f, b!)]
      const plain = (m: Val): Val => s.and(isNumber(s, f, m), s.not(isDenormal(s, f, m)))
      s.if(s.not(s.and(plain(ma), plain(mb))), () => {
        const [bits] = s.microcode(`sse.${op}.${f}`, [toBits(s, f, a!), toBits(s, f, b!)], 1)
        r.set(fromBits(s, f, s.trunc(bits!, bitsWidth(f))))
      })
      return [r.get()]
    },
  }
}

function packedExtreme(f: Float, op: 'min' | 'max'): Subroutine {
  const shape = shapeOf(f)
  return {
    name: `sse.${op}.${shape}`,
    params: [128, 128],
    results: [128],
    body: (s, a, b) => {
      const wins = s.op(op === 'min' ? `${shape}.lt` : `${shape}.gt`, a!, b!)
      const r = s.local(s.op('v128.bitselect', a!, b!, wins))
      const special = (v: Val): Val => orLanes(s, nanLanes(s, f, v), denormalLanes(s, f, v))
      s.if(s.not(noLane(s, orLanes(s, special(a!), special(b!)))), () => r.set(vectorMicrocode(s, `sse.${op}.${shape}`, a!, b!)))
      return [r.get()]
    },
  }
}

export const floats: readonly Float[] = ['f32', 'f64']
const suffix = (f: Float): string => (f === 'f32' ? 'S' : 'D')

/** A scalar source in the low bits of an operand. */
export const readScalar = (s: Builder, f: Float, operand: StagedOperand): Val =>
  fromBits(s, f, s.read(low(s, operand, bitsWidth(f))))
export const writeScalar = (s: Builder, f: Float, operand: StagedOperand, value: Val): void =>
  s.write(low(s, operand, bitsWidth(f)), toBits(s, f, value))

const scalar =
  (f: Float, sub: Subroutine): Semantic =>
  (s, dst, src) => {
    s.requireFpu('sse')
    const b = readScalar(s, f, src!)
    const [r] = s.call(sub, readScalar(s, f, dst!), b)
    writeScalar(s, f, dst!, r!)
  }

const packed =
  (sub: Subroutine): Semantic =>
  (s, dst, src) => {
    s.requireFpu('sse')
    const b = readAligned(s, src!)
    const [r] = s.call(sub, s.read(whole(s, dst!)), b)
    s.write(whole(s, dst!), r!)
  }

/** HADD, HSUB: even and odd elements of both operands. */
const horizontal =
  (f: Float, sub: Subroutine): Semantic =>
  (s, dst, src) => {
    s.requireFpu('sse')
    const b = readAligned(s, src!)
    const a = s.read(whole(s, dst!))
    const size = f === 'f32' ? 4 : 8
    const pick = (odd: number): Val =>
      s.shuffle(
        a,
        b,
        Array.from({ length: 16 }, (_, i) => (Math.floor(i / size) * 2 + odd) * size + (i % size)),
      )
    const [r] = s.call(sub, pick(0), pick(1))
    s.write(whole(s, dst!), r!)
  }

/** Even lanes are subtracted, odd lanes added. */
const addSub =
  (f: Float): Semantic =>
  (s, dst, src) => {
    s.requireFpu('sse')
    const b = readAligned(s, src!)
    s.write(whole(s, dst!), vectorMicrocode(s, `sse.addsub.${shapeOf(f)}`, s.read(whole(s, dst!)), b))
  }

/** 1 / x and 1 / sqrt(x) in full single precision, where processors give 12 bits. No exceptions; denormals count as zero. [SDM2 "RCPPS", "RSQRTPS"] */
function reciprocal(s: Builder, x: Val, root: boolean): Val {
  const sign = s.op('v128.and', x, s.op('i32x4.splat', u32(s, 0x8000_0000)))
  const normalMinimum = s.op('i32x4.splat', u32(s, 0x0080_0000))
  const isSmall = (v: Val): Val => s.op('f32x4.lt', s.op('f32x4.abs', v), normalMinimum)
  const tiny = isSmall(x)
  const one = s.op('i32x4.splat', u32(s, 0x3f80_0000))
  const quotient = s.op('f32x4.div', one, root ? s.op('f32x4.sqrt', x) : x)
  const flushed = s.op('v128.bitselect', sign, quotient, isSmall(quotient))
  const infinite = s.op('v128.or', sign, s.op('i32x4.splat', u32(s, 0x7f80_0000)))
  const negative = s.op('f32x4.lt', x, zero(s))
  const rooted = root ? s.op('v128.bitselect', s.op('i32x4.splat', u32(s, 0xffc0_0000)), flushed, negative) : flushed
  const bounded = s.op('v128.bitselect', infinite, rooted, tiny)
  const quiet = s.op('v128.or', x, s.op('i32x4.splat', u32(s, 0x0040_0000)))
  return s.op('v128.bitselect', quiet, bounded, s.op('f32x4.ne', x, x))
}

const packedReciprocal =
  (root: boolean): Semantic =>
  (s, dst, src) => {
    s.requireFpu('sse')
    s.write(whole(s, dst!), reciprocal(s, readAligned(s, src!), root))
  }

const scalarReciprocal =
  (root: boolean): Semantic =>
  (s, dst, src) => {
    s.requireFpu('sse')
    const r = reciprocal(s, s.op('i32x4.splat', s.read(low(s, src!, 32))), root)
    s.write(low(s, dst!, 32), s.lane('i32x4.extract_lane', 0, r))
  }

function table(): SemanticTable {
  const result: Record<string, Semantic> = {}
  for (const f of floats) {
    const packedSubs: Partial<Record<Operation, Subroutine>> = {}
    for (const op of ['add', 'sub', 'mul', 'div', 'sqrt'] as const) {
      const sub = packedOperation(f, op)
      packedSubs[op] = sub
      result[`${op.toUpperCase()}S${suffix(f)}`] = scalar(f, scalarOperation(f, op))
      result[`${op.toUpperCase()}P${suffix(f)}`] = packed(sub)
    }
    for (const op of ['min', 'max'] as const) {
      result[`${op.toUpperCase()}S${suffix(f)}`] = scalar(f, scalarExtreme(f, op))
      result[`${op.toUpperCase()}P${suffix(f)}`] = packed(packedExtreme(f, op))
    }
    result[`HADDP${suffix(f)}`] = horizontal(f, packedSubs.add!)
    result[`HSUBP${suffix(f)}`] = horizontal(f, packedSubs.sub!)
    result[`ADDSUBP${suffix(f)}`] = addSub(f)
  }
  return result
}

export const arithmeticSemantics: SemanticTable = {
  ...table(),
  RCPPS: packedReciprocal(false),
  RCPSS: scalarReciprocal(false),
  RSQRTPS: packedReciprocal(true),
  RSQRTSS: scalarReciprocal(true),
}
