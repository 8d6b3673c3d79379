import { expect, test } from 'vitest'
import { formatTable, median } from './table.ts'

test('columns are aligned, numbers to the right', () => {
  expect(
    formatTable([
      ['', 'MIPS'],
      ['fast', '1000'],
      ['slower', '9'],
    ]),
  ).toBe(['        MIPS', '------  ----', 'fast    1000', 'slower     9'].join('\n'))
})

test('median', () => {
  expect(median([3, 1, 2])).toBe(2)
  expect(median([4, 1, 2, 3])).toBe(2.5)
})
