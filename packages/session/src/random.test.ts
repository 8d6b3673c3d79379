import { expect, test } from 'vitest'
import { seededRandom } from './random.ts'

const draw = (seed: number, ...lengths: number[]) => {
  const fill = seededRandom(seed)
  return lengths.map((length) => {
    const bytes = new Uint8Array(length)
    fill(bytes)
    return Buffer.from(bytes).toString('hex')
  })
}

test('the same seed gives the same bytes, another one others', () => {
  expect(draw(1, 16, 3)).toEqual(draw(1, 16, 3))
  expect(draw(1, 16)).not.toEqual(draw(2, 16))
  const [first, second] = draw(5, 64, 64)
  expect(first).not.toBe(second)
})

// The generator's published test vector: seed 1234567, first value 6457827717110365317.
test('it is SplitMix64', () => {
  const bytes = new Uint8Array(8)
  seededRandom(1234567)(bytes)
  expect(new DataView(bytes.buffer).getBigUint64(0, true)).toBe(6457827717110365317n)
})
