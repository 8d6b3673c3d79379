import { describe, expect, test } from 'vitest'
import { add, compare, divide, multiply, squareRoot, sseNan, subtract, type Outcome } from './arithmetic.ts'
import {
  bitLength,
  DOUBLE,
  isqrt,
  Kind,
  NEAREST,
  packDouble,
  packSingle,
  round,
  SINGLE,
  unpackDouble,
  unpackSingle,
  type Num,
} from './number.ts'

const view = new DataView(new ArrayBuffer(8))
const doubleBits = (x: number): bigint => {
  view.setFloat64(0, x)
  return view.getBigUint64(0)
}
const singleBits = (x: number): bigint => {
  view.setFloat32(0, x)
  return BigInt(view.getUint32(0))
}

let seed = 42
function random(): number {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
  let x = Math.imul(seed ^ (seed >>> 15), 0x2c1b3c6d)
  x = Math.imul(x ^ (x >>> 12), 0x297a2d39)
  return (x ^ (x >>> 15)) >>> 0
}

/** Numbers of all magnitudes, denormals among them, and many near 1. */
function randomDouble(): number {
  view.setUint32(0, random())
  view.setUint32(4, random() % 3 === 0 ? 0 : random())
  if (random() % 2) view.setUint16(0, 0x3fe0 + (random() % 64) + (random() & 0x8000))
  const x = view.getFloat64(0)
  return Number.isNaN(x) ? 1 : x
}

const ALL_MASKED = 0x3f
const settle = (outcome: Outcome, single: boolean): bigint => {
  const { value } = outcome
  const format = single ? SINGLE : DOUBLE
  const rounded = value.kind === Kind.finite ? round(value, format, NEAREST, ALL_MASKED).value : value
  return single ? packSingle(rounded) : packDouble(rounded)
}

const operations: Record<string, [(a: Num, b: Num) => Outcome, (a: number, b: number) => number]> = {
  add: [(a, b) => add(a, b, NEAREST, sseNan), (a, b) => a + b],
  subtract: [(a, b) => subtract(a, b, NEAREST, sseNan), (a, b) => a - b],
  multiply: [(a, b) => multiply(a, b, sseNan), (a, b) => a * b],
  divide: [(a, b) => divide(a, b, sseNan), (a, b) => a / b],
  squareRoot: [(a) => squareRoot(a), (a) => Math.sqrt(a)],
}

describe('arithmetic agrees with the host, to nearest', () => {
  test.each(Object.entries(operations))('%s of doubles and singles', (_, [ours, host]) => {
    for (let i = 0; i < 3000; i++) {
      const [a, b] = [randomDouble(), randomDouble()]
      const expected = host(a, b)
      const result = settle(ours(unpackDouble(doubleBits(a)), unpackDouble(doubleBits(b))), false)
      if (!Number.isNaN(expected)) expect(result, `${a} ${b}`).toBe(doubleBits(expected))
      const [x, y] = [Math.fround(a), Math.fround(b)]
      // Rounding twice, to double and to single, is innocuous for these operations.
      const single = settle(ours(unpackSingle(singleBits(x)), unpackSingle(singleBits(y))), true)
      if (!Number.isNaN(host(x, y))) expect(single, `${x} ${y}`).toBe(singleBits(host(x, y)))
    }
  })

  test('comparison', () => {
    for (let i = 0; i < 3000; i++) {
      const [a, b] = [randomDouble(), i % 3 ? randomDouble() : -randomDouble()]
      expect(compare(unpackDouble(doubleBits(a)), unpackDouble(doubleBits(b)))).toBe(a < b ? -1 : a > b ? 1 : 0)
    }
  })
})

test('bit length and integer square root', () => {
  for (const n of [
    1n,
    2n,
    3n,
    (1n << 53n) - 1n,
    (1n << 64n) - 1n,
    1n << 64n,
    (1n << 1023n) - 1n,
    1n << 3000n,
    (1n << 5000n) - 1n,
  ]) {
    expect(bitLength(n)).toBe(n.toString(2).length)
    const r = isqrt(n)
    expect(r * r <= n && (r + 1n) * (r + 1n) > n).toBe(true)
  }
  expect(bitLength(0n)).toBe(0)
})
