import type { OutputLine } from '@guestmode/chips'

/** Wires outputs of devices to interrupt inputs; outputs on the same input are ORed. */
export class IrqLines {
  readonly #drive: (gsi: number, level: boolean) => void
  readonly #asserted = new Map<number, number>()

  constructor(drive: (gsi: number, level: boolean) => void) {
    this.#drive = drive
  }

  /** A new output on this input. */
  line(gsi: number): OutputLine {
    let mine = false
    return (level) => {
      if (level === mine) return
      mine = level
      const count = (this.#asserted.get(gsi) ?? 0) + (level ? 1 : -1)
      this.#asserted.set(gsi, count)
      if (count === (level ? 1 : 0)) this.#drive(gsi, level)
    }
  }
}
