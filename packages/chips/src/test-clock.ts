import type { Clock, TimedChip } from './pins.ts'

/** A clock that tests turn by hand; it wakes chips at their deadlines as an owner would. */
export class TestClock implements Clock {
  #now = 1_000_000_007n

  now(): bigint {
    return this.#now
  }

  advance(ns: bigint, ...chips: TimedChip[]): void {
    const end = this.#now + ns
    for (;;) {
      const next = chips.flatMap((chip) => chip.nextEvent() ?? []).reduce<bigint>((a, b) => (b < a ? b : a), end + 1n)
      if (next > end) break
      this.#now = next > this.#now ? next : this.#now
      for (const chip of chips) chip.advance(this.#now)
    }
    this.#now = end
    for (const chip of chips) chip.advance(end)
  }
}
