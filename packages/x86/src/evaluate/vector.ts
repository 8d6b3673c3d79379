import type { Val } from '../semantics/builder.ts'
import { bitsOf, unsigned, Value } from './value.ts'

const ones = (1n << 128n) - 1n

/** The vector operators that moves are made of. */
const operators: Readonly<Record<string, (...args: bigint[]) => bigint>> = {
  'v128.and': (a, b) => a! & b!,
  'v128.or': (a, b) => a! | b!,
  'v128.xor': (a, b) => a! ^ b!,
  'v128.not': (a) => a! ^ ones,
  'v128.andnot': (a, b) => a! & (b! ^ ones),
  'i64x2.splat': (a) => (a! << 64n) | a!,
  'i32x4.splat': (a) => a! * 0x0000_0001_0000_0001_0000_0001_0000_0001n,
}

const laneWidths: Readonly<Record<string, 32 | 64>> = { i32x4: 32, i64x2: 64 }

/** undefined: no such operator here. */
export function vectorOperator(name: string, args: readonly Val[]): Val | undefined {
  const f = operators[name]
  return f && new Value(128, f(...args.map(bitsOf)))
}

export function laneOperator(name: string, lane: number, args: readonly Val[]): Val | undefined {
  const [shape, operator] = name.split('.')
  const width = laneWidths[shape!]
  const shift = BigInt((width ?? 0) * lane)
  if (width === undefined) return undefined
  if (operator === 'extract_lane') return new Value(width, unsigned(bitsOf(args[0]!) >> shift, width))
  if (operator !== 'replace_lane') return undefined
  const mask = ((1n << BigInt(width)) - 1n) << shift
  return new Value(128, (bitsOf(args[0]!) & (ones ^ mask)) | (bitsOf(args[1]!) << shift))
}

export function shuffled(a: Val, b: Val, lanes: readonly number[]): Val {
  const both = (bitsOf(b) << 128n) | bitsOf(a)
  return vectorOf(lanes.map((lane) => Number((both >> BigInt(8 * lane)) & 0xffn)))
}

export function vectorOf(bytes: readonly number[]): Val {
  return new Value(
    128,
    bytes.reduceRight((bits, byte) => (bits << 8n) | BigInt(byte), 0n),
  )
}
