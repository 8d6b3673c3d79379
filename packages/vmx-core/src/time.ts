import type { VirtualizingProcessor } from './machine.ts'

/** Guest instructions between two looks at the clock: about a millisecond. */
const SLICE = 50_000
const SHORTEST_SLICE = 200

/** The engine's clock, and how many guest instructions fit before a time on it. */
export interface Timebase {
  /** Nanoseconds. */
  now(): bigint
  /** Instructions that a guest may run from `now`, which is before `deadline`. */
  slice(now: bigint, deadline: bigint | undefined): number
  /** The guest has exited; `complete`: its whole slice has run. */
  exited(complete: boolean): void
  /** Time that passes at the hypervisor's will: a halted processor's sleep takes no real time. */
  readonly skipTo: ((time: bigint) => void) | undefined
  attach(processor: VirtualizingProcessor): void
}

/** Real time. The guest's speed is measured, so that slices end near the deadline. */
export class HostTime implements Timebase {
  readonly skipTo = undefined
  readonly #clock: { now(): bigint }
  #instructionsPerNs = 0.05
  #entered = 0n
  #slice = 0
  #complete = false

  constructor(clock: { now(): bigint }) {
    this.#clock = clock
  }

  now(): bigint {
    return this.#clock.now()
  }

  slice(now: bigint, deadline: bigint | undefined): number {
    if (this.#complete) {
      const ns = Number(now - this.#entered)
      if (ns > 0) this.#instructionsPerNs += (this.#slice / ns - this.#instructionsPerNs) / 4
    }
    this.#complete = false
    this.#entered = now
    const fitting = deadline === undefined ? SLICE : Number(deadline - now) * this.#instructionsPerNs
    this.#slice = Math.trunc(Math.min(SLICE, Math.max(SHORTEST_SLICE, fitting)))
    return this.#slice
  }

  exited(complete: boolean): void {
    this.#complete = complete
  }

  attach(): void {}
}

/** What a VM exit costs in virtual time: a guest that polls a port would stand still otherwise, since its instruction never retires. */
const INSTRUCTIONS_PER_EXIT = 100

/** Time made of retired instructions: the same program takes the same time in every run. */
export class VirtualTime implements Timebase {
  readonly #nsPerThousand: bigint
  readonly #processors: VirtualizingProcessor[] = []
  #exits = 0
  #skipped = 0n

  constructor(instructionsPerMicrosecond: number) {
    this.#nsPerThousand = BigInt(Math.round(1_000_000 / instructionsPerMicrosecond))
  }

  attach(processor: VirtualizingProcessor): void {
    this.#processors.push(processor)
  }

  now(): bigint {
    let instructions = BigInt(this.#exits) * BigInt(INSTRUCTIONS_PER_EXIT)
    for (const processor of this.#processors) instructions += processor.instructionsRetired
    return this.#skipped + (instructions * this.#nsPerThousand) / 1000n
  }

  slice(now: bigint, deadline: bigint | undefined): number {
    if (deadline === undefined) return SLICE
    const instructions = Number(((deadline - now) * 1000n + this.#nsPerThousand - 1n) / this.#nsPerThousand)
    return Math.min(SLICE, Math.max(1, instructions))
  }

  exited(complete: boolean): void {
    if (!complete) this.#exits++
  }

  readonly skipTo = (time: bigint): void => {
    const now = this.now()
    if (time > now) this.#skipped += time - now
  }
}
