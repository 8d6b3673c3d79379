/** The local APIC's timer. [SDM3 11.5.4 "APIC Timer"] */
import { TIMER_ONE_SHOT, TIMER_PERIODIC } from './lapic-registers.ts'
import type { Clock } from './pins.ts'

/** The processor's time stamp counter, as far as TSC-deadline mode needs it. */
export interface TscConverter {
  /** The clock's time at which the guest's TSC reaches `tsc`. */
  nsAtTsc(tsc: bigint): bigint
}

/** Shortest period that is kept: a guest shall not keep its owner busy with interrupts alone (as KVM's min_timer_period_us). */
const MIN_PERIOD_NS = 200_000n

export class LapicTimer {
  initialCount = 0
  /** Nanoseconds per decrement: bus period times divide value. */
  #tickNs = 1n
  #deadline: bigint | undefined
  #tscDeadline = 0n
  readonly #clock: Clock
  readonly #tsc: TscConverter | undefined
  readonly #busPeriodNs: bigint

  constructor(options: { clock: Clock; busPeriodNs: bigint; tsc?: TscConverter }) {
    this.#clock = options.clock
    this.#tsc = options.tsc
    this.#busPeriodNs = options.busPeriodNs
    this.setDivide(0)
  }

  get deadline(): bigint | undefined {
    return this.#deadline
  }

  get tscDeadline(): bigint {
    return this.#tscDeadline
  }

  reset(): void {
    this.initialCount = 0
    this.#tscDeadline = 0n
    this.#deadline = undefined
    this.setDivide(0)
  }

  stop(): void {
    this.#deadline = undefined
    this.#tscDeadline = 0n
    this.initialCount = 0
  }

  /**
   * Divide configuration: bits 0, 1 and 3 hold log2(divisor) - 1, and 7 means 1. [SDM3 Figure 11-10 "Divide Configuration
   * Register"]
   */
  setDivide(dcr: number): void {
    const remaining = this.currentCount()
    const code = (dcr & 3) | ((dcr >> 1) & 4)
    this.#tickNs = this.#busPeriodNs << BigInt(code === 7 ? 0 : code + 1)
    if (this.#deadline !== undefined && !this.#tscDeadline) this.#deadline = this.#clock.now() + BigInt(remaining) * this.#tickNs
  }

  /** A write of the initial count starts the timer; zero stops it. `current` resumes a saved count. */
  start(count: number, current = count): void {
    this.initialCount = count
    this.#tscDeadline = 0n
    this.#deadline = count ? this.#clock.now() + BigInt(current) * this.#tickNs : undefined
  }

  /** IA32_TSC_DEADLINE; zero disarms. */
  armTsc(tsc: bigint): void {
    this.#tscDeadline = tsc
    this.#deadline = tsc && this.#tsc ? this.#tsc.nsAtTsc(tsc) : undefined
  }

  currentCount(): number {
    if (this.#deadline === undefined || this.#tscDeadline || !this.initialCount) return 0
    const left = this.#deadline - this.#clock.now()
    return left <= 0n ? 0 : Math.min(Number((left + this.#tickNs - 1n) / this.#tickNs), this.initialCount)
  }

  /** True when the timer has expired by `now`. A periodic timer that is several periods late expires once. */
  expire(now: bigint, mode: number): boolean {
    if (this.#deadline === undefined || now < this.#deadline) return false
    if (mode === TIMER_PERIODIC) {
      const count = BigInt(this.initialCount) * this.#tickNs
      const period = count > MIN_PERIOD_NS ? count : MIN_PERIOD_NS
      this.#deadline += period * ((now - this.#deadline) / period + 1n)
    } else {
      this.#deadline = undefined
      if (mode !== TIMER_ONE_SHOT) this.#tscDeadline = 0n
    }
    return true
  }
}
