/**
 * Split virtqueue, device side, with indirect descriptors.
 * The driver is not trusted: a ring that breaks the rules, or leaves RAM, is reported through `onBroken` once and yields nothing
 * more.
 * [VIRTIO 1.2, 2.7 "Split Virtqueues"]
 */
import type { GuestMemory } from '../machine/guest-memory.ts'

const DESC_NEXT = 1
const DESC_WRITE = 2
const DESC_INDIRECT = 4
const DESC_SIZE = 16
const AVAIL_NO_INTERRUPT = 1

export interface Segment {
  readonly address: number
  readonly length: number
}

export interface DescriptorChain {
  readonly head: number
  readonly readable: Segment[]
  readonly writable: Segment[]
}

export interface VirtqueueAddresses {
  descriptors: number
  driver: number
  device: number
}

export class Virtqueue {
  readonly maxSize: number
  size: number
  ready = false
  readonly addresses: VirtqueueAddresses = { descriptors: 0, driver: 0, device: 0 }
  #lastAvail = 0
  #used = 0
  #broken = false
  readonly #memory: GuestMemory
  readonly #onBroken: (reason: string) => void
  readonly #interrupt: () => void

  constructor(options: { maxSize: number; memory: GuestMemory; onBroken: (reason: string) => void; interrupt: () => void }) {
    this.maxSize = this.size = options.maxSize
    this.#memory = options.memory
    this.#onBroken = options.onBroken
    this.#interrupt = options.interrupt
  }

  reset(): void {
    this.size = this.maxSize
    this.ready = this.#broken = false
    Object.assign(this.addresses, { descriptors: 0, driver: 0, device: 0 })
    this.#lastAvail = this.#used = 0
  }

  /** Checks what the driver has set up. */
  enable(): void {
    const { descriptors, driver, device } = this.addresses
    this.ready = true
    if (this.size === 0 || this.size > this.maxSize || this.size & (this.size - 1)) this.#break(`queue size ${this.size}`)
    else if (descriptors % 16 || driver % 2 || device % 4) this.#break('misaligned ring')
    else if (!this.#memory.view(descriptors, DESC_SIZE * this.size)) this.#break('descriptor table outside RAM')
    else if (!this.#memory.view(driver, 6 + 2 * this.size)) this.#break('available ring outside RAM')
    else if (!this.#memory.view(device, 6 + 8 * this.size)) this.#break('used ring outside RAM')
  }

  /** Whether a chain is waiting. */
  hasAvailable(): boolean {
    if (!this.ready || this.#broken) return false
    const count = (this.#u16(this.addresses.driver + 2) - this.#lastAvail) & 0xffff
    if (count > this.size) this.#break('available index ran ahead')
    return count > 0 && !this.#broken
  }

  pop(): DescriptorChain | undefined {
    if (!this.hasAvailable()) return undefined
    const head = this.#u16(this.addresses.driver + 4 + 2 * (this.#lastAvail % this.size))
    this.#lastAvail = (this.#lastAvail + 1) & 0xffff
    const chain: DescriptorChain = { head, readable: [], writable: [] }
    const reason = this.#walk(chain)
    if (reason === undefined) return chain
    this.#break(reason)
    return undefined
  }

  /** Puts a chain back on the available ring, unused: it will be popped again. Only the one popped last. */
  unpop(): void {
    this.#lastAvail = (this.#lastAvail - 1) & 0xffff
  }

  /** Returns a chain to the driver with the number of bytes written into it. */
  push(head: number, written: number): void {
    if (this.#broken) return
    const element = new DataView(new ArrayBuffer(8))
    element.setUint32(0, head, true)
    element.setUint32(4, written, true)
    this.#memory.write(this.addresses.device + 4 + 8 * (this.#used % this.size), new Uint8Array(element.buffer))
    this.#used = (this.#used + 1) & 0xffff
    this.#memory.writeU16(this.addresses.device + 2, this.#used)
  }

  /** Interrupts the driver about used buffers unless it asked not to be. */
  notifyDriver(): void {
    if (this.#broken || !this.ready) return
    if (!(this.#u16(this.addresses.driver) & AVAIL_NO_INTERRUPT)) this.#interrupt()
  }

  /** Fills `chain`; the result is what is wrong with it. */
  #walk(chain: DescriptorChain): string | undefined {
    let table = this.addresses.descriptors
    let entries = this.size
    let index = chain.head
    let indirect = false
    for (let count = 0; count < this.size; count++) {
      if (index >= entries) return `descriptor index ${index} of ${entries}`
      const entry = this.#memory.dataView(table + DESC_SIZE * index, DESC_SIZE)
      if (!entry) return 'descriptor outside RAM'
      const address = Number(entry.getBigUint64(0, true))
      const length = entry.getUint32(8, true)
      const flags = entry.getUint16(12, true)
      if (flags & DESC_INDIRECT) {
        if (indirect || flags & DESC_NEXT) return 'nested or continued indirect descriptor'
        if (length === 0 || length % DESC_SIZE || !this.#memory.view(address, length)) return 'bad indirect table'
        ;[table, entries, index, indirect] = [address, length / DESC_SIZE, 0, true]
        count--
        continue
      }
      if (!this.#memory.view(address, length)) return 'buffer outside RAM'
      if (flags & DESC_WRITE) chain.writable.push({ address, length })
      else if (chain.writable.length) return 'readable buffer after a writable one'
      else chain.readable.push({ address, length })
      if (!(flags & DESC_NEXT)) return undefined
      index = entry.getUint16(14, true)
    }
    return 'descriptor loop'
  }

  #u16(gpa: number): number {
    return this.#memory.readU16(gpa) ?? 0
  }

  #break(reason: string): void {
    if (this.#broken) return
    this.#broken = true
    this.#onBroken(reason)
  }
}
