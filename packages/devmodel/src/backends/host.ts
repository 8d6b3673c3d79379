/** What the machine needs of its host, so that neutral code stays reproducible. */

/** Monotonic nanoseconds: the same clock that the engine was given. */
export interface MachineClock {
  now(): bigint
}

export interface HostLoop {
  /** Resolves after the host has served what waits for it: input, timers, messages. */
  turn(): Promise<void>
  /** Calls back after so many nanoseconds of the machine's clock; the result cancels. */
  after(ns: bigint, callback: () => void): () => void
}

export interface Host {
  clock: MachineClock
  loop: HostLoop
  /** Fills with random bytes. */
  random(bytes: Uint8Array): void
  /** Wall-clock seconds since 1970, with their fraction. */
  unixTime(): number
  log(message: string): void
}
