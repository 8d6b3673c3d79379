import type { GuestMemory } from '../machine/guest-memory.ts'
import type { Virtqueue } from './virtqueue.ts'

/** What a device sees of its transport. */
export interface VirtioBackplane {
  readonly memory: GuestMemory
  queue(index: number): Virtqueue
  /** DRIVER_OK is set and nothing is broken. */
  readonly driverReady: boolean
  configChanged(): void
}

/** A virtio device behind any transport. [VIRTIO 1.2, chapter 2 "Basic Facilities of a Virtio Device"] */
export interface VirtioDevice {
  /** Device ID. */
  readonly type: number
  /** Feature bits of its own; the transport adds the general ones. */
  readonly features: bigint
  /** Greatest size of each queue. */
  readonly queueSizes: readonly number[]
  attach(backplane: VirtioBackplane): void
  /** The driver has set DRIVER_OK. */
  start(): void
  reset(): void
  /** The driver has put buffers into a queue. */
  notify(queue: number): void
  readConfig(offset: number): number
  writeConfig(offset: number, value: number): void
}
