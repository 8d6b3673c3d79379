import { readFileSync } from 'node:fs'
import { parseArguments } from './args/parse.ts'
import { CliError } from './errors.ts'
import { EXIT } from './exit-status.ts'
import { Interrupted } from './guests/fetch.ts'
import { guestsCommand } from './guests/guests-command.ts'
import { demoCommand, runCommand, type RunPlace } from './run/run-command.ts'
import type { Outcome } from './run/run-machine.ts'
import { tracePointHelp } from './trace/points.ts'

/** The program: from its arguments to how the process shall end. */
export async function main(words: readonly string[], place: RunPlace): Promise<Outcome> {
  const { stdout, stderr, env } = place.streams
  try {
    const request = parseArguments(words, version())
    switch (request.kind) {
      case 'print':
        stdout.write(request.text)
        return { status: 0 }
      case 'guests':
        return { status: await guestsCommand(request, place.streams) }
      case 'run':
      case 'demo':
        if ([...(request.words.d ?? []), ...(request.words.trace ?? [])].includes('help')) {
          stdout.write(tracePointHelp())
          return { status: 0 }
        }
        return await (request.kind === 'run' ? runCommand : demoCommand)(request.words, place)
    }
  } catch (error) {
    if (error instanceof Interrupted) return { status: EXIT.failure, signal: error.signal }
    const verbose = words.includes('-verbose') || words.includes('--verbose') || /\bguestmode\b/.test(env['DEBUG'] ?? '')
    const { status, line } = explain(error)
    stderr.write(`guestmode: ${line}\n`)
    if (verbose && error instanceof Error) stderr.write(`${error.stack}\n`)
    else if (status === EXIT.failure) stderr.write('guestmode: this is a fault of guestmode; --verbose shows where\n')
    return { status }
  }
}

function explain(error: unknown): { status: number; line: string } {
  const line = (error instanceof Error ? error.message : String(error)).replaceAll(/\s*\n\s*/g, ' ')
  if (error instanceof CliError) return { status: error.status, line }
  if (error instanceof Error && error.name === 'ConfigError') return { status: EXIT.usage, line }
  return { status: EXIT.failure, line }
}

function version(): string {
  const manifest = readFileSync(new URL('../package.json', import.meta.url), 'utf8')
  return (JSON.parse(manifest) as { version: string }).version
}
