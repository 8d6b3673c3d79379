import { cpuidBits, type Feature } from '@guestmode/x86'
import { describe, expect, test } from 'vitest'
import { codeOf, type Mode } from './case.ts'
import { encode } from './encode.ts'
import { createGenerator } from './generate.ts'
import { code } from './layout.ts'
import { Random } from './random.ts'
import { Registers } from './registers.ts'
import { exclusions, groupOf, groups, rowsFor } from './rows.ts'

const features = new Set(Object.keys(cpuidBits) as Feature[])

describe.each([64, 32, 16] as Mode[])('%s-bit code', (mode) => {
  test('every row that may be drawn can be encoded', () => {
    const random = new Random(1, 1)
    const surroundings = { random, mode, at: code.address + 0x800n, fsBase: 0n, gsBase: 0n, hasLow: true }
    const failed = rowsFor('all', mode, features).filter((row) => {
      for (let i = 0; i < 60; i++) {
        const made = encode(row, { ...surroundings, registers: new Registers(random, mode) })
        if (made !== undefined && made.insn.row.id === row.id) return false
      }
      return true
    })
    expect(failed.map(({ mnemonic, operands }) => `${mnemonic} ${operands.join()}`)).toEqual([])
  })

  test('every group has rows, no excluded instruction is among them', () => {
    const rows = rowsFor('all', mode, features)
    expect(groups.filter((group) => !rows.some((row) => groupOf(row) === group))).toEqual([])
    expect(rows.filter(({ mnemonic }) => mnemonic in exclusions)).toEqual([])
  })
})

test('the same seed and number make the same case', () => {
  const make = (index: number): string => {
    const test = createGenerator({ seed: 7, group: 'all', features, modes: [64, 32, 16], hasLow: true }).make(index)
    return [Buffer.from(codeOf(test)).toString('hex'), ...test.gpr, test.rflags, ...test.fp.xmm].join()
  }
  expect(make(123)).toBe(make(123))
  expect(make(123)).not.toBe(make(124))
})
