/**
 * NMI status and control register of a PC, port 61h: the gate of the 8254's channel 2 and the speaker.
 * Emulated: bits 0 (gate), 1 (speaker data), 4 (refresh toggle), 5 (OUT2). Not emulated: parity and I/O check NMIs; they read as
 * zero.
 * [82371AB (PIIX4) 290562, "NMISC - NMI Status and Control Register"]
 */
import type { I8254 } from './i8254.ts'
import type { Clock, OutputLine } from './pins.ts'

/** DRAM refresh request: 18 ticks of the 1.193182 MHz clock. */
const REFRESH_NS = 15_085n

export class Port61 {
  #control = 0
  readonly #pit: I8254
  readonly #clock: Clock
  readonly #speaker: OutputLine | undefined

  constructor(options: { pit: I8254; clock: Clock; speaker?: OutputLine }) {
    this.#pit = options.pit
    this.#clock = options.clock
    this.#speaker = options.speaker
  }

  reset(): void {
    this.write(0)
  }

  read(): number {
    const refresh = (this.#clock.now() / REFRESH_NS) & 1n ? 0x10 : 0
    return this.#control | refresh | (this.#pit.output(2) ? 0x20 : 0)
  }

  write(value: number): void {
    const before = this.#control
    this.#control = value & 0x0f
    this.#pit.setGate(2, (value & 1) !== 0)
    if ((before ^ value) & 2) this.#speaker?.((value & 2) !== 0)
  }

  save(): { version: 1; control: number } {
    return { version: 1, control: this.#control }
  }

  load(state: { version: 1; control: number }): void {
    this.#control = state.control
  }
}
