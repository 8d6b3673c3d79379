import type { VmEnd } from '@guestmode/devmodel'

/** How a machine ended, in words; `bad` where that was not the guest's will. */
export function endingOf(end: VmEnd, resetIsEnd: boolean): { text: string; bad: boolean } {
  switch (end.kind) {
    case 'power-off':
      return { text: 'The guest has powered off.', bad: false }
    case 'reset':
      return { text: resetIsEnd ? 'The guest has ended.' : `The guest asked for a reset (${end.by}).`, bad: false }
    case 'quit':
      return { text: 'Stopped.', bad: false }
    case 'debug-exit':
      return { text: `The guest has ended with status ${end.status}.`, bad: false }
    case 'triple-fault':
      return { text: 'The guest’s processor shut down: a triple fault.', bad: true }
    case 'internal-error':
      return { text: `The engine cannot go on: ${end.reason}.`, bad: true }
  }
}
