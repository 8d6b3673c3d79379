/**
 * Intel 8042 as the keyboard and PS/2 mouse controller of a PC.
 *
 * Emulated: the command set of a PS/2 controller, both devices, scan code translation, interrupts, A20 and the reset line.
 * Not emulated: the controller's own timing (the input buffer is always empty), password commands, the key lock (always
 * unlocked).
 *
 * [IBM PS/2 Hardware Interface Technical Reference, "Keyboard and Auxiliary Device Controller"]
 */
import { unconnected, type OutputLine } from './pins.ts'
import { Ps2Keyboard, type Ps2KeyboardState } from './ps2-keyboard.ts'
import { Ps2Mouse, type Ps2MouseState } from './ps2-mouse.ts'
import { SET2_TO_SET1 } from './scan-codes.ts'

const STATUS_OUTPUT_FULL = 0x01
const STATUS_SYSTEM = 0x04
const STATUS_COMMAND = 0x08
const STATUS_UNLOCKED = 0x10
const STATUS_AUX_DATA = 0x20

const CONFIG_IRQ1 = 0x01
const CONFIG_IRQ12 = 0x02
const CONFIG_SYSTEM = 0x04
const CONFIG_KEYBOARD_OFF = 0x10
const CONFIG_AUX_OFF = 0x20
const CONFIG_TRANSLATE = 0x40

/** Output port: bit 0 is the processor's reset line (active low), bit 1 the A20 gate. */
const OUTPUT_RUN = 0x01
const OUTPUT_A20 = 0x02

type Source = 'controller' | 'keyboard' | 'aux'

export interface I8042State {
  version: 1
  ram: number[]
  command: number
  afterCommand: boolean
  outputPort: number
  buffer: number
  full: boolean
  source: Source
  pending: { byte: number; source: Source }[]
  release: boolean
  keyboard: Ps2KeyboardState
  mouse: Ps2MouseState
}

export interface I8042Options {
  irq1?: OutputLine
  irq12?: OutputLine
  a20?: OutputLine
  /** The reset line was pulsed. */
  resetLine?: () => void
  leds?: (leds: number) => void
}

export class I8042 {
  readonly keyboard: Ps2Keyboard
  readonly mouse: Ps2Mouse
  readonly #o: I8042Options
  readonly #irq1: OutputLine
  readonly #irq12: OutputLine
  #ram = new Uint8Array(32)
  #command = 0
  #afterCommand = false
  #outputPort = 0
  #buffer = 0
  #full = false
  #source: Source = 'controller'
  #pending: { byte: number; source: Source }[] = []
  #release = false
  #levels = { irq1: false, irq12: false }

  constructor(options: I8042Options = {}) {
    this.#o = options
    this.#irq1 = options.irq1 ?? unconnected
    this.#irq12 = options.irq12 ?? unconnected
    const ready = (): void => this.#fill()
    this.keyboard = new Ps2Keyboard(options.leds ? { ready, leds: options.leds } : { ready })
    this.mouse = new Ps2Mouse({ ready })
    this.reset()
  }

  /** As firmware leaves it: translation on, IRQ 1 off, A20 open. */
  reset(): void {
    this.keyboard.reset()
    this.mouse.reset()
    this.#ram = new Uint8Array(32)
    this.#ram[0] = CONFIG_SYSTEM | CONFIG_TRANSLATE | CONFIG_IRQ1
    this.#command = 0
    this.#afterCommand = this.#full = this.#release = false
    this.#outputPort = OUTPUT_RUN | OUTPUT_A20 | 0xcc
    this.#pending = []
    this.#updateIrqs()
  }

