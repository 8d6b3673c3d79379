import { spawn } from 'node:child_process'
import process from 'node:process'
import { root } from './paths.mjs'

/**
 * Runs a Node program to its end. With `onLine` its output is delivered line by line and collected; without, it goes
 * where ours goes.
 */
export function runNode(args, { env, onLine, stdio } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, {
      cwd: root,
      // `npm start -s` silences npm; the programs we run take the same variable as meant for them and would hide their errors.
      env: { ...process.env, npm_config_loglevel: undefined, ...env },
      stdio: stdio ?? (onLine ? ['ignore', 'pipe', 'pipe'] : ['ignore', 'inherit', 'inherit']),
    })
    let output = ''
    for (const stream of onLine ? [child.stdout, child.stderr] : []) {
      let rest = ''
      stream.setEncoding('utf8')
      stream.on('data', (text) => {
        output += text
        const lines = (rest + text).split('\n')
        rest = lines.pop()
        lines.forEach(onLine)
      })
      stream.on('end', () => rest && onLine(rest))
    }
    child.on('error', reject)
    child.on('close', (code, signal) => resolve({ ok: code === 0, code: code ?? 1, signal, output }))
  })
}
