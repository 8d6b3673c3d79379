import { expect, test } from 'vitest'
import { readStats, writeStats } from './index.ts'

test('a statistics file is read back by name', () => {
  const stats = { exits: 12, io_exits: 3, mmu_shadow_zapped: 2 ** 40 }
  expect(readStats(writeStats('kvm-1', stats))).toEqual(stats)
})

test('a name that does not fit is refused', () => {
  expect(() => writeStats('kvm-1', { ['x'.repeat(48)]: 1 })).toThrow(RangeError)
})
