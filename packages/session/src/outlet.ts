import { TRACE_EVENT_WEIGHT, type SessionEvent } from './messages.ts'

/** So much may be on its way before the guest has to wait: a reader that is slow, or has stopped reading, shall not fill the memory. */
const LIMIT = 1 << 18

/** The way out of a session, which knows how much of what went out has not been dealt with. */
export class Outlet {
  readonly #send: (event: SessionEvent) => void
  #underway = 0
  #closed = false
  #wake: (() => void) | undefined

  constructor(send: (event: SessionEvent) => void) {
    this.#send = send
  }

  readonly send = (event: SessionEvent): void => {
    if (event.type === 'output') this.#underway += event.bytes.length
    else if (event.type === 'trace') this.#underway += event.events.length * TRACE_EVENT_WEIGHT
    this.#send(event)
  }

  drained(amount: number): void {
    this.#underway -= amount
    if (this.#underway <= LIMIT) this.#release()
  }

  /** Nobody waits any more. */
  close(): void {
    this.#closed = true
    this.#release()
  }

  /** Resolves at once, or when there is room again. */
  async room(): Promise<void> {
    if (this.#closed || this.#underway <= LIMIT) return
    await new Promise<void>((resolve) => (this.#wake = resolve))
  }

  #release(): void {
    this.#wake?.()
    this.#wake = undefined
  }
}
