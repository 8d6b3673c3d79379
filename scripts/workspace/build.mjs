import { delimiter } from 'node:path'
import process from 'node:process'
import { inRoot } from './paths.mjs'
import { findPnpm } from './pnpm.mjs'
import { runNode } from './run.mjs'

/** Builds through turbo, which skips what has not changed. One line per package that really is built; all of it on failure. */
export async function build({ say, filter }) {
  const pnpm = await findPnpm({ say })
  const path = [pnpm.binDir, inRoot('node_modules', '.bin'), process.env.PATH].join(delimiter)
  const args = ['run', 'build', '--ui=stream', '--output-logs=full', '--concurrency=100%']
  if (filter) args.push(`--filter=${filter}`)
  const { ok, code, output } = await runNode([inRoot('node_modules', 'turbo', 'bin', 'turbo'), ...args], {
    env: { PATH: path, TURBO_TELEMETRY_DISABLED: '1', TURBO_NO_UPDATE_NOTIFIER: '1', NO_COLOR: '1', FORCE_COLOR: undefined },
    onLine: (line) => {
      const started = /^(\S+):build: cache miss, executing/.exec(line)
      if (started) say(`building ${started[1]} ...`)
    },
  })
  if (!ok) say(output.trimEnd())
  return ok ? 0 : code
}
