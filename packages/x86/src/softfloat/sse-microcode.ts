import { add, compare, divide, multiply, sseNan, squareRoot, subtract, type Outcome } from './arithmetic.ts'
import type { FpuMicrocode, FpuMicrocodeTable } from './machine.ts'
import { DE, finite, IE, isNan, Kind, PE, quieted, zeroNum, type Num, type Rounding } from './number.ts'
import { double, join, lane, single, split, Sse, type Lane, type Precision } from './sse.ts'
import { eflagsOf, orderOf, toInteger } from './x87-basic.ts'
import { integer } from './x87.ts'

/** Elements of `scratch` that carry vector operands in and the vector result out. */
export const VECTOR_A = 6
export const VECTOR_B = 7

/** An operation on the corresponding lanes of two operands; `index` is the lane. */
type LaneOp = (sse: Sse, precision: Precision, a: bigint, b: bigint, index: number, extra: number) => Lane

const scalar =
  (precision: Precision, op: LaneOp): FpuMicrocode =>
  (m, [a, b, extra]) => {
    const sse = new Sse(m)
    const result = op(sse, precision, a!, b ?? 0n, 0, Number(extra ?? 0n))
    sse.settle([result])
    return [result.bits]
  }

const packed =
  (precision: Precision, op: LaneOp): FpuMicrocode =>
  (m, [extra]) => {
    const sse = new Sse(m)
    const { size } = precision
    const a = split(m.state.scratch.get(VECTOR_A), size)
    const b = split(m.state.scratch.get(VECTOR_B), size)
    const lanes = a.map((bits, i) => op(sse, precision, bits, b[i]!, i, Number(extra ?? 0n)))
    sse.settle(lanes)
    m.state.scratch.set(
      VECTOR_A,
      join(
        lanes.map((l) => l.bits),
        size,
      ),
    )
  }

const arithmetic =
  (op: (a: Num, b: Num, rounding: Rounding) => Outcome): LaneOp =>
  (sse, precision, a, b) =>
    sse.finish(precision, op(sse.unpack(precision, a), sse.unpack(precision, b), sse.rounding))

const adding = arithmetic((a, b, rounding) => add(a, b, rounding, sseNan))
const subtracting = arithmetic((a, b, rounding) => subtract(a, b, rounding, sseNan))

/** The second operand unless the first is strictly less (greater). */
const extreme =
  (wanted: -1 | 1): LaneOp =>
  (sse, precision, aBits, bBits) => {
    const a = sse.unpack(precision, aBits)
    const b = sse.unpack(precision, bBits)
    if (isNan(a) || isNan(b)) return lane(isNan(b) ? bBits : precision.pack(b), IE)
    return lane(precision.pack(compare(a, b) === wanted ? a : b), a.denormal || b.denormal ? DE : 0)
  }

/** Predicates 0..7: EQ LT LE UNORD NEQ NLT NLE ORD. */
const comparing: LaneOp = (sse, precision, aBits, bBits, _index, predicate) => {
  const quiet = (predicate & 3) === 0 || (predicate & 3) === 3
  const { order, flags } = orderOf(sse.unpack(precision, aBits), sse.unpack(precision, bBits), quiet)
  const tests = [order === 0, order === -1, order === 0 || order === -1, order === undefined]
  const result = tests[predicate & 3]! !== ((predicate & 4) !== 0)
  return lane(result ? (1n << BigInt(precision.size * 8)) - 1n : 0n, flags)
}

/** COMISS and the like: the result is ZF, PF, CF in their RFLAGS places. */
const ordering =
  (quiet: boolean): LaneOp =>
  (sse, precision, a, b) => {
    const { order, flags } = orderOf(sse.unpack(precision, a), sse.unpack(precision, b), quiet)
    return lane(eflagsOf(order), flags)
  }

const converted =
  (from: Precision): LaneOp =>
  (sse, to, bits) => {
    const a = sse.unpack(from, bits)
    if (isNan(a)) return lane(to.pack(quieted(a)), a.kind === Kind.signaling ? IE : 0)
    return sse.finish(to, { value: a, flags: a.denormal ? DE : 0 })
  }

/** From a signed integer of `width` bits. */
const fromInteger =
  (width: 32 | 64): LaneOp =>
  (sse, to, bits) =>
    sse.finish(to, { value: integer(BigInt.asIntN(width, bits)), flags: 0 })

function integerLane(sse: Sse, precision: Precision, bits: bigint, width: number, truncate: boolean): Lane {
  const a = sse.unpack(precision, bits)
  const limit = 1n << BigInt(width - 1)
  if (a.kind <= Kind.finite && a.kind !== Kind.infinity && a.e < 70) {
    const { value, inexact } = toInteger(a, truncate ? 3 : sse.rounding)
    if (value >= -limit && value < limit) return lane(BigInt.asUintN(width, value), 0, inexact ? PE : 0)
  }
  return lane(limit, IE)
}

/** Arguments: bits, width of the integer, 1 = truncate. */
const toIntegerScalar =
  (precision: Precision): FpuMicrocode =>
  (m, [bits, width, truncate]) => {
    const sse = new Sse(m)
    const result = integerLane(sse, precision, bits!, Number(width), truncate !== 0n)
    sse.settle([result])
    return [result.bits]
  }

/** Lanes that change size: the operand's low lanes to the result's low lanes, the rest zero. */
const resized =
  (count: number, from: number, to: number, op: (sse: Sse, bits: bigint) => Lane): FpuMicrocode =>
  (m) => {
    const sse = new Sse(m)
    const lanes = split(m.state.scratch.get(VECTOR_A), from)
      .slice(0, count)
      .map((bits) => op(sse, bits))
    sse.settle(lanes)
    m.state.scratch.set(
      VECTOR_A,
      join(
        lanes.map((l) => l.bits),
        to,
      ),
    )
  }

