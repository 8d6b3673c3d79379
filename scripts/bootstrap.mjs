// Entry of `npm start`, `npm test` and the other root scripts. Needs nothing but Node and npm: brings the workspace into a
// state in which the job can run (installed, built), then runs it.

import process from 'node:process'
import { ensureInstalled } from './workspace/install.mjs'
import { build } from './workspace/build.mjs'

const jobs = {
  start: () => import('./jobs/start.mjs'),
  test: () => import('./jobs/test.mjs'),
  'test:guests': () => import('./jobs/test-guests.mjs'),
  graph: () => import('./jobs/graph.mjs'),
  build: async () => ({ run: () => build({ say: sayOnStderr }) }),
}

function sayOnStderr(line) {
  process.stderr.write(`${line}\n`)
}

async function main() {
  const [name = '', ...args] = process.argv.slice(2)
  if (!Object.hasOwn(jobs, name)) {
    sayOnStderr(`bootstrap: unknown job '${name}'; the jobs are: ${Object.keys(jobs).join(', ')}`)
    return 2
  }
  await ensureInstalled({ say: sayOnStderr })
  const job = await jobs[name]()
  return job.run({ args, say: sayOnStderr })
}

try {
  process.exitCode = await main()
} catch (error) {
  sayOnStderr(error.name === 'WorkspaceError' ? `guestmode: ${error.message}` : error.stack)
  process.exitCode = 1
}
