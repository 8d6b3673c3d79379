/**
 * National NS16550AF UART.
 *
 * Emulated: receive and transmit FIFOs, all interrupt sources with their priorities, receive trigger levels, line and modem
 * status, loopback, divisor latch, scratch register, break.
 * Not emulated: the time that characters take. A byte leaves as it is written, so the transmitter is always empty; the character
 * timeout of the receive FIFO follows at once when the FIFO holds fewer bytes than its trigger level. DMA modes (RXRDY, TXRDY
 * pins), parity and framing errors.
 *
 * [National Semiconductor PC16550D datasheet]
 */
import { unconnected, type OutputLine } from './pins.ts'

const FIFO_SIZE = 16

const IER_RECEIVED = 0x01
const IER_THR_EMPTY = 0x02
const IER_LINE_STATUS = 0x04
const IER_MODEM_STATUS = 0x08

const LSR_DATA_READY = 0x01
const LSR_OVERRUN = 0x02
const LSR_BREAK = 0x10
const LSR_TRANSMITTER_EMPTY = 0x60
const LSR_FIFO_ERROR = 0x80

const LCR_DIVISOR_LATCH = 0x80

export const MCR_DTR = 0x01
export const MCR_RTS = 0x02
export const MCR_OUT1 = 0x04
export const MCR_OUT2 = 0x08
const MCR_LOOP = 0x10

export const MSR_CTS = 0x10
export const MSR_DSR = 0x20
export const MSR_RI = 0x40
export const MSR_DCD = 0x80

const TRIGGER_LEVELS = [1, 4, 8, 14] as const

export interface Ns16550State {
  version: 1
  ier: number
  fcr: number
  lcr: number
  mcr: number
  msr: number
  lines: number
  scratch: number
  divisor: number
  errors: number
  thrEmptyPending: boolean
  rx: number[]
}

export interface Ns16550Options {
  transmit: (byte: number) => void
  /** The INTRPT pin. A PC lets it reach the interrupt controller only while OUT2 is on. */
  irq?: OutputLine
  /** Modem control register changed. */
  modemControl?: (mcr: number) => void
  /** The receiver has room again after `receive` returned false. */
  ready?: () => void
}

export class Ns16550 {
  readonly #o: Ns16550Options
  readonly #output: OutputLine
  #s: Ns16550State = powerOn()
  #irq = false
  #refused = false

  constructor(options: Ns16550Options) {
    this.#o = options
    this.#output = options.irq ?? unconnected
  }

  reset(): void {
    this.#s = { ...powerOn(), lines: this.#s.lines, msr: this.#s.lines }
    this.#refused = false
    this.#update()
  }

