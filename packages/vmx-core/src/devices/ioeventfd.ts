import type { Counter } from './eventfd.ts'

export interface IoEvent {
  readonly address: number
  /** 0: any length. */
  readonly length: number
  readonly datamatch: bigint | undefined
  readonly event: Counter
}

/** KVM_IOEVENTFD: guest writes that signal an eventfd instead of leaving KVM_RUN. One list for ports, one for memory. */
export class IoEvents {
  readonly #events: IoEvent[] = []

  get isEmpty(): boolean {
    return this.#events.length === 0
  }

  /** False when an event for the same writes is there. */
  add(event: IoEvent): boolean {
    const clashes = (other: IoEvent) =>
      other.address === event.address &&
      (other.length === event.length || other.length === 0 || event.length === 0) &&
      (other.datamatch === undefined || event.datamatch === undefined || other.datamatch === event.datamatch)
    if (this.#events.some(clashes)) return false
    this.#events.push(event)
    return true
  }

  remove(event: IoEvent): boolean {
    const index = this.#events.findIndex(
      (other) =>
        other.event === event.event &&
        other.address === event.address &&
        other.length === event.length &&
        other.datamatch === event.datamatch,
    )
    if (index >= 0) this.#events.splice(index, 1)
    return index >= 0
  }

  /** True when the write was one of them. */
  write(address: number, length: number, value: bigint): boolean {
    for (const { address: at, length: wanted, datamatch, event } of this.#events) {
      if (at !== address || (wanted !== 0 && wanted !== length) || (datamatch !== undefined && datamatch !== value)) continue
      event.signal()
      return true
    }
    return false
  }
}
