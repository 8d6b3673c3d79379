/**
 * Intel 8254 programmable interval timer at the PC's 1.193182 MHz.
 *
 * Emulated: three channels, modes 0-5, binary and BCD, counter latch, read-back with status, gates, null count, the new count of
 * modes 2 and 3 taking effect at the end of the period.
 * Not emulated: the one-clock delay between writing a count and loading it.
 * OUT0 is an output line. Rising edges that the owner was too late for are delivered as one and counted in `missedTicks`.
 *
 * [Intel 8254 datasheet 231164]
 */
import { unconnected, type Clock, type OutputLine, type TimedChip } from './pins.ts'
import { TickRate } from './tick-rate.ts'

const rate = new TickRate(1_193_182)

/** States of the byte sequencers, and RW field of the control word (numbered as Linux's `struct kvm_pit_channel_state`). */
const LSB = 1
const MSB = 2
const WORD0 = 3
const WORD1 = 4

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

export interface I8254State {
  version: 1
  channels: I8254ChannelState[]
}

const blank: I8254ChannelState = {
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

class Channel {
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

  get #periodic(): boolean {
    return this.s.mode === 2 || this.s.mode === 3
  }

  /** Ticks since loading, after a pending count has been taken over. */
  elapsedAt(tick: number): number {
    const s = this.s
    if (!this.running) return -1
    if (this.#frozen) return s.elapsed
    if (s.pendingCount && this.#periodic && tick - this.#start >= s.count) {
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
    if (this.#periodic) return Math.floor(t / s.count)
    return t >= s.count + (s.mode === 4 || s.mode === 5 ? 1 : 0) ? 1 : 0
  }

  /** Tick of the next rising edge of OUT, or undefined. */
  nextRise(tick: number): number | undefined {
    const t = this.elapsedAt(tick)
    if (t < 0 || this.#frozen) return undefined
    const edges = this.risingEdges(t)
    if (this.#periodic) return this.#start + (edges + 1) * this.s.count
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
    if (this.#periodic && this.running && s.gate) {
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
    else if (this.running && this.#periodic) this.restart(tick)
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

export class I8254 implements TimedChip {
  /** Rising edges of OUT0 that were merged into a later one. The owner may read and clear it. */
  missedTicks = 0
  #channels = [new Channel(), new Channel(), new Channel()]
  #seen = 0
  readonly #clock: Clock
  readonly #out0: OutputLine

  constructor(options: { clock: Clock; out0?: OutputLine }) {
    this.#clock = options.clock
    this.#out0 = options.out0 ?? unconnected
    this.#seen = this.#tick()
  }

  reset(): void {
    for (const channel of this.#channels) channel.s = { ...blank }
    this.missedTicks = 0
  }

  /** Level of a channel's OUT pin. */
  output(index: number): boolean {
    return this.#channel(index).out(this.#tick())
  }

  setGate(index: number, level: boolean): void {
    this.advance(this.#clock.now())
    this.#channel(index).setGate(level, this.#seen)
  }

  /** Register 0..2 reads a counter; the control word register (3) cannot be read. */
  read(register: number): number {
    if (register > 2) return 0xff
    const channel = this.#channel(register)
    const s = channel.s
    if (s.statusLatched) {
      s.statusLatched = 0
      return s.status
    }
    if (s.countLatched) {
      const value = s.latchedCount
      if (s.countLatched === WORD0) {
        s.countLatched = MSB
        return value & 0xff
      }
      const byte = s.countLatched === LSB ? value & 0xff : value >> 8
      s.countLatched = 0
      return byte
    }
    const value = this.#visible(channel)
    switch (s.readState) {
      case LSB:
        return value & 0xff
      case MSB:
        return value >> 8
      case WORD0:
        s.readState = WORD1
        return value & 0xff
      default:
        s.readState = WORD0
        return value >> 8
    }
  }

  write(register: number, value: number): void {
    this.advance(this.#clock.now())
    if (register === 3) this.#control(value)
    else this.#writeCount(this.#channel(register), value, register)
  }

  nextEvent(): bigint | undefined {
    const tick = this.#channel(0).nextRise(this.#seen)
    return tick === undefined ? undefined : rate.nsAt(BigInt(tick))
  }

  advance(now: bigint): void {
    const tick = Number(rate.ticksAt(now))
    if (tick <= this.#seen) return
    const channel = this.#channel(0)
    let edges = 0
    // A count that is pending at the old period's end changes the period, so the edges are taken one period at a time around it.
    for (let next = channel.nextRise(this.#seen); next !== undefined && next <= tick; next = channel.nextRise(this.#seen)) {
      if (!channel.s.pendingCount) {
        edges += channel.risingEdges(channel.elapsedAt(tick)) - channel.risingEdges(channel.elapsedAt(this.#seen))
        break
      }
      edges++
      this.#seen = next
    }
    this.#seen = tick
    if (edges) {
      this.missedTicks += edges - 1
      this.#out0(false)
      this.#out0(true)
    }
    this.#out0(channel.out(tick))
  }

  save(): I8254State {
    this.advance(this.#clock.now())
    const tick = this.#tick()
    return { version: 1, channels: this.#channels.map((channel) => channel.save(tick)) }
  }

  load(state: I8254State): void {
    this.#seen = this.#tick()
    state.channels.forEach((channel, index) => this.#channel(index).restore(channel, this.#seen))
  }

  #channel(index: number): Channel {
    const channel = this.#channels[index]
    if (!channel) throw new RangeError(`an 8254 has no channel ${index}`)
    return channel
  }

  #tick(): number {
    return Number(rate.ticksAt(this.#clock.now()))
  }

  #visible(channel: Channel): number {
    const value = channel.counter(this.#tick())
    return channel.s.bcd ? toBcd(value) : value & 0xffff
  }

  #control(value: number): void {
    const select = value >> 6
    if (select === 3) {
      for (let i = 0; i < 3; i++) if (value & (2 << i)) this.#readBack(this.#channel(i), value)
      return
    }
    const channel = this.#channel(select)
    const access = (value >> 4) & 3
    if (access === 0) {
      this.#latchCount(channel)
      return
    }
    const s = channel.s
    s.rwMode = s.readState = s.writeState = access
    s.bcd = value & 1
    s.countLatched = s.statusLatched = 0
    // Modes 6 and 7 are 2 and 3: bit 2 of the mode is "don't care" there.
    const mode = (value >> 1) & 7
    channel.setMode(mode > 5 ? mode - 4 : mode)
    if (select === 0) this.#out0(channel.out(this.#tick()))
  }

  #readBack(channel: Channel, command: number): void {
    if (!(command & 0x20)) this.#latchCount(channel)
    if (command & 0x10 || channel.s.statusLatched) return
    const s = channel.s
    const out = channel.out(this.#tick()) ? 0x80 : 0
    const nullCount = s.pendingCount || (!channel.running && s.mode !== 1 && s.mode !== 5) ? 0x40 : 0
    s.status = out | nullCount | (s.rwMode << 4) | (s.mode << 1) | s.bcd
    s.statusLatched = 1
  }

  #latchCount(channel: Channel): void {
    if (channel.s.countLatched) return
    channel.s.latchedCount = this.#visible(channel)
    channel.s.countLatched = channel.s.rwMode
  }

  #writeCount(channel: Channel, value: number, index: number): void {
    const s = channel.s
    const tick = this.#seen
    switch (s.writeState) {
      case LSB:
        channel.load(value, tick)
        break
      case MSB:
        channel.load(value << 8, tick)
        break
      case WORD0:
        s.writeLatch = value
        s.writeState = WORD1
        channel.halt()
        break
      default:
        s.writeState = WORD0
        channel.load(s.writeLatch | (value << 8), tick)
    }
    if (index === 0) this.#out0(channel.out(tick))
  }
}

function fromBcd(value: number): number {
  return (value >> 12) * 1000 + ((value >> 8) & 15) * 100 + ((value >> 4) & 15) * 10 + (value & 15)
}

function toBcd(value: number): number {
  return (
    ((Math.floor(value / 1000) % 10) << 12) |
    ((Math.floor(value / 100) % 10) << 8) |
    ((Math.floor(value / 10) % 10) << 4) |
    (value % 10)
  )
}
