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
import { Channel, LSB, MSB, WORD0, WORD1, blank, type I8254ChannelState } from './i8254-channel.ts'
import { unconnected, type Clock, type OutputLine, type TimedChip } from './pins.ts'
import { TickRate } from './tick-rate.ts'

const rate = new TickRate(1_193_182)

/**
 * Periods of channel 0 that are shorter than this (in ticks, 200 us) are merged, so that a guest cannot keep its owner busy with
 * interrupts alone.
 */
const MIN_PERIOD = 240

export interface I8254State {
  version: 1
  channels: I8254ChannelState[]
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
    if (tick === undefined) return undefined
    const { periodic, s } = this.#channel(0)
    return rate.nsAt(BigInt(periodic && s.count < MIN_PERIOD ? this.#seen + MIN_PERIOD : tick))
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

function toBcd(value: number): number {
  return (
    ((Math.floor(value / 1000) % 10) << 12) |
    ((Math.floor(value / 100) % 10) << 8) |
    ((Math.floor(value / 10) % 10) << 4) |
    (value % 10)
  )
}
