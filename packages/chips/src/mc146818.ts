/**
 * Motorola MC146818 real-time clock with 128 bytes, as in a PC.
 *
 * Emulated: time and calendar in BCD or binary, 12 or 24 hours, setting the time, alarm with wild cards, update-ended, periodic
 * interrupt, update in progress, NVRAM, century byte at 32h.
 * Not emulated: daylight saving, square wave output, divider chain reset timing.
 *
 * [Motorola MC146818 datasheet]
 */
import { unconnected, type Clock, type OutputLine, type TimedChip } from './pins.ts'
import { TickRate } from './tick-rate.ts'

const RTC_A = 0x0a
const RTC_B = 0x0b
const RTC_C = 0x0c
const RTC_D = 0x0d
export const RTC_CENTURY = 0x32

const A_UPDATE_IN_PROGRESS = 0x80
const B_SET = 0x80
const B_PERIODIC = 0x40
const B_ALARM = 0x20
const B_UPDATE = 0x10
const B_BINARY = 0x04
const B_24_HOURS = 0x02
const C_IRQ = 0x80
const D_VALID = 0x80

const oscillator = new TickRate(32_768)
const NS_PER_SECOND = 1e9
/** UIP rises this long before the update. [MC146818 "Update Cycle"] */
const UPDATE_LEAD = 244e-6

export interface Mc146818State {
  version: 1
  index: number
  ram: number[]
  /** Seconds that the guest's time is ahead of the host's. */
  offset: number
  /** The guest's time while SET stops it. */
  stopped: number
}

export interface Mc146818Options {
  clock: Clock
  /** Wall-clock time in seconds since 1970, with its fraction. */
  unixTime: () => number
  irq?: OutputLine
}

export class Mc146818 implements TimedChip {
  /** The register that the data port reaches. */
  index = 0
  readonly #ram = new Uint8Array(128)
  readonly #o: Mc146818Options
  readonly #irq: OutputLine
  #level = false
  #offset = 0
  #stopped = 0
  #lastSecond: number
  #lastPeriod = 0n

  constructor(options: Mc146818Options) {
    this.#o = options
    this.#irq = options.irq ?? unconnected
    this.#ram[RTC_A] = 0x26
    this.#ram[RTC_B] = B_24_HOURS
    this.#lastSecond = Math.floor(this.#time())
  }

  /** RESET# clears the interrupt enables and flags; the time and NVRAM live on the battery. */
  reset(): void {
    this.#ram[RTC_B] = this.#register(RTC_B) & ~(B_PERIODIC | B_ALARM | B_UPDATE)
    this.#ram[RTC_C] = 0
    this.#update()
  }

