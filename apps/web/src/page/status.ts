import type { SessionStats } from '@guestmode/session'

/** From counters that only grow to what happens each second. */
export class Rates {
  #before: SessionStats | undefined

  next(stats: SessionStats): { exits: number; mips: number | undefined } {
    const before = this.#before
    this.#before = stats
    const seconds = Number(stats.time - (before?.time ?? 0n)) / 1e9
    const rate = (name: string): number | undefined => {
      const now = stats.vcpu[name]
      return now === undefined || seconds <= 0 ? undefined : Math.max(0, now - (before?.vcpu[name] ?? 0)) / seconds
    }
    const instructions = rate('instructions')
    return { exits: rate('exits') ?? 0, mips: instructions === undefined ? undefined : instructions / 1e6 }
  }

  reset(): void {
    this.#before = undefined
  }
}

export function formatUptime(ns: bigint): string {
  const seconds = Number(ns / 1_000_000_000n)
  const two = (value: number): string => String(value).padStart(2, '0')
  return `${Math.floor(seconds / 60)}:${two(seconds % 60)}`
}
