/** virtio console with a single port, hvc0. [VIRTIO 1.2, 5.3 "Console Device"] */
import type { CharBackend } from '../backends/char.ts'
import type { VirtioBackplane, VirtioDevice } from './device.ts'

const RECEIVE = 0
const TRANSMIT = 1
const F_SIZE = 1n << 0n
/** Pieces that a long buffer is handed over in. */
const PIECE = 0x10000

export class VirtioConsole implements VirtioDevice {
  readonly type = 3
  readonly features: bigint
  readonly queueSizes = [128, 128]
  readonly #backend: CharBackend
  #plane: VirtioBackplane | undefined

  constructor(backend: CharBackend) {
    this.#backend = backend
    this.features = backend.size ? F_SIZE : 0n
    backend.onReceive = (bytes) => this.#receive(bytes)
    backend.onResize = () => this.#plane?.configChanged()
  }

  attach(backplane: VirtioBackplane): void {
    this.#plane = backplane
  }

  start(): void {
    this.notify(TRANSMIT)
    this.#backend.resume?.()
  }

  reset(): void {
    // Nothing is held back: input waits in the backend, output has left.
  }

  notify(queue: number): void {
    if (queue === TRANSMIT) this.#transmit()
    else if (queue === RECEIVE) this.#backend.resume?.()
  }

  readConfig(offset: number): number {
    const { columns, rows } = this.#backend.size ?? { columns: 0, rows: 0 }
    return [columns & 0xff, columns >> 8, rows & 0xff, rows >> 8][offset] ?? 0
  }

  writeConfig(): void {
    // Emergency write is not offered; the rest is read-only.
  }

  #transmit(): void {
    const plane = this.#plane
    if (!plane) return
    const queue = plane.queue(TRANSMIT)
    let any = false
    for (let chain = queue.pop(); chain; chain = queue.pop()) {
      for (const { address, length } of chain.readable) {
        for (let at = 0; at < length; at += PIECE) {
          const bytes = plane.memory.view(address + at, Math.min(PIECE, length - at))
          if (bytes) this.#backend.write(bytes.slice())
        }
      }
      queue.push(chain.head, 0)
      any = true
    }
    if (any) queue.notifyDriver()
  }

  #receive(bytes: Uint8Array): number {
    const plane = this.#plane
    if (!plane?.driverReady) return 0
    const queue = plane.queue(RECEIVE)
    let taken = 0
    while (taken < bytes.length) {
      const chain = queue.pop()
      if (!chain) break
      let written = 0
      for (const { address, length } of chain.writable) {
        const piece = bytes.subarray(taken, taken + length)
        plane.memory.write(address, piece)
        taken += piece.length
        written += piece.length
      }
      queue.push(chain.head, written)
    }
    if (taken) queue.notifyDriver()
    return taken
  }
}
