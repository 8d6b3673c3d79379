/**
 * PS/2 keyboard.
 * Emulated: the command set with acknowledgements, scan code sets 2 and 1, a 16-byte buffer with overrun code.
 * Not emulated: scan code set 3 (refused with Resend), typematic repeat (the host's keyboard repeats).
 * [IBM PS/2 Hardware Interface Technical Reference, "Keyboard and Auxiliary Device Controller", "Keyboards (101- and 102-Key)"]
 */
import { SET2_TO_SET1 } from './scan-codes.ts'

const ACK = 0xfa
const RESEND = 0xfe
const BUFFER_SIZE = 16

export interface Ps2KeyboardState {
  version: 1
  scanning: boolean
  scanCodeSet: number
  leds: number
  typematic: number
  command: number
  last: number
  responses: number[]
  keys: number[]
}

export class Ps2Keyboard {
  #s = powerOn()
  readonly #ready: () => void
  readonly #leds: ((leds: number) => void) | undefined

  /** `ready` is called when a byte has become available to `next`. */
  constructor(options: { ready: () => void; leds?: (leds: number) => void }) {
    this.#ready = options.ready
    this.#leds = options.leds
  }

  reset(): void {
    this.#s = powerOn()
  }

  /** Bytes of scan code set 2 for one key event. A buffer without room takes none of them. */
  key(bytes: readonly number[]): boolean {
    const s = this.#s
    if (!s.scanning) return false
    const codes = s.scanCodeSet === 1 ? toSet1(bytes) : bytes
    if (s.keys.length + codes.length > BUFFER_SIZE) return false
    s.keys.push(...codes)
    this.#ready()
    return true
  }

  hasData(): boolean {
    return this.#s.responses.length + this.#s.keys.length > 0
  }

  next(): number | undefined {
    const byte = this.#s.responses.shift() ?? this.#s.keys.shift()
    if (byte !== undefined) this.#s.last = byte
    return byte
  }

  /** A byte from the host. */
  write(byte: number): void {
    const s = this.#s
    const command = s.command
    s.command = 0
    if (command && byte < 0xed) this.#parameter(command, byte)
    else this.#command(byte)
    this.#ready()
  }

  save(): Ps2KeyboardState {
    return { ...this.#s, responses: [...this.#s.responses], keys: [...this.#s.keys] }
  }

  load(state: Ps2KeyboardState): void {
    this.#s = { ...state, responses: [...state.responses], keys: [...state.keys] }
  }

  #reply(...bytes: number[]): void {
    this.#s.responses.push(...bytes)
  }

  #parameter(command: number, value: number): void {
    const s = this.#s
    switch (command) {
      case 0xed:
        s.leds = value & 7
        this.#leds?.(s.leds)
        this.#reply(ACK)
        break
      case 0xf3:
        s.typematic = value
        this.#reply(ACK)
        break
      case 0xf0:
        if (value === 0) this.#reply(ACK, s.scanCodeSet)
        else if (value <= 2) {
          s.scanCodeSet = value
          this.#reply(ACK)
        } else this.#reply(RESEND)
        break
    }
  }

  #command(byte: number): void {
    const s = this.#s
    switch (byte) {
      case 0xed:
      case 0xf0:
      case 0xf3:
        s.command = byte
        this.#reply(ACK)
        break
      case 0xee:
        this.#reply(0xee)
        break
      case 0xf2:
        this.#reply(ACK, 0xab, 0x83)
        break
      case 0xf4:
        s.scanning = true
        this.#reply(ACK)
        break
      case 0xf5:
      case 0xf6:
        this.#defaults(byte === 0xf6)
        this.#reply(ACK)
        break
      case 0xfe:
        this.#reply(s.last)
        break
      case 0xff:
        this.#defaults(true)
        this.#reply(ACK, 0xaa)
        break
      default:
        this.#reply(byte >= 0xf7 && byte <= 0xfd ? ACK : RESEND)
    }
  }

  #defaults(scanning: boolean): void {
    this.#s = { ...powerOn(), scanning, last: this.#s.last }
  }
}

function powerOn(): Ps2KeyboardState {
  return { version: 1, scanning: true, scanCodeSet: 2, leds: 0, typematic: 0x2b, command: 0, last: 0, responses: [], keys: [] }
}

function toSet1(bytes: readonly number[]): number[] {
  const out: number[] = []
  let release = 0
  for (const byte of bytes) {
    if (byte === 0xf0) release = 0x80
    else {
      out.push((SET2_TO_SET1[byte] ?? byte) | (byte < 0x80 || byte === 0x83 || byte === 0x84 ? release : 0))
      release = 0
    }
  }
  return out
}
