import { expect, test } from 'vitest'
import { formatUptime, Rates } from './status.ts'

test('rates are of the time between two reports', () => {
  const rates = new Rates()
  const at = (seconds: number, exits: number, instructions?: number) => ({
    time: BigInt(seconds * 1e9),
    vm: {},
    vcpu: { exits, ...(instructions !== undefined && { instructions }) },
  })
  expect(rates.next(at(1, 100))).toEqual({ exits: 100, mips: undefined })
  expect(rates.next(at(3, 300, 4e6))).toEqual({ exits: 100, mips: 2 })
  expect(rates.next(at(4, 300, 10e6))).toEqual({ exits: 0, mips: 6 })
  // A reset has new counters.
  expect(rates.next(at(5, 10, 0))).toEqual({ exits: 0, mips: 0 })
  rates.reset()
  expect(rates.next(at(2, 10, 8e6))).toEqual({ exits: 5, mips: 4 })
})

test('uptime', () => {
  expect([0n, 59_900_000_000n, 3_725_000_000_000n].map(formatUptime)).toEqual(['0:00', '0:59', '62:05'])
})
