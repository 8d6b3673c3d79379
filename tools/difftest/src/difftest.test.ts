import { afterAll, describe, expect, test } from 'vitest'
import { CASES_PER_IMAGE } from './generate.ts'
import { format } from './report.ts'
import { openPair, runDifftest } from './run.ts'

const pair = openPair()
const reason = typeof pair === 'string' ? ` (skipped: ${pair})` : ''

/** Of the wall clock: on a busy machine fewer cases are run. */
const MILLISECONDS = 22_000

describe.skipIf(typeof pair === 'string')(`our processor and the host's${reason}`, () => {
  afterAll(() => {
    if (typeof pair !== 'string') pair.host.close()
  })

  test('sequences of all groups end in the same state', { timeout: 120_000 }, () => {
    if (typeof pair === 'string') return
    const report = runDifftest(pair, { seed: 1, count: 8_000, group: 'all', milliseconds: MILLISECONDS })
    console.log(format(report))
    expect(report.findings.map(({ mnemonic, kind }) => `${mnemonic}: ${kind}`)).toEqual([])
    expect(report.cases).toBeGreaterThanOrEqual(CASES_PER_IMAGE)
  })
})
