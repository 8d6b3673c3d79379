import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { expect, test } from 'vitest'
import { closingLine, count } from './jobs/vitest.mjs'
import { root } from './workspace/paths.mjs'

const { complaint } = createRequire(import.meta.url)('./require-node.cjs') as { complaint(version: string): string | null }

test.each(['v20.20.0', 'v20.21.3', 'v22.0.0', 'v26.1.0'])('Node %s will do', (version) => {
  expect(complaint(version)).toBeNull()
})

test.each(['v0.10.48', 'v8.17.0', 'v18.20.8', 'v20.19.9'])('Node %s is too old, and is told so', (version) => {
  expect(complaint(version)).toContain(`guestmode needs Node 20.20 or later, and this is Node ${version.slice(1)}.`)
})

test('an unknown job is refused with the list of jobs', () => {
  const { status, stderr } = spawnSync(process.execPath, ['scripts/bootstrap.mjs', 'dance'], { cwd: root, encoding: 'utf8' })
  expect(status).toBe(2)
  expect(stderr).toContain("unknown job 'dance'; the jobs are: start, test,")
})

const file = (status: string, ...statuses: string[]) => ({ status, assertionResults: statuses.map((status) => ({ status })) })

test('the closing line counts tests, and what kept tests from running as a failure', () => {
  expect(closingLine(count({ testResults: [file('passed', 'passed', 'pending'), file('failed', 'failed')] }, false))).toBe(
    '1 passed, 1 failed, 1 skipped',
  )
  expect(count({ testResults: [file('failed')] }, false).failed).toBe(1)
  expect(count(undefined, false).failed).toBe(1)
  expect(count({ testResults: [file('passed', 'passed')] }, false).failed).toBe(1)
})
