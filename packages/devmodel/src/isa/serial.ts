import { MCR_OUT2, Ns16550 } from '@guestmode/chips'
import type { CharBackend } from '../backends/char.ts'
import type { PortDevice } from '../bus/port-bus.ts'

const OUTPUT_BUFFER = 4096

/** A serial port: a 16550A between the bus and a character backend. Output is collected until `flush`. */
export class SerialPort implements PortDevice {
  readonly width = 1
  readonly chip: Ns16550
  readonly #backend: CharBackend
  readonly #output = new Uint8Array(OUTPUT_BUFFER)
  #used = 0
  #int = false
  readonly #irq: (level: boolean) => void

  constructor(options: { backend: CharBackend; irq: (level: boolean) => void }) {
    this.#backend = options.backend
    this.#irq = options.irq
    this.chip = new Ns16550({
      transmit: (byte) => this.#transmit(byte),
      irq: (level) => {
        this.#int = level
        this.#updateIrq()
      },
      modemControl: () => this.#updateIrq(),
      ready: () => this.#backend.resume?.(),
    })
    this.#backend.onReceive = (bytes) => {
      let taken = 0
      while (taken < bytes.length && this.chip.receive(bytes[taken] ?? 0)) taken++
      return taken
    }
  }

  read(offset: number): number {
    return this.chip.read(offset)
  }

  write(offset: number, value: number): void {
    this.chip.write(offset, value)
  }

  flush(): void {
    if (!this.#used) return
    const bytes = this.#output.slice(0, this.#used)
    this.#used = 0
    this.#backend.write(bytes)
  }

  #transmit(byte: number): void {
    this.#output[this.#used++] = byte
    if (this.#used === OUTPUT_BUFFER) this.flush()
  }

  /** OUT2 gates the interrupt on a PC's serial adapter. [IBM Asynchronous Communications Adapter, "Modem Control Register"] */
  #level = false
  #updateIrq(): void {
    const level = this.#int && (this.chip.mcr & MCR_OUT2) !== 0
    if (level === this.#level) return
    this.#level = level
    this.#irq(level)
  }
}
