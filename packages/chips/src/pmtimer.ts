/**
 * ACPI fixed hardware: PM timer, PM1 event and control registers, as in the PIIX4's power management block.
 *
 * Emulated: the 24-bit timer with its carry status, power and sleep buttons, SCI, sleep requests, enabling by SMI command.
 * Not emulated: global and bus-master status, general-purpose events (the board has none), wake-up from sleep.
 *
 * [ACPI 6.5 4.8.3 "Fixed Hardware Features"] [82371AB (PIIX4) 290562, "Power Management Registers"]
 */
import { unconnected, type Clock, type OutputLine, type TimedChip } from './pins.ts'
import { TickRate } from './tick-rate.ts'

export const PM_TIMER_HZ = 3_579_545
const rate = new TickRate(PM_TIMER_HZ)

export const PM1_TIMER = 1 << 0
export const PM1_POWER_BUTTON = 1 << 8
export const PM1_SLEEP_BUTTON = 1 << 9
export const PM1_RTC = 1 << 10
const PM1_STATUS_BITS = PM1_TIMER | (1 << 4) | (1 << 5) | PM1_POWER_BUTTON | PM1_SLEEP_BUTTON | PM1_RTC | (1 << 15)
const PM1_ENABLE_BITS = PM1_TIMER | (1 << 5) | PM1_POWER_BUTTON | PM1_SLEEP_BUTTON | PM1_RTC

const SCI_ENABLE = 1
const SLEEP_ENABLE = 1 << 13

export interface AcpiPmState {
  version: 1
  status: number
  enable: number
  control: number
  /** Timer ticks at the time of saving. */
  ticks: bigint
}

export interface AcpiPmOptions {
  clock: Clock
  sci?: OutputLine
  /** SLP_EN was written with this SLP_TYP. */
  sleep: (type: number) => void
}

export class AcpiPm implements TimedChip {
  readonly #o: AcpiPmOptions
  readonly #sci: OutputLine
  #level = false
  #status = 0
  #enable = 0
  #control = 0
  #base: bigint
  #seen = 0n

  constructor(options: AcpiPmOptions) {
    this.#o = options
    this.#sci = options.sci ?? unconnected
    this.#base = rate.ticksAt(options.clock.now())
  }

  reset(): void {
    this.#status = this.#enable = this.#control = 0
    this.#update()
  }

  /** SMI_CMD's ACPI_ENABLE and ACPI_DISABLE. */
  setAcpiMode(on: boolean): void {
    this.#control = on ? this.#control | SCI_ENABLE : this.#control & ~SCI_ENABLE
    this.#update()
  }

  /** An event of the fixed hardware, such as `PM1_POWER_BUTTON`. */
  raise(bit: number): void {
    this.#status |= bit
    this.#update()
  }

  readStatus(): number {
    this.advance(this.#o.clock.now())
    return this.#status
  }

  /** Writing a one clears. */
  writeStatus(value: number): void {
    this.advance(this.#o.clock.now())
    this.#status &= ~(value & PM1_STATUS_BITS)
    this.#update()
  }

  readEnable(): number {
    return this.#enable
  }

  writeEnable(value: number): void {
    this.advance(this.#o.clock.now())
    this.#enable = value & PM1_ENABLE_BITS
    this.#update()
  }

  readControl(): number {
    return this.#control
  }

  writeControl(value: number): void {
    // SLP_EN and GBL_RLS are write-only.
    this.#control = value & 0x1c03
    this.#update()
    if (value & SLEEP_ENABLE) this.#o.sleep((value >> 10) & 7)
  }

  readTimer(): number {
    return Number(this.#ticks(this.#o.clock.now()) & 0xff_ffffn)
  }

  nextEvent(): bigint | undefined {
    if (!(this.#enable & PM1_TIMER) || this.#status & PM1_TIMER) return undefined
    return rate.nsAt(this.#base + ((this.#seen >> 23n) + 1n) * (1n << 23n))
  }

  advance(now: bigint): void {
    const ticks = this.#ticks(now)
    // The status bit is set whenever bit 23 changes. [ACPI 6.5 4.8.3.3 "Power Management Timer (PM_TMR)"]
    const carry = ticks >> 23n !== this.#seen >> 23n
    this.#seen = ticks
    if (carry) this.raise(PM1_TIMER)
  }

  save(): AcpiPmState {
    return {
      version: 1,
      status: this.#status,
      enable: this.#enable,
      control: this.#control,
      ticks: this.#ticks(this.#o.clock.now()),
    }
  }

  load(state: AcpiPmState): void {
    this.#status = state.status
    this.#enable = state.enable
    this.#control = state.control
    this.#seen = state.ticks
    this.#base = rate.ticksAt(this.#o.clock.now()) - state.ticks
    this.#update()
  }

  #ticks(now: bigint): bigint {
    return rate.ticksAt(now) - this.#base
  }

  #update(): void {
    const level = (this.#control & SCI_ENABLE) !== 0 && (this.#status & this.#enable) !== 0
    if (level === this.#level) return
    this.#level = level
    this.#sci(level)
  }
}