  /** Bits per second that the divisor stands for, with the PC's 1.8432 MHz crystal. */
  get baud(): number {
    return Math.floor(115200 / (this.#s.divisor || 1))
  }

  get mcr(): number {
    return this.#s.mcr
  }

  /** A byte from the line; false when there is no room: `ready` tells when there is. */
  receive(byte: number): boolean {
    if (this.#s.mcr & MCR_LOOP || this.#s.rx.length >= this.#capacity) {
      this.#refused = true
      return false
    }
    this.#s.rx.push(byte & 0xff)
    this.#update()
    return true
  }

  receiveBreak(): void {
    if (this.#s.rx.length < this.#capacity) this.#s.rx.push(0)
    this.#s.errors |= LSR_BREAK
    this.#update()
  }

  /** Levels of CTS, DSR, RI and DCD as MSR bits. */
  setModemLines(lines: number): void {
    this.#s.lines = lines & 0xf0
    this.#updateModemStatus()
    this.#update()
  }

  read(register: number): number {
    const s = this.#s
    switch (register & 7) {
      case 0:
        return s.lcr & LCR_DIVISOR_LATCH ? s.divisor & 0xff : this.#readData()
      case 1:
        return s.lcr & LCR_DIVISOR_LATCH ? s.divisor >> 8 : s.ier
      case 2:
        return this.#readInterruptIdentification()
      case 3:
        return s.lcr
      case 4:
        return s.mcr
      case 5:
        return this.#readLineStatus()
      case 6: {
        const msr = s.msr
        s.msr &= 0xf0
        this.#update()
        return msr
      }
      default:
        return s.scratch
    }
  }

  write(register: number, value: number): void {
    const s = this.#s
    switch (register & 7) {
      case 0:
        if (s.lcr & LCR_DIVISOR_LATCH) s.divisor = (s.divisor & 0xff00) | value
        else this.#writeData(value)
        break
      case 1:
        if (s.lcr & LCR_DIVISOR_LATCH) s.divisor = (s.divisor & 0xff) | (value << 8)
        else {
          // Enabling the interrupt while the transmitter is empty raises it at once; drivers probe for it.
          if (value & IER_THR_EMPTY && !(s.ier & IER_THR_EMPTY)) s.thrEmptyPending = true
          s.ier = value & 0x0f
        }
        break
      case 2:
        this.#writeFifoControl(value)
        break
      case 3:
        s.lcr = value
        break
      case 4:
        s.mcr = value & 0x1f
        this.#updateModemStatus()
        this.#o.modemControl?.(s.mcr)
        this.#accepting()
        break
      case 7:
        s.scratch = value
        break
    }
    this.#update()
  }

  save(): Ns16550State {
    return { ...this.#s, rx: [...this.#s.rx] }
  }

  load(state: Ns16550State): void {
    this.#s = { ...state, rx: [...state.rx] }
    this.#update()
  }

  get #capacity(): number {
    return this.#s.fcr & 1 ? FIFO_SIZE : 1
  }

  get #triggerLevel(): number {
    return this.#s.fcr & 1 ? (TRIGGER_LEVELS[this.#s.fcr >> 6] ?? 1) : 1
  }

  #readData(): number {
    const byte = this.#s.rx.shift() ?? 0
    this.#accepting()
    this.#update()
    return byte
  }

  #accepting(): void {
    if (!this.#refused || this.#s.mcr & MCR_LOOP || this.#s.rx.length >= this.#capacity) return
    this.#refused = false
    this.#o.ready?.()
  }

  #writeData(value: number): void {
    const s = this.#s
    s.thrEmptyPending = true
    if (!(s.mcr & MCR_LOOP)) {
      this.#o.transmit(value)
      return
    }
    if (s.rx.length < this.#capacity) s.rx.push(value)
    else s.errors |= LSR_OVERRUN
  }

  #writeFifoControl(value: number): void {
    const s = this.#s
    // Switching the FIFOs on or off empties them; the other bits count only while bit 0 is written as one. [PC16550D "FIFO
    // Control Register"]
    if ((value ^ s.fcr) & 1 || (value & 3) === 3) s.rx = []
    if ((value & 5) === 5) s.thrEmptyPending = true
    s.fcr = value & 1 ? value & 0xc1 : 0
    this.#accepting()
  }

  #readLineStatus(): number {
    const s = this.#s
    const errors = s.errors
    s.errors = 0
    this.#update()
    const inFifo = errors & LSR_BREAK && s.fcr & 1 ? LSR_FIFO_ERROR : 0
    return LSR_TRANSMITTER_EMPTY | errors | inFifo | (s.rx.length ? LSR_DATA_READY : 0)
  }

  #readInterruptIdentification(): number {
    const source = this.#source()
    if (source === 0x02) {
      this.#s.thrEmptyPending = false
      this.#update()
    }
    return source | (this.#s.fcr & 1 ? 0xc0 : 0)
  }

  /** Identification of the interrupt with the highest priority; 1 for none. [PC16550D Table IV "Interrupt Control Functions"] */
  #source(): number {
    const s = this.#s
    if (s.ier & IER_LINE_STATUS && s.errors) return 0x06
    if (s.ier & IER_RECEIVED && s.rx.length) return s.rx.length >= this.#triggerLevel ? 0x04 : 0x0c
    if (s.ier & IER_THR_EMPTY && s.thrEmptyPending) return 0x02
    if (s.ier & IER_MODEM_STATUS && s.msr & 0x0f) return 0x00
    return 0x01
  }

  #updateModemStatus(): void {
    const s = this.#s
    let lines = s.lines
    if (s.mcr & MCR_LOOP) {
      lines = s.mcr & MCR_RTS ? MSR_CTS : 0
      if (s.mcr & MCR_DTR) lines |= MSR_DSR
      if (s.mcr & MCR_OUT1) lines |= MSR_RI
      if (s.mcr & MCR_OUT2) lines |= MSR_DCD
    }
    const changed = (lines ^ s.msr) & 0xf0
    let delta = (changed >> 4) & 0x0b
    // RI reports its trailing edge only.
    if (changed & MSR_RI && !(lines & MSR_RI)) delta |= 4
    s.msr = lines | (s.msr & 0x0f) | delta
  }

  #update(): void {
    const level = this.#source() !== 0x01
    if (level === this.#irq) return
    this.#irq = level
    this.#output(level)
  }
}

function powerOn(): Ns16550State {
  const lines = MSR_CTS | MSR_DSR | MSR_DCD
  return {
    version: 1,
    ier: 0,
    fcr: 0,
    lcr: 0,
    mcr: 0,
    msr: lines,
    lines,
    scratch: 0,
    divisor: 12,
    errors: 0,
    thrEmptyPending: false,
    rx: [],
  }
}
