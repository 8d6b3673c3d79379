import type { MachineMemory } from './machine.ts'

export const PAGE_SIZE = 4096
const LARGE_PAGE = 2 << 20
/** Growth of the pool of hypervisor pages. */
const CHUNK = 1 << 20

interface Region {
  readonly hpa: number
  readonly size: number
}

/**
 * Host physical memory: pages for the hypervisor's own structures, and regions that stand for memory of the VMM process, whose
 * userspace addresses are equal to host physical ones. Page 0 is never given out, so that 0 can mean "none".
 */
export class HostMemoryAllocator {
  readonly memory: MachineMemory
  readonly #free: number[] = []
  readonly #regions: Region[] = []

  constructor(memory: MachineMemory) {
    this.memory = memory
    this.#addPages(PAGE_SIZE, memory.physSize)
  }

  /** A zeroed page. Throws RangeError when the host has no more memory. */
  allocatePage(): number {
    if (this.#free.length === 0) {
      const at = this.memory.grow(CHUNK)
      this.#addPages(at, at + CHUNK)
    }
    const hpa = this.#free.pop()!
    const start = this.memory.physBase + hpa
    this.memory.u8.fill(0, start, start + PAGE_SIZE)
    return hpa
  }

  freePage(hpa: number): void {
    this.#free.push(hpa)
  }

  /** Zeroed and page-aligned; a large region is aligned so that large pages can map it. Throws RangeError. */
  allocateRegion(bytes: number): Region {
    const size = Math.ceil(bytes / PAGE_SIZE) * PAGE_SIZE
    const padding = size >= LARGE_PAGE ? -this.memory.physSize & (LARGE_PAGE - 1) : 0
    const at = this.memory.grow(padding + size)
    this.#addPages(at, at + padding)
    const region = { hpa: at + padding, size }
    this.#regions.push(region)
    return region
  }

  /** Whether the range lies in one region, so that a guest can be given it. */
  isUserMemory(hpa: number, size: number): boolean {
    return this.#regions.some((region) => hpa >= region.hpa && hpa + size <= region.hpa + region.size)
  }

  #addPages(from: number, to: number): void {
    for (let hpa = to - PAGE_SIZE; hpa >= from; hpa -= PAGE_SIZE) this.#free.push(hpa)
  }
}
