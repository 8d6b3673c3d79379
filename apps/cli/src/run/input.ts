import { EscapeKeys, type Key } from '../terminal/escape.ts'

/** So much may wait for the guest before the sender has to. */
const LIMIT = 1 << 16

export interface InputHandlers {
  bytes(bytes: Uint8Array): void
  quit(): void
  help(): void
}

/** Standard input on its way to the guest. Its end is no event for the machine, as an unplugged cable is none. */
export class Input {
  readonly #stdin: NodeJS.ReadStream
  readonly #keys: EscapeKeys | undefined
  readonly #handlers: InputHandlers
  #waiting = 0

  constructor(stdin: NodeJS.ReadStream, handlers: InputHandlers) {
    this.#stdin = stdin
    this.#keys = stdin.isTTY ? new EscapeKeys() : undefined
    this.#handlers = handlers
    stdin.on('data', this.#onData)
    // A terminal that has gone sends SIGHUP as well.
    stdin.on('error', this.#onError)
  }

  taken(count: number): void {
    this.#waiting -= count
    if (this.#waiting < LIMIT && this.#stdin.isPaused()) this.#stdin.resume()
  }

  close(): void {
    this.#stdin.off('data', this.#onData)
    this.#stdin.pause()
  }

  readonly #onError = (): void => {}

  readonly #onData = (data: Buffer): void => {
    const keys: Key[] = this.#keys?.read(data) ?? [{ kind: 'bytes', bytes: Uint8Array.from(data) }]
    for (const key of keys) {
      if (key.kind === 'quit') this.#handlers.quit()
      else if (key.kind === 'help') this.#handlers.help()
      else {
        this.#waiting += key.bytes.length
        this.#handlers.bytes(key.bytes)
      }
    }
    // A terminal is never held up: its Ctrl-A X must arrive.
    if (this.#waiting >= LIMIT && !this.#stdin.isTTY) this.#stdin.pause()
  }
}
