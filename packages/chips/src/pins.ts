/** An output pin: called with the new level whenever it changes. */
export type OutputLine = (level: boolean) => void

/** Monotonic time in nanoseconds, supplied by the owner of a chip. */
export interface Clock {
  now(): bigint
}

/** A chip that does something by itself at a known time. It never schedules: its owner asks and drives. */
export interface TimedChip {
  /** When `advance` must be called next, in the clock's nanoseconds; undefined while nothing is due. */
  nextEvent(): bigint | undefined
  /** Lets everything happen that is due at `now`. */
  advance(now: bigint): void
}

export const unconnected: OutputLine = () => undefined
