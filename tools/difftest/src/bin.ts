import { parseArgs } from 'node:util'
import { format } from './report.ts'
import { groups, type Group } from './rows.ts'
import { openPair, runDifftest } from './run.ts'

const usage = `Compares our processor with the one that this program runs on.

  --count N      cases to run (20000)
  --seed S       of the cases (1); the same seed makes the same cases
  --first N      number of the first case (0), to run one case again
  --group G      all, or one of: ${groups.join(', ')}
  --only A,B     these mnemonics only
  --mode M       64, 32 or 16 (all)
  --shown N      differences shown for each mnemonic (1)
  --seconds S    begin no new batch after that time`

function main(): number {
  const { values } = parseArgs({
    options: {
      count: { type: 'string', default: '20000' },
      seed: { type: 'string', default: '1' },
      first: { type: 'string', default: '0' },
      group: { type: 'string', default: 'all' },
      only: { type: 'string' },
      mode: { type: 'string' },
      shown: { type: 'string', default: '1' },
      seconds: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  })
  const modes = values.mode?.split(',').map(Number)
  const isGroup = values.group === 'all' || (groups as readonly string[]).includes(values.group)
  const numbers = [values.count, values.seed, values.first, values.shown, values.seconds ?? '0'].map(Number)
  if (values.help || !isGroup || numbers.some(Number.isNaN) || modes?.some((mode) => ![64, 32, 16].includes(mode))) {
    console.error(usage)
    return values.help ? 0 : 2
  }
  const pair = openPair()
  if (typeof pair === 'string') {
    console.error(`difftest: ${pair}`)
    return 2
  }
  const [count, seed, first, shown, seconds] = numbers as [number, number, number, number, number]
  try {
    const report = runDifftest(pair, {
      count,
      seed,
      first,
      shown,
      group: values.group as Group | 'all',
      modes: modes as (64 | 32 | 16)[] | undefined,
      mnemonics: values.only?.toUpperCase().split(','),
      milliseconds: seconds === 0 ? undefined : seconds * 1000,
    })
    console.log(format(report))
    return report.findings.length === 0 ? 0 : 1
  } finally {
    pair.host.close()
  }
}

process.exitCode = main()
