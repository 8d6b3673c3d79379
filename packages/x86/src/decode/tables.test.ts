import { expect, test } from 'vitest'
import { cpuidBits } from './features.ts'
import { letters } from './letters.ts'
import { mnemonics } from './mnemonics.ts'
import { allRows } from './opcode-maps.ts'

test('rows know their place', () => {
  allRows.forEach((row, index) => expect(row.id).toBe(index))
})

test('the lists hold what the rows use and no more', () => {
  expect([...new Set(allRows.map((row) => row.mnemonic))].sort()).toEqual([...mnemonics])
  expect([...new Set(allRows.flatMap((row) => row.operands))].sort()).toEqual(Object.keys(letters).sort())
  const features = new Set<string>(allRows.map((row) => row.feature))
  features.delete('base')
  expect([...features].sort()).toEqual(Object.keys(cpuidBits).sort())
})

test('a row stands in for another one of its opcode only with the same operands', () => {
  for (const row of allRows) {
    if (row.otherwise === undefined || row.mnemonic === row.otherwise.mnemonic) continue
    expect(row.otherwise.opcode).toBe(row.opcode)
    expect(row.otherwise.operands.length, row.mnemonic).toBeLessThanOrEqual(row.operands.length)
  }
})