  read(): number {
    const index = this.index & 0x7f
    if (isTime(index)) {
      this.#showTime()
      return this.#register(index)
    }
    switch (index) {
      case RTC_A:
        return (this.#register(RTC_A) & 0x7f) | (this.#updating() ? A_UPDATE_IN_PROGRESS : 0)
      case RTC_C: {
        this.advance(this.#o.clock.now())
        const flags = this.#register(RTC_C)
        this.#ram[RTC_C] = 0
        this.#update()
        return flags
      }
      case RTC_D:
        return D_VALID
      default:
        return this.#register(index)
    }
  }

  write(value: number): void {
    const index = this.index & 0x7f
    if (isTime(index)) this.#writeTime(index, value)
    else if (index === RTC_A) {
      this.advance(this.#o.clock.now())
      this.#ram[RTC_A] = value & 0x7f
      this.#lastPeriod = this.#periods(this.#o.clock.now())
    } else if (index === RTC_B) this.#writeB(value)
    else if (index !== RTC_C && index !== RTC_D) this.#ram[index] = value
  }

  /** NVRAM as firmware fills it. */
  poke(index: number, value: number): void {
    this.#ram[index & 0x7f] = value
  }

  nextEvent(): bigint | undefined {
    const b = this.#register(RTC_B)
    const now = this.#o.clock.now()
    let next: bigint | undefined
    if (b & B_PERIODIC && this.#periodTicks) next = oscillator.nsAt((this.#periods(now) + 1n) * this.#periodTicks)
    if (b & (B_UPDATE | B_ALARM) && !(b & B_SET)) {
      const time = this.#time()
      const second = now + BigInt(Math.ceil((Math.floor(time) + 1 - time) * NS_PER_SECOND))
      if (next === undefined || second < next) next = second
    }
    return next
  }

  advance(now: bigint): void {
    let flags = 0
    const periods = this.#periods(now)
    if (periods !== this.#lastPeriod) {
      this.#lastPeriod = periods
      flags |= B_PERIODIC
    }
    const second = Math.floor(this.#time())
    if (second !== this.#lastSecond && !(this.#register(RTC_B) & B_SET)) {
      flags |= B_UPDATE
      // A late owner may have skipped seconds; an alarm in them still counts, within reason.
      for (let t = Math.max(this.#lastSecond + 1, second - 120); t <= second; t++) if (this.#alarmMatches(t)) flags |= B_ALARM
      this.#lastSecond = second
    }
    if (flags) {
      this.#ram[RTC_C] = this.#register(RTC_C) | flags
      this.#update()
    }
  }

  save(): Mc146818State {
    return { version: 1, index: this.index, ram: [...this.#ram], offset: this.#offset, stopped: this.#stopped }
  }

  load(state: Mc146818State): void {
    this.index = state.index
    this.#ram.set(state.ram)
    this.#offset = state.offset
    this.#stopped = state.stopped
    this.#lastSecond = Math.floor(this.#time())
    this.#lastPeriod = this.#periods(this.#o.clock.now())
    this.#update()
  }

  #register(index: number): number {
    return this.#ram[index] ?? 0
  }

  #time(): number {
    return this.#register(RTC_B) & B_SET ? this.#stopped : this.#o.unixTime() + this.#offset
  }

  #updating(): boolean {
    if (this.#register(RTC_B) & B_SET) return false
    const time = this.#time()
    return time - Math.floor(time) > 1 - UPDATE_LEAD
  }

  /** Period of the interrupt in ticks of 32,768 Hz; rates 1 and 2 are as 8 and 9. [MC146818 Table 5 "Periodic Interrupt Rate"] */
  get #periodTicks(): bigint {
    const rate = this.#register(RTC_A) & 15
    return rate === 0 ? 0n : 1n << BigInt(rate <= 2 ? rate + 6 : rate - 1)
  }

  #periods(now: bigint): bigint {
    const ticks = this.#periodTicks
    return ticks ? oscillator.ticksAt(now) / ticks : 0n
  }

  #writeB(value: number): void {
    this.advance(this.#o.clock.now())
    const before = this.#register(RTC_B)
    if (value & B_SET && !(before & B_SET)) {
      this.#showTime()
      this.#stopped = Math.floor(this.#time())
      value &= ~B_UPDATE
    }
    this.#ram[RTC_B] = value
    if (!(value & B_SET) && before & B_SET) {
      this.#offset = this.#stopped - Math.floor(this.#o.unixTime())
      this.#lastSecond = Math.floor(this.#time())
    }
    this.#update()
  }

  #writeTime(index: number, value: number): void {
    const stopped = (this.#register(RTC_B) & B_SET) !== 0
    if (!stopped) this.#showTime()
    this.#ram[index] = value
    const time = this.#shownTime()
    if (stopped) this.#stopped = time
    else this.#offset = time - Math.floor(this.#o.unixTime())
    this.#lastSecond = time
  }

  #showTime(): void {
    if (this.#register(RTC_B) & B_SET) return
    const date = new Date(Math.floor(this.#time()) * 1000)
    this.#ram[0] = this.#encode(date.getUTCSeconds())
    this.#ram[2] = this.#encode(date.getUTCMinutes())
    this.#ram[4] = this.#encodeHour(date.getUTCHours())
    this.#ram[6] = this.#encode(date.getUTCDay() + 1)
    this.#ram[7] = this.#encode(date.getUTCDate())
    this.#ram[8] = this.#encode(date.getUTCMonth() + 1)
    this.#ram[9] = this.#encode(date.getUTCFullYear() % 100)
    this.#ram[RTC_CENTURY] = this.#encode(Math.floor(date.getUTCFullYear() / 100))
  }

  /** What the time registers say, in seconds since 1970. */
  #shownTime(): number {
    const get = (index: number): number => this.#decode(this.#register(index))
    const year = get(RTC_CENTURY) * 100 + get(9)
    return Date.UTC(year, get(8) - 1, get(7), this.#decodeHour(this.#register(4)), get(2), get(0)) / 1000
  }

  #alarmMatches(time: number): boolean {
    const date = new Date(time * 1000)
    const now = [this.#encode(date.getUTCSeconds()), this.#encode(date.getUTCMinutes()), this.#encodeHour(date.getUTCHours())]
    // An alarm byte of C0h..FFh matches anything.
    return now.every((value, i) => this.#register(2 * i + 1) >= 0xc0 || this.#register(2 * i + 1) === value)
  }

  #encode(value: number): number {
    return this.#register(RTC_B) & B_BINARY ? value : (Math.floor(value / 10) << 4) | (value % 10)
  }

  #decode(value: number): number {
    return this.#register(RTC_B) & B_BINARY ? value : (value >> 4) * 10 + (value & 15)
  }

  #encodeHour(hour: number): number {
    if (this.#register(RTC_B) & B_24_HOURS) return this.#encode(hour)
    return this.#encode(hour % 12 || 12) | (hour >= 12 ? 0x80 : 0)
  }

  #decodeHour(value: number): number {
    if (this.#register(RTC_B) & B_24_HOURS) return this.#decode(value)
    return (this.#decode(value & 0x7f) % 12) + (value & 0x80 ? 12 : 0)
  }

  #update(): void {
    const raised = this.#register(RTC_C) & this.#register(RTC_B) & (B_PERIODIC | B_ALARM | B_UPDATE)
    this.#ram[RTC_C] = (this.#register(RTC_C) & ~C_IRQ) | (raised ? C_IRQ : 0)
    if ((raised !== 0) === this.#level) return
    this.#level = raised !== 0
    this.#irq(this.#level)
  }
}

function isTime(index: number): boolean {
  return (index < 10 && (index > 5 || index % 2 === 0)) || index === RTC_CENTURY
}
