import type { HostMemory } from '@guestmode/kvm-abi'
import { GuestMemory } from '../machine/guest-memory.ts'

export class FakeHostMemory implements HostMemory {
  readonly address = 0x10000n
  readonly size: number
  readonly bytes: Uint8Array
  readonly writes: [number, number][] = []

  constructor(size: number) {
    this.size = size
    this.bytes = new Uint8Array(size)
  }

  written(offset: number, length: number): void {
    this.writes.push([offset, length])
  }
}

export function ram(size: number): GuestMemory {
  return new GuestMemory(new FakeHostMemory(size))
}
