export { openPair, runDifftest, type Example, type Finding, type Pair, type Report, type RunOptions } from './run.ts'
export { format } from './report.ts'
export { groups, exclusions, type Group } from './rows.ts'
export { masks, type Mask } from './masks.ts'
