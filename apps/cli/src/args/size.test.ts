import { expect, test } from 'vitest'
import { formatSize, parseMemorySize } from './size.ts'

test.each([
  ['256', 256 * 2 ** 20],
  ['256M', 256 * 2 ** 20],
  ['256m', 256 * 2 ** 20],
  ['size=1G', 2 ** 30],
  ['1.5G', 1.5 * 2 ** 30],
  ['65536K', 2 ** 26],
  ['4096B', 4096],
  ['5000B', 8192],
  ['2GiB', 2 ** 31],
])('%s', (text, bytes) => {
  expect(parseMemorySize(text)).toBe(bytes)
})

test.each(['', 'much', '-5', '1X', '1 G', '0x10'])("'%s' is no size", (text) => {
  expect(() => parseMemorySize(text)).toThrow(/-m/)
})

test('sizes for people', () => {
  expect([0, 4096, 3 * 2 ** 19, 512 * 2 ** 20].map(formatSize)).toEqual(['0 bytes', '4 KiB', '1.5 MiB', '512 MiB'])
})
