import type { ReadStream } from 'node:tty'

/** What guests leave switched on: colours, hidden cursor, application keys, bracketed paste, mouse reports. */
const SANE = '\x1b[0m\x1b[?25h\x1b[?1l\x1b>\x1b[?7h\x1b[?2004l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l'

export interface TerminalStreams {
  stdin: NodeJS.ReadStream
  stdout: NodeJS.WriteStream
}

/** The user's terminal, in raw mode while the machine runs; put back however that ends. */
export class Terminal {
  readonly #stdin: ReadStream
  readonly #stdout: NodeJS.WriteStream
  readonly #onExit = (): void => this.restore()
  readonly #onSuspend = (): void => {
    this.#stdin.setRawMode(false)
    process.kill(process.pid, 'SIGSTOP')
  }
  readonly #onContinue = (): void => void this.#stdin.setRawMode(true)
  #raw = false

  constructor(streams: TerminalStreams) {
    this.#stdin = streams.stdin
    this.#stdout = streams.stdout
  }

  enter(): void {
    this.#stdin.setRawMode(true)
    this.#raw = true
    process.on('exit', this.#onExit)
    process.on('SIGTSTP', this.#onSuspend)
    process.on('SIGCONT', this.#onContinue)
  }

  /** Idempotent and synchronous: it may run while the process dies. */
  restore(): void {
    if (!this.#raw) return
    this.#raw = false
    process.off('exit', this.#onExit)
    process.off('SIGTSTP', this.#onSuspend)
    process.off('SIGCONT', this.#onContinue)
    try {
      this.#stdin.setRawMode(false)
      if (this.#stdout.isTTY) this.#stdout.write(SANE)
    } catch {
      // The terminal is gone.
    }
  }
}
