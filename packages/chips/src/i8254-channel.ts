/** One channel of an 8254: what its counter and OUT pin are at a given tick. [Intel 8254 datasheet 231164, "Mode Definitions"] */

/** States of the byte sequencers, and RW field of the control word (numbered as Linux's `struct kvm_pit_channel_state`). */
export const LSB = 1
export const MSB = 2
export const WORD0 = 3
export const WORD1 = 4

/** The fields of Linux's `struct kvm_pit_channel_state`, with the time of loading kept relative. */
export interface I8254ChannelState {
  count: number
  latchedCount: number
  countLatched: number
  statusLatched: number
  status: number
  readState: number
  writeState: number
  writeLatch: number
  rwMode: number
  mode: number
  bcd: number
  gate: number
  /** Clock ticks since the count was loaded (or last triggered); -1 while the channel waits for a count or a trigger. */
  elapsed: number
  /** Count that replaces `count` at the end of the period; 0 for none. */
  pendingCount: number
  /** OUT of a channel that is not counting. */
  idleOut: number
}

export const blank: I8254ChannelState = {
  count: 0x10000,
  latchedCount: 0,
  countLatched: 0,
  statusLatched: 0,
  status: 0,
  readState: LSB,
  writeState: LSB,
  writeLatch: 0,
  rwMode: WORD0,
  mode: 3,
  bcd: 0,
  gate: 1,
  elapsed: -1,
  pendingCount: 0,
  idleOut: 1,
}

export class Channel {
  s: I8254ChannelState = { ...blank }
  /** Tick at which the present period of counting began; meaningful while running. */
  #start = 0

  get running(): boolean {
    return this.s.elapsed >= 0
  }

  /** Modes 1 and 5 are started by their gate; the others count only while it is high. */
  get #triggered(): boolean {
    return this.s.mode === 1 || this.s.mode === 5
  }

  get #frozen(): boolean {
    return !this.#triggered && !this.s.gate
  }

  get periodic(): boolean {
    return this.s.mode === 2 || this.s.mode === 3
  }

  /** Ticks since loading, after a pending count has been taken over. */
  elapsedAt(tick: number): number {
    const s = this.s
    if (!this.running) return -1
    if (this.#frozen) return s.elapsed
    if (s.pendingCount && this.periodic && tick - this.#start >= s.count) {
      this.#start += s.count
      s.count = s.pendingCount
      s.pendingCount = 0
    }
    return Math.max(tick - this.#start, 0)
  }

  out(tick: number): boolean {
    const s = this.s
    const t = this.elapsedAt(tick)
    if (t < 0) return s.idleOut !== 0
    switch (s.mode) {
      case 0:
      case 1:
        return t >= s.count
      case 2:
        return this.#frozen || t % s.count !== s.count - 1
      case 3:
        return this.#frozen || t % s.count < (s.count + 1) >> 1
      default:
        return t !== s.count
    }
  }

  /** Rising edges of OUT in (0, t] after loading. */
  risingEdges(t: number): number {
    const s = this.s
    if (t < 0) return 0
    if (this.periodic) return Math.floor(t / s.count)
    return t >= s.count + (s.mode === 4 || s.mode === 5 ? 1 : 0) ? 1 : 0
  }

  /** Tick of the next rising edge of OUT, or undefined. */
  nextRise(tick: number): number | undefined {
    const t = this.elapsedAt(tick)
    if (t < 0 || this.#frozen) return undefined
    const edges = this.risingEdges(t)
    if (this.periodic) return this.#start + (edges + 1) * this.s.count
    if (edges) return undefined
    return this.#start + this.s.count + (this.s.mode >= 4 ? 1 : 0)
  }

  /** The counting element as a program reads it (binary, before BCD conversion). */
  counter(tick: number): number {
    const s = this.s
    const t = this.elapsedAt(tick)
    if (t < 0) return s.count
    if (s.mode === 2) return s.count - (t % s.count)
    if (s.mode === 3) return s.count - ((2 * t) % s.count)
    const modulus = s.bcd ? 10000 : 0x10000
    return (((s.count - t) % modulus) + modulus) % modulus
  }

  load(value: number, tick: number): void {
    const s = this.s
    const count = value === 0 ? (s.bcd ? 10000 : 0x10000) : s.bcd ? fromBcd(value) : value
    if (this.periodic && this.running && s.gate) {
      this.elapsedAt(tick)
      s.pendingCount = count
      return
    }
    s.count = count
    s.pendingCount = 0
    // Modes 1 and 5 wait for a trigger; one that is already counting finishes with the new count as its next.
    if (!this.#triggered) this.restart(tick)
  }

  restart(tick: number): void {
    this.#start = tick
    this.s.elapsed = 0
  }

  setMode(mode: number): void {
    const s = this.s
    s.mode = mode
    s.elapsed = -1
    s.pendingCount = 0
    s.idleOut = mode === 0 ? 0 : 1
  }

  /** The first byte of a two-byte count stops mode 0. [8254 "MODE 0: INTERRUPT ON TERMINAL COUNT"] */
  halt(): void {
    if (this.s.mode === 0) {
      this.s.elapsed = -1
      this.s.idleOut = 0
    }
  }

  setGate(level: boolean, tick: number): void {
    const s = this.s
    if ((s.gate !== 0) === level) return
    const t = this.elapsedAt(tick)
    s.gate = level ? 1 : 0
    if (!level) {
      if (t >= 0) s.elapsed = t
      return
    }
    if (this.#triggered) this.restart(tick)
    else if (this.running && this.periodic) this.restart(tick)
    else if (this.running) this.#start = tick - s.elapsed
  }

  save(tick: number): I8254ChannelState {
    const elapsed = this.elapsedAt(tick)
    return { ...this.s, elapsed }
  }

  restore(state: I8254ChannelState, tick: number): void {
    this.s = { ...state }
    this.#start = tick - Math.max(state.elapsed, 0)
  }
}

function fromBcd(value: number): number {
  return (value >> 12) * 1000 + ((value >> 8) & 15) * 100 + ((value >> 4) & 15) * 10 + (value & 15)
}
