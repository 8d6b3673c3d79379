import type { VmEnd } from '@guestmode/devmodel'
import { EXIT } from '../exit-status.ts'

export interface Ending {
  status: number
  /** For stderr; undefined where there is nothing to say. */
  message: string | undefined
  facts?: Readonly<Record<string, string>>
}

/** `resetIsEnd`: the guest has no power-off, its reset is how it ends. */
export function endingOf(end: VmEnd, resetIsEnd: boolean): Ending {
  switch (end.kind) {
    case 'power-off':
      return { status: EXIT.powerOff, message: undefined }
    case 'quit':
      return { status: EXIT.powerOff, message: 'terminated' }
    case 'debug-exit':
      return { status: end.status, message: undefined }
    case 'reset':
      if (resetIsEnd) return { status: EXIT.powerOff, message: undefined }
      return { status: EXIT.reset, message: `the guest asked for a reset (${end.by})` }
    case 'triple-fault':
      return {
        status: EXIT.tripleFault,
        message:
          'the guest’s processor shut down: a triple fault, that is an exception whose handler could not be started, twice',
        facts: end.facts,
      }
    case 'internal-error':
      return { status: EXIT.internalError, message: `internal error: ${end.reason}`, facts: end.facts }
  }
}

/** Registers and the like, a few to a line. */
export function formatFacts(facts: Readonly<Record<string, string>>): string {
  const words = Object.entries(facts).map(([name, value]) => `${name}=${value}`)
  const lines: string[] = []
  for (const word of words) {
    const last = lines.at(-1)
    if (last !== undefined && last.length + word.length < 110) lines[lines.length - 1] = `${last} ${word}`
    else lines.push(`  ${word}`)
  }
  return lines.join('\n')
}
