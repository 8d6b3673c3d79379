import { inRoot } from '../workspace/paths.mjs'
import { build } from '../workspace/build.mjs'
import { runNode } from '../workspace/run.mjs'
import { closingLine, vitest } from './vitest.mjs'

const bin = (...parts) => inRoot('node_modules', ...parts)
const tool = async (...args) => ({ ok: (await runNode(args)).ok })

const steps = [
  ['build', async () => ({ ok: (await build({ say: console.log })) === 0 })],
  [
    'lint',
    () =>
      tool(
        bin('eslint', 'bin', 'eslint.js'),
        '.',
        '--max-warnings=0',
        '--cache',
        '--cache-location',
        bin('.cache', 'eslint', '/'),
      ),
  ],
  ['format', () => tool(bin('prettier', 'bin', 'prettier.cjs'), '.', '--check', '--log-level=warn', '--cache')],
  ['layers', () => tool(bin('dependency-cruiser', 'bin', 'dependency-cruise.mjs'), 'packages', 'apps', 'tools')],
  ['types', () => tool(bin('typescript', 'bin', 'tsc'), '-p', 'tsconfig.tests.json')],
  ['tests', () => vitest({ config: 'vitest.config.ts' })],
  [
    'guests',
    () => vitest({ config: 'vitest.guests.config.ts', env: { GUESTMODE_GUESTS: process.env.GUESTMODE_GUESTS ?? 'quick' } }),
  ],
  ['packages', () => tool(inRoot('scripts', 'check-packages.mjs'))],
]

/** `npm test`: every check, one after the other; a failure does not keep the later ones from running. */
export async function run() {
  const totals = { passed: 0, failed: 0, skipped: 0 }
  const results = []
  for (const [name, step] of steps) {
    console.log(`\n== ${name}`)
    const start = performance.now()
    const result = await step()
    results.push({ name, ok: result.ok, seconds: (performance.now() - start) / 1000 })
    for (const kind of Object.keys(result.totals ?? {})) totals[kind] += result.totals[kind]
  }
  console.log('\n== summary')
  for (const { name, ok, seconds } of results)
    console.log(`${ok ? 'ok    ' : 'FAILED'} ${name.padEnd(10)} ${seconds.toFixed(1).padStart(7)} s`)
  console.log(`\n${closingLine(totals)}`)
  return results.every(({ ok }) => ok) ? 0 : 1
}
