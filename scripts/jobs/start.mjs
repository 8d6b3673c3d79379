import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { constants } from 'node:os'
import process from 'node:process'
import { inRoot, WorkspaceError } from '../workspace/paths.mjs'
import { build } from '../workspace/build.mjs'

const program = inRoot('apps', 'cli', 'dist', 'bin.js')

/** `npm start [-- args]`: the command line program with these arguments, as if the user had started it. */
export async function run({ args, say }) {
  const failed = await build({ say, filter: 'guestmode...' })
  if (failed) throw new WorkspaceError('the build failed; the reason is above')
  if (!existsSync(program))
    throw new WorkspaceError('there is no apps/cli/dist/bin.js after the build (source: apps/cli/src/bin.ts)')
  return handOver(args)
}

function handOver(args) {
  return new Promise((resolve, reject) => {
    // npm changes to the folder of package.json; paths in the arguments mean the folder where the user stands.
    const child = spawn(process.execPath, [program, ...args], { stdio: 'inherit', cwd: process.env.INIT_CWD ?? process.cwd() })
    const onTerminal = process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
      // A terminal sends its interrupt to the child too; passing it on would make it two.
      process.on(signal, () => (signal === 'SIGINT' && onTerminal ? undefined : child.kill(signal)))
    }
    child.on('error', reject)
    child.on('exit', (code, signal) => resolve(code ?? 128 + constants.signals[signal]))
  })
}
