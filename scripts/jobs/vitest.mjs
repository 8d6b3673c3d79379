import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inRoot } from '../workspace/paths.mjs'
import { runNode } from '../workspace/run.mjs'

/** Runs vitest once, its report shown as it comes, and returns the totals. */
export async function vitest({ config, env, args = [] }) {
  const dir = mkdtempSync(join(tmpdir(), 'guestmode-vitest-'))
  const report = join(dir, 'report.json')
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`]
  const program = inRoot('node_modules', 'vitest', 'vitest.mjs')
  const { ok } = await runNode([program, 'run', '--config', config, ...reporters, ...args], { env })
  const totals = count(existsSync(report) ? JSON.parse(readFileSync(report, 'utf8')) : undefined, ok)
  rmSync(dir, { recursive: true, force: true })
  return { ok: ok && totals.failed === 0, totals }
}

/** A file that did not load has no tests of its own but is a failure; so is a run that failed for any other reason. */
export function count(report, ok) {
  const totals = { passed: 0, failed: 0, skipped: 0 }
  for (const file of report?.testResults ?? []) {
    for (const { status } of file.assertionResults) {
      totals[status === 'passed' || status === 'failed' ? status : 'skipped'] += 1
    }
    if (file.status === 'failed' && !file.assertionResults.some(({ status }) => status === 'failed')) totals.failed += 1
  }
  if (!ok && totals.failed === 0) totals.failed = 1
  return totals
}

export const closingLine = ({ passed, failed, skipped }) => `${passed} passed, ${failed} failed, ${skipped} skipped`
