const NS_PER_SECOND = 1_000_000_000n

/** Converts between nanoseconds and the ticks of an oscillator without drift: integers only. */
export class TickRate {
  readonly hz: bigint

  constructor(hz: number) {
    this.hz = BigInt(hz)
  }

  /** Whole ticks completed at `ns`. */
  ticksAt(ns: bigint): bigint {
    return (ns * this.hz) / NS_PER_SECOND
  }

  /** The earliest time at which `ticksAt` yields `ticks`. */
  nsAt(ticks: bigint): bigint {
    return (ticks * NS_PER_SECOND + this.hz - 1n) / this.hz
  }
}