/** ROUNDPS and the like: imm bits 1..0 rounding, bit 2 = by MXCSR, bit 3 = no precision exception. */
const rounding: LaneOp = (sse, precision, _a, bits, _index, imm) => {
  const a = sse.unpack(precision, bits)
  if (isNan(a)) return lane(precision.pack(quieted(a)), a.kind === Kind.signaling ? IE : 0)
  if (a.kind !== Kind.finite || a.e >= 0) return lane(precision.pack(a))
  const { value, inexact } = toInteger(a, imm & 4 ? sse.rounding : imm & 3)
  const n = value === 0n ? zeroNum(a.sign) : finite(a.sign, value < 0n ? -value : value, 0)
  return lane(precision.pack(n), 0, inexact && !(imm & 8) ? PE : 0)
}

/** DPPS, DPPD: each step rounds and may raise; the sum is made pairwise. [SDM2 "DPPS—Dot Product of Packed Single Precision Floating-Point Values"] */
const dotProduct =
  (precision: Precision): FpuMicrocode =>
  (m, [immArg]) => {
    const imm = Number(immArg)
    const sse = new Sse(m)
    const step = (op: LaneOp, a: bigint[], b: bigint[]): bigint[] => {
      const lanes = a.map((bits, i) => op(sse, precision, bits, b[i]!, i, 0))
      sse.settle(lanes)
      return lanes.map((l) => l.bits)
    }
    const select = (lanes: bigint[]): bigint[] => lanes.filter((_, i) => (imm >> (4 + i)) & 1)
    const a = split(m.state.scratch.get(VECTOR_A), precision.size)
    const b = split(m.state.scratch.get(VECTOR_B), precision.size)
    const products = step(multiplying, select(a), select(b))
    let next = 0
    let sums = a.map((_, i) => ((imm >> (4 + i)) & 1 ? products[next++]! : 0n))
    // The order shows in the choice among NaNs: DPPS adds each lane to its neighbour, then the other half to each half.
    const across = (lanes: bigint[], distance: number): bigint[] => lanes.map((_, i) => lanes[i ^ distance]!)
    if (sums.length === 2) sums = step(adding, sums, across(sums, 1))
    else {
      const pairs = step(adding, across(sums, 1), sums)
      sums = step(adding, pairs, across(pairs, 2))
    }
    m.state.scratch.set(
      VECTOR_A,
      join(
        a.map((_, i) => ((imm >> i) & 1 ? sums[i]! : 0n)),
        precision.size,
      ),
    )
  }

const multiplying = arithmetic((a, b) => multiply(a, b, sseNan))

const laneOps: Record<string, LaneOp> = {
  add: adding,
  sub: subtracting,
  mul: multiplying,
  div: arithmetic((a, b) => divide(a, b, sseNan)),
  sqrt: (sse, precision, _a, b) => sse.finish(precision, squareRoot(sse.unpack(precision, b))),
  min: extreme(-1),
  max: extreme(1),
  cmp: comparing,
  round: rounding,
  comi: ordering(false),
  ucomi: ordering(true),
  addsub: (sse, precision, a, b, index, extra) => (index & 1 ? adding : subtracting)(sse, precision, a, b, index, extra),
}

function table(): FpuMicrocodeTable {
  const result: Record<string, FpuMicrocode> = {}
  for (const [name, op] of Object.entries(laneOps)) {
    result[`sse.${name}.f32`] = scalar(single, op)
    result[`sse.${name}.f64`] = scalar(double, op)
    result[`sse.${name}.f32x4`] = packed(single, op)
    result[`sse.${name}.f64x2`] = packed(double, op)
  }
  const f32ToF64 = converted(single)
  const f64ToF32 = converted(double)
  result['sse.cvt.f32.f64'] = scalar(double, f32ToF64)
  result['sse.cvt.f64.f32'] = scalar(single, f64ToF32)
  for (const width of [32, 64] as const) {
    result[`sse.cvt.i${width}.f32`] = scalar(single, fromInteger(width))
    result[`sse.cvt.i${width}.f64`] = scalar(double, fromInteger(width))
  }
  result['sse.int.f32'] = toIntegerScalar(single)
  result['sse.int.f64'] = toIntegerScalar(double)
  result['sse.cvtps2pd'] = resized(2, 4, 8, (sse, bits) => f32ToF64(sse, double, bits, 0n, 0, 0))
  result['sse.cvtpd2ps'] = resized(2, 8, 4, (sse, bits) => f64ToF32(sse, single, bits, 0n, 0, 0))
  result['sse.cvtdq2ps'] = resized(4, 4, 4, (sse, bits) => fromInteger(32)(sse, single, bits, 0n, 0, 0))
  result['sse.cvtpi2ps'] = resized(2, 4, 4, (sse, bits) => fromInteger(32)(sse, single, bits, 0n, 0, 0))
  for (const truncate of [false, true]) {
    const t = truncate ? 't' : ''
    result[`sse.cvt${t}ps2dq`] = resized(4, 4, 4, (sse, bits) => integerLane(sse, single, bits, 32, truncate))
    result[`sse.cvt${t}pd2dq`] = resized(2, 8, 4, (sse, bits) => integerLane(sse, double, bits, 32, truncate))
    result[`sse.cvt${t}ps2pi`] = resized(2, 4, 4, (sse, bits) => integerLane(sse, single, bits, 32, truncate))
  }
  result['sse.dp.f32x4'] = dotProduct(single)
  result['sse.dp.f64x2'] = dotProduct(double)
  return result
}

export const sseMicrocode: FpuMicrocodeTable = table()
