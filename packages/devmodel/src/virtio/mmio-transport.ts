/** virtio over MMIO, version 2. [VIRTIO 1.2, 4.2 "Virtio Over MMIO"] */
import type { MmioDevice } from '../bus/mmio-bus.ts'
import type { GuestMemory } from '../machine/guest-memory.ts'
import type { VirtioBackplane, VirtioDevice } from './device.ts'
import { Virtqueue } from './virtqueue.ts'

const MAGIC = 0x7472_6976
/** "GSTM" */
const VENDOR = 0x4d54_5347

const RING_INDIRECT_DESC = 1n << 28n
const VERSION_1 = 1n << 32n

const DRIVER_OK = 0x04
const FEATURES_OK = 0x08
const NEEDS_RESET = 0x40

const INTERRUPT_USED = 1
const INTERRUPT_CONFIG = 2

export interface VirtioMmioOptions {
  device: VirtioDevice
  memory: GuestMemory
  irq: (level: boolean) => void
  log: (message: string) => void
}

export class VirtioMmio implements MmioDevice, VirtioBackplane {
  readonly memory: GuestMemory
  readonly #device: VirtioDevice
  readonly #irq: (level: boolean) => void
  readonly #queues: Virtqueue[]
  readonly #offered: bigint
  #accepted = 0n
  #featureSelect = { device: 0, driver: 0 }
  #queueSelect = 0
  #status = 0
  #interrupts = 0
  #generation = 0

  constructor(options: VirtioMmioOptions) {
    this.memory = options.memory
    this.#device = options.device
    this.#irq = options.irq
    this.#offered = options.device.features | RING_INDIRECT_DESC | VERSION_1
    const onBroken = (reason: string): void => {
      options.log(`virtio device ${options.device.type}: ${reason}; it needs a reset`)
      this.#status |= NEEDS_RESET
      if (this.#status & DRIVER_OK) this.#raise(INTERRUPT_CONFIG)
    }
    const interrupt = (): void => this.#raise(INTERRUPT_USED)
    this.#queues = options.device.queueSizes.map(
      (maxSize) => new Virtqueue({ maxSize, memory: this.memory, onBroken, interrupt }),
    )
    options.device.attach(this)
  }

  get driverReady(): boolean {
    return (this.#status & (DRIVER_OK | NEEDS_RESET)) === DRIVER_OK
  }

  queue(index: number): Virtqueue {
    const queue = this.#queues[index]
    if (!queue) throw new RangeError(`no queue ${index}`)
    return queue
  }

  configChanged(): void {
    this.#generation = (this.#generation + 1) >>> 0
    if (this.#status & DRIVER_OK) this.#raise(INTERRUPT_CONFIG)
  }

  read(offset: number, size: number): number {
    if (offset >= 0x100) {
      let value = 0
      for (let i = size - 1; i >= 0; i--) value = value * 256 + this.#device.readConfig(offset - 0x100 + i)
      return value
    }
    return size === 4 ? this.#readRegister(offset) : 0
  }

  write(offset: number, value: number, size: number): void {
    if (offset >= 0x100) for (let i = 0; i < size; i++) this.#device.writeConfig(offset - 0x100 + i, (value >>> (8 * i)) & 0xff)
    else if (size === 4) this.#writeRegister(offset, value >>> 0)
  }

  #readRegister(offset: number): number {
    const queue = this.#queues[this.#queueSelect]
    switch (offset) {
      case 0x000:
        return MAGIC
      case 0x004:
        return 2
      case 0x008:
        return this.#device.type
      case 0x00c:
        return VENDOR
      case 0x010:
        return this.#featureSelect.device > 1
          ? 0
          : Number(BigInt.asUintN(32, this.#offered >> BigInt(32 * this.#featureSelect.device)))
      case 0x034:
        return queue?.maxSize ?? 0
      case 0x044:
        return queue?.ready ? 1 : 0
      case 0x060:
        return this.#interrupts
      case 0x070:
        return this.#status
      // There are no shared memory regions: their length reads as -1.
      case 0x0b0:
      case 0x0b4:
      case 0x0b8:
      case 0x0bc:
        return 0xffff_ffff
      case 0x0fc:
        return this.#generation
      default:
        return 0
    }
  }

  #writeRegister(offset: number, value: number): void {
    switch (offset) {
      case 0x014:
        this.#featureSelect.device = value
        break
      case 0x020:
        if (!(this.#status & FEATURES_OK)) this.#acceptFeatures(value)
        break
      case 0x024:
        this.#featureSelect.driver = value
        break
      case 0x030:
        this.#queueSelect = value
        break
      case 0x050:
        if (this.driverReady && value < this.#queues.length) this.#device.notify(value)
        break
      case 0x064:
        this.#interrupts &= ~value
        if (!this.#interrupts) this.#irq(false)
        break
      case 0x070:
        this.#writeStatus(value)
        break
      default:
        this.#writeQueue(offset, value)
    }
  }

  #acceptFeatures(value: number): void {
    if (this.#featureSelect.driver > 1) return
    const shift = BigInt(32 * this.#featureSelect.driver)
    this.#accepted = (this.#accepted & ~(0xffff_ffffn << shift)) | (BigInt(value) << shift)
  }

  #writeStatus(value: number): void {
    if (value === 0) {
      this.#reset()
      return
    }
    const wasReady = this.driverReady
    let status = (value & 0xff) | (this.#status & NEEDS_RESET)
    const sane = (this.#accepted & ~this.#offered) === 0n && (this.#accepted & VERSION_1) !== 0n
    if (!sane) status &= ~FEATURES_OK
    this.#status = status
    if (!wasReady && this.driverReady) this.#device.start()
  }

  #writeQueue(offset: number, value: number): void {
    const queue = this.#queues[this.#queueSelect]
    if (!queue) return
    if (offset === 0x044) {
      if (value & 1 && !queue.ready) queue.enable()
      else if (!(value & 1)) queue.ready = false
      return
    }
    // A queue in use keeps its shape. [VIRTIO 1.2, 4.2.2.2 "Driver Requirements: MMIO Device Register Layout"]
    if (queue.ready) return
    const at = queue.addresses
    switch (offset) {
      case 0x038:
        queue.size = value
        break
      case 0x080:
        at.descriptors = low(at.descriptors, value)
        break
      case 0x084:
        at.descriptors = high(at.descriptors, value)
        break
      case 0x090:
        at.driver = low(at.driver, value)
        break
      case 0x094:
        at.driver = high(at.driver, value)
        break
      case 0x0a0:
        at.device = low(at.device, value)
        break
      case 0x0a4:
        at.device = high(at.device, value)
        break
    }
  }

  #reset(): void {
    this.#status = this.#interrupts = this.#queueSelect = 0
    this.#featureSelect = { device: 0, driver: 0 }
    this.#accepted = 0n
    for (const queue of this.#queues) queue.reset()
    this.#device.reset()
    this.#irq(false)
  }

  #raise(cause: number): void {
    // A guest may have programmed the input edge-triggered: every cause makes an edge.
    if (this.#interrupts) this.#irq(false)
    this.#interrupts |= cause
    this.#irq(true)
  }
}

function low(address: number, value: number): number {
  return Math.floor(address / 2 ** 32) * 2 ** 32 + value
}

/** An address beyond 2^53 is no RAM anyway. */
function high(address: number, value: number): number {
  return (address % 2 ** 32) + value * 2 ** 32
}
