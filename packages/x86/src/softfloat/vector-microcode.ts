import type { FpuMicrocode, FpuMicrocodeTable } from './machine.ts'
import { join, split } from './sse.ts'
import { VECTOR_A, VECTOR_B } from './sse-microcode.ts'

/** The index and value of the smallest of eight unsigned words. */
const phminposuw: FpuMicrocode = (m) => {
  const words = split(m.state.scratch.get(VECTOR_A), 2)
  let least = 0
  words.forEach((word, i) => {
    if (word < words[least]!) least = i
  })
  m.state.scratch.set(VECTOR_A, words[least]! | (BigInt(least) << 16n))
}

/** Eight sums of four absolute differences of bytes. [SDM2 "MPSADBW—Compute Multiple Packed Sums of Absolute Difference"] */
const mpsadbw: FpuMicrocode = (m, [imm]) => {
  const a = split(m.state.scratch.get(VECTOR_A), 1).map(Number)
  const b = split(m.state.scratch.get(VECTOR_B), 1).map(Number)
  const [fromA, fromB] = [Number(imm! & 4n), Number(imm! & 3n) * 4]
  const sums = Array.from({ length: 8 }, (_, i) => {
    let sum = 0
    for (let j = 0; j < 4; j++) sum += Math.abs(a[fromA + i + j]! - b[fromB + j]!)
    return BigInt(sum)
  })
  m.state.scratch.set(VECTOR_A, join(sums, 2))
}

/** Carry-less product of the halves that imm bits 0 and 4 choose. */
const pclmulqdq: FpuMicrocode = (m, [imm]) => {
  const half = (v: bigint, high: boolean): bigint => (high ? v >> 64n : v & 0xffff_ffff_ffff_ffffn)
  const a = half(m.state.scratch.get(VECTOR_A), (imm! & 1n) !== 0n)
  let b = half(m.state.scratch.get(VECTOR_B), (imm! & 16n) !== 0n)
  let product = 0n
  for (let shift = 0n; b !== 0n; shift++, b >>= 1n) if (b & 1n) product ^= a << shift
  m.state.scratch.set(VECTOR_A, product)
}

/** Comparison of two strings of bytes or words. [SDM2 4.1 "Imm8 Control Byte Operation for PCMPESTRI / PCMPESTRM / PCMPISTRI / PCMPISTRM"] */
function compareStrings(
  a: bigint[],
  b: bigint[],
  lengthA: number,
  lengthB: number,
  control: number,
): { result: number; count: number } {
  const count = a.length
  const signed = (control & 2) !== 0
  const bits = BigInt(128 / count)
  const value = (x: bigint): bigint => (signed ? BigInt.asIntN(Number(bits), x) : x)
  const aggregation = (control >> 2) & 3
  let result = 0
  for (let j = 0; j < count; j++) {
    let bit = false
    if (aggregation === 0) {
      // Equal any: b[j] is one of a.
      for (let i = 0; i < lengthA && j < lengthB; i++) bit ||= a[i] === b[j]
    } else if (aggregation === 1) {
      // Ranges: a holds pairs of lower and upper bounds.
      for (let i = 0; i + 1 < lengthA && j < lengthB; i += 2)
        bit ||= value(b[j]!) >= value(a[i]!) && value(b[j]!) <= value(a[i + 1]!)
    } else if (aggregation === 2) {
      // Equal each: positions past both ends are equal.
      bit = j < lengthA && j < lengthB ? a[j] === b[j] : j >= lengthA && j >= lengthB
    } else {
      // Equal ordered: a is found in b at j; what stands past the end of b counts only until the vector ends.
      bit = true
      for (let i = 0; i < lengthA && i + j < count; i++) bit &&= i + j < lengthB && a[i] === b[i + j]
    }
    if (bit) result |= 1 << j
  }
  const polarity = (control >> 4) & 3
  const all = (1 << count) - 1
  if (polarity === 1) result ^= all
  else if (polarity === 3) result ^= (1 << Math.min(lengthB, count)) - 1
  return { result, count }
}

/**
 * Arguments: the immediate (bit 8: explicit lengths, bit 9: the result is a mask), the two lengths. Results: index, RFLAGS
 * (CF: some bit, ZF: b is short, SF: a is short, OF: bit 0). The mask is left in scratch.
 */
const pcmpstr: FpuMicrocode = (m, [controlArg, lengthA, lengthB]) => {
  const control = Number(controlArg)
  const size = control & 1 ? 2 : 1
  const count = 16 / size
  const a = split(m.state.scratch.get(VECTOR_A), size)
  const b = split(m.state.scratch.get(VECTOR_B), size)
  const explicit = (length: bigint): number => {
    const n = BigInt.asIntN(64, length)
    return Number((n < 0n ? -n : n) > BigInt(count) ? BigInt(count) : n < 0n ? -n : n)
  }
  const implicit = (v: bigint[]): number => {
    const end = v.indexOf(0n)
    return end < 0 ? count : end
  }
  const [na, nb] = control & 0x100 ? [explicit(lengthA!), explicit(lengthB!)] : [implicit(a), implicit(b)]
  const { result } = compareStrings(a, b, na, nb, control)
  const last = (control & 0x40) !== 0
  const index = result === 0 ? count : last ? 31 - Math.clz32(result) : 31 - Math.clz32(result & -result)
  const flags = (result ? 1 : 0) | (nb < count ? 0x40 : 0) | (na < count ? 0x80 : 0) | (result & 1 ? 0x800 : 0)
  if (control & 0x200) {
    const lanes = Array.from({ length: count }, (_, i) => ((result >> i) & 1 ? (1n << BigInt(size * 8)) - 1n : 0n))
    m.state.scratch.set(VECTOR_A, last ? join(lanes, size) : BigInt(result))
  }
  return [BigInt(index), BigInt(flags)]
}

export const vectorMicrocode: FpuMicrocodeTable = {
  'sse.phminposuw': phminposuw,
  'sse.mpsadbw': mpsadbw,
  'sse.pclmulqdq': pclmulqdq,
  'sse.pcmpstr': pcmpstr,
}