  get a20(): boolean {
    return (this.#outputPort & OUTPUT_A20) !== 0
  }

  /** Port 60h. */
  readData(): number {
    const byte = this.#buffer
    if (this.#full) {
      this.#full = false
      this.#updateIrqs()
      this.#fill()
    }
    return byte
  }

  /** Port 64h. */
  readStatus(): number {
    return (
      (this.#full ? STATUS_OUTPUT_FULL : 0) |
      (this.#config & CONFIG_SYSTEM ? STATUS_SYSTEM : 0) |
      (this.#afterCommand ? STATUS_COMMAND : 0) |
      STATUS_UNLOCKED |
      (this.#full && this.#source === 'aux' ? STATUS_AUX_DATA : 0)
    )
  }

  /** Port 60h. */
  writeData(value: number): void {
    const command = this.#command
    this.#command = 0
    this.#afterCommand = false
    if (command >= 0x60 && command < 0x80) {
      this.#ram[command & 31] = value
      this.#updateIrqs()
      this.#fill()
      return
    }
    switch (command) {
      case 0xd1:
        this.#writeOutputPort(value)
        break
      case 0xd2:
        this.#put(value, 'keyboard')
        break
      case 0xd3:
        this.#put(value, 'aux')
        break
      case 0xd4:
        this.#ram[0] = this.#config & ~CONFIG_AUX_OFF
        this.mouse.write(value)
        break
      default:
        // Sending to the keyboard enables its clock.
        this.#ram[0] = this.#config & ~CONFIG_KEYBOARD_OFF
        this.keyboard.write(value)
    }
  }

  /** Port 64h. */
  writeCommand(value: number): void {
    this.#afterCommand = true
    this.#command = 0
    if (value >= 0x20 && value < 0x40) {
      this.#put(this.#ram[value & 31] ?? 0, 'controller')
      return
    }
    if ((value >= 0x60 && value < 0x80) || (value >= 0xd1 && value <= 0xd4)) {
      this.#command = value
      return
    }
    switch (value) {
      case 0xa7:
        this.#configure(this.#config | CONFIG_AUX_OFF)
        break
      case 0xa8:
        this.#configure(this.#config & ~CONFIG_AUX_OFF)
        break
      case 0xa9:
      case 0xab:
        this.#put(0x00, 'controller')
        break
      case 0xaa:
        this.#ram[0] = this.#config | CONFIG_SYSTEM
        this.#put(0x55, 'controller')
        break
      case 0xad:
        this.#configure(this.#config | CONFIG_KEYBOARD_OFF)
        break
      case 0xae:
        this.#configure(this.#config & ~CONFIG_KEYBOARD_OFF)
        break
      case 0xc0:
        this.#put(0x80, 'controller')
        break
      case 0xd0:
        this.#put(this.#outputPort, 'controller')
        break
      case 0xdd:
        this.#writeOutputPort(this.#outputPort & ~OUTPUT_A20)
        break
      case 0xdf:
        this.#writeOutputPort(this.#outputPort | OUTPUT_A20)
        break
      case 0xe0:
        this.#put(0x00, 'controller')
        break
      default:
        // F0h..FFh pulse the output port bits that are zero in the command; bit 0 is the reset line.
        if (value >= 0xf0 && !(value & 1)) this.#o.resetLine?.()
    }
  }

  save(): I8042State {
    return {
      version: 1,
      ram: [...this.#ram],
      command: this.#command,
      afterCommand: this.#afterCommand,
      outputPort: this.#outputPort,
      buffer: this.#buffer,
      full: this.#full,
      source: this.#source,
      pending: this.#pending.map((entry) => ({ ...entry })),
      release: this.#release,
      keyboard: this.keyboard.save(),
      mouse: this.mouse.save(),
    }
  }

  load(state: I8042State): void {
    this.#ram = Uint8Array.from(state.ram)
    this.#command = state.command
    this.#afterCommand = state.afterCommand
    this.#outputPort = state.outputPort
    this.#buffer = state.buffer
    this.#full = state.full
    this.#source = state.source
    this.#pending = state.pending.map((entry) => ({ ...entry }))
    this.#release = state.release
    this.keyboard.load(state.keyboard)
    this.mouse.load(state.mouse)
    this.#updateIrqs()
  }

  get #config(): number {
    return this.#ram[0] ?? 0
  }

  #configure(value: number): void {
    this.#ram[0] = value
    this.#fill()
  }

  #writeOutputPort(value: number): void {
    const changed = this.#outputPort ^ value
    this.#outputPort = value
    if (changed & OUTPUT_A20) this.#o.a20?.((value & OUTPUT_A20) !== 0)
    if (!(value & OUTPUT_RUN)) this.#o.resetLine?.()
  }

  #put(byte: number, source: Source): void {
    this.#pending.push({ byte, source })
    this.#fill()
  }

  /**
   * Moves the next byte into the output buffer once that is free: the controller's answers first, then the keyboard, then the
   * mouse.
   */
  #fill(): void {
    if (this.#full) return
    const entry = this.#pending.shift()
    if (entry) {
      this.#load(entry.byte, entry.source)
      return
    }
    while (!(this.#config & CONFIG_KEYBOARD_OFF) && this.keyboard.hasData()) {
      const byte = this.#translate(this.keyboard.next() ?? 0)
      if (byte === undefined) continue
      this.#load(byte, 'keyboard')
      return
    }
    if (!(this.#config & CONFIG_AUX_OFF) && this.mouse.hasData()) this.#load(this.mouse.next() ?? 0, 'aux')
  }

  /** Set 2 to set 1; the release prefix is swallowed and sets bit 7 of the code that follows. */
  #translate(byte: number): number | undefined {
    if (!(this.#config & CONFIG_TRANSLATE)) return byte
    if (byte === 0xf0) {
      this.#release = true
      return undefined
    }
    const code = (SET2_TO_SET1[byte] ?? byte) | (this.#release ? 0x80 : 0)
    this.#release = false
    return code
  }

  #load(byte: number, source: Source): void {
    this.#buffer = byte
    this.#source = source
    this.#full = true
    this.#updateIrqs()
  }

  #updateIrqs(): void {
    this.#drive('irq1', this.#full && this.#source !== 'aux' && (this.#config & CONFIG_IRQ1) !== 0)
    this.#drive('irq12', this.#full && this.#source === 'aux' && (this.#config & CONFIG_IRQ12) !== 0)
  }

  #drive(line: 'irq1' | 'irq12', level: boolean): void {
    if (this.#levels[line] === level) return
    this.#levels[line] = level
    if (line === 'irq1') this.#irq1(level)
    else this.#irq12(level)
  }
}
