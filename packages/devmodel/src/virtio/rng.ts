/** virtio entropy device. [VIRTIO 1.2, 5.4 "Entropy Device"] */
import type { VirtioBackplane, VirtioDevice } from './device.ts'

/** Most bytes given for one request: a driver may offer a buffer as large as RAM. */
const MOST = 0x10000

export class VirtioRng implements VirtioDevice {
  readonly type = 4
  readonly features = 0n
  readonly queueSizes = [16]
  readonly #random: (bytes: Uint8Array) => void
  #plane: VirtioBackplane | undefined

  constructor(random: (bytes: Uint8Array) => void) {
    this.#random = random
  }

  attach(backplane: VirtioBackplane): void {
    this.#plane = backplane
  }

  start(): void {
    this.notify()
  }

  reset(): void {
    // Stateless.
  }

  notify(): void {
    const plane = this.#plane
    if (!plane) return
    const queue = plane.queue(0)
    let any = false
    for (let chain = queue.pop(); chain; chain = queue.pop()) {
      let written = 0
      for (const { address, length } of chain.writable) {
        const bytes = new Uint8Array(Math.min(length, MOST - written))
        this.#random(bytes)
        plane.memory.write(address, bytes)
        written += bytes.length
        if (bytes.length < length) break
      }
      queue.push(chain.head, written)
      any = true
    }
    if (any) queue.notifyDriver()
  }

  readConfig(): number {
    return 0
  }

  writeConfig(): void {
    // No configuration.
  }
}
