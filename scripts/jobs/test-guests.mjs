import { build } from '../workspace/build.mjs'
import { closingLine, vitest } from './vitest.mjs'

/** `npm run test:guests [-- filter]`: every guest. */
export async function run({ args, say }) {
  const failed = await build({ say })
  if (failed) return failed
  const { ok, totals } = await vitest({ config: 'vitest.guests.config.ts', env: { GUESTMODE_GUESTS: 'all' }, args })
  console.log(closingLine(totals))
  return ok ? 0 : 1
}
