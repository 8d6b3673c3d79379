import type { TimedChip } from '@guestmode/chips'

/**
 * The board's chips that act by themselves. Whoever changes one of them calls `touch`, so that the deadline is looked up anew.
 */
export class Timers {
  readonly #chips: TimedChip[] = []
  #next: bigint | undefined
  #stale = true

  add(chip: TimedChip): void {
    this.#chips.push(chip)
    this.#stale = true
  }

  touch(): void {
    this.#stale = true
  }

  get stale(): boolean {
    return this.#stale
  }

  next(): bigint | undefined {
    if (this.#stale) {
      this.#next = undefined
      for (const chip of this.#chips) {
        const at = chip.nextEvent()
        if (at !== undefined && (this.#next === undefined || at < this.#next)) this.#next = at
      }
      this.#stale = false
    }
    return this.#next
  }

  advance(now: bigint): void {
    const next = this.next()
    if (next === undefined || now < next) return
    for (const chip of this.#chips) chip.advance(now)
    this.#stale = true
  }
}
