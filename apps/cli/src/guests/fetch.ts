import { GuestError } from '../guest/index.ts'
import { CliError } from '../errors.ts'
import { EXIT } from '../exit-status.ts'
import type { Streams } from '../streams.ts'
import { ProgressLine } from './progress.ts'

/** The user interrupted; the process shall end by the signal. */
export class Interrupted extends Error {
  readonly signal: NodeJS.Signals

  constructor(signal: NodeJS.Signals) {
    super(signal)
    this.name = 'Interrupted'
    this.signal = signal
  }
}

export interface FetchWays {
  offline: boolean
  progress: ProgressLine['update']
  signal: AbortSignal
}

/** Fetches with progress on stderr; Ctrl-C leaves no half download behind. */
export async function fetching<T>(streams: Streams, offline: boolean, fetch: (ways: FetchWays) => Promise<T>): Promise<T> {
  const line = new ProgressLine(streams.stderr)
  const abort = new AbortController()
  let signal: NodeJS.Signals | undefined
  const onSignal = (name: NodeJS.Signals): void => {
    signal = name
    abort.abort()
  }
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  for (const name of signals) process.on(name, onSignal)
  try {
    return await fetch({
      offline: offline || isSet(streams.env['GUESTMODE_OFFLINE']),
      progress: line.update,
      signal: abort.signal,
    })
  } catch (error) {
    if (signal !== undefined) throw new Interrupted(signal)
    throw error
  } finally {
    for (const name of signals) process.off(name, onSignal)
    line.clear()
  }
}

const isSet = (value: string | undefined): boolean => value !== undefined && value !== '' && value !== '0'

export function explainGuestError(error: unknown): unknown {
  return error instanceof GuestError ? new CliError(error.message.replaceAll(/\s*\n\s*/g, ' '), EXIT.noGuest, error) : error
}

/** There is no way to the registry from here, so that waiting or trying again is of no use now. */
export function isOutOfReach(error: unknown): error is GuestError {
  return error instanceof GuestError && (error.problem === 'no-network' || error.problem === 'offline')
}
