import { compileRows, type Row } from '../row.ts'
import { INTEGER } from './integer.ts'
import { SSE } from './sse.ts'
import { SYSTEM } from './system.ts'
import { X87 } from './x87.ts'

/** Every encoding, in order of preference within a mnemonic. */
export const ROWS: ReadonlyMap<string, readonly Row[]> = (() => {
  const map = new Map<string, Row[]>()
  for (const row of compileRows([INTEGER, SYSTEM, X87, SSE].join('\n'))) {
    const rows = map.get(row.mnemonic)
    if (rows === undefined) map.set(row.mnemonic, [row])
    else rows.push(row)
  }
  return map
})()

export { COMPARISON_ALIASES } from './sse.ts'
