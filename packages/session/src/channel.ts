import type { CharBackend } from '@guestmode/devmodel'
import type { SessionEvent } from './messages.ts'
import type { ScreenSize } from './spec.ts'

/** One stream between a device and the other end of the session's port. Input that the device has no room for waits here. */
export class Channel {
  readonly id: number
  size: ScreenSize | undefined
  readonly #send: (event: SessionEvent) => void
  readonly #waiting: Uint8Array[] = []
  #backend: CharBackend | undefined

  constructor(id: number, size: ScreenSize | undefined, send: (event: SessionEvent) => void) {
    this.id = id
    this.size = size
    this.#send = send
  }

  /** A backend for a new machine; the one of the machine before is let go. */
  connect(): CharBackend {
    const backend: CharBackend = {
      write: (bytes) => {
        if (bytes.length) this.#send({ type: 'output', channel: this.id, bytes })
      },
      resume: () => this.#deliver(),
    }
    if (this.size) backend.size = { ...this.size }
    this.#backend = backend
    return backend
  }

  input(bytes: Uint8Array): void {
    if (!bytes.length) return
    this.#waiting.push(bytes)
    this.#deliver()
  }

  resize(size: ScreenSize): void {
    this.size = size
    if (!this.#backend?.size) return
    this.#backend.size = { ...size }
    this.#backend.onResize?.()
  }

  #delivering = false
  #deliver(): void {
    // A device may report room while it takes bytes.
    if (this.#delivering) return
    this.#delivering = true
    let count = 0
    for (let bytes = this.#waiting[0]; bytes; bytes = this.#waiting[0]) {
      const taken = this.#backend?.onReceive?.(bytes) ?? 0
      count += taken
      if (taken === bytes.length) this.#waiting.shift()
      else {
        this.#waiting[0] = bytes.subarray(taken)
        break
      }
    }
    this.#delivering = false
    if (count) this.#send({ type: 'taken', channel: this.id, count })
  }
}
