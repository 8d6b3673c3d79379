import { describe, expect, test } from 'vitest'
import type { CharBackend } from '../backends/char.ts'
import type { GuestMemory } from '../machine/guest-memory.ts'
import { HIGH_RAM } from '../machine/layout.ts'
import { ram } from '../testing/memory.ts'
import { VirtioConsole } from './console.ts'
import type { VirtioDevice } from './device.ts'
import { VirtioMmio } from './mmio-transport.ts'
import { VirtioRng } from './rng.ts'

const DESC = 0x10000
const AVAIL = 0x20000
const USED = 0x30000
const BUFFERS = 0x40000
const QUEUE_STRIDE = 0x100000

/** A driver as the specification describes it. */
class Driver {
  readonly memory: GuestMemory
  readonly irqs: boolean[] = []
  readonly log: string[] = []
  readonly transport: VirtioMmio
  readonly #avail = [0, 0]

  constructor(device: VirtioDevice) {
    this.memory = ram(4 << 20)
    this.transport = new VirtioMmio({
      device,
      memory: this.memory,
      irq: (level) => void this.irqs.push(level),
      log: (message) => void this.log.push(message),
    })
  }

  get = (offset: number): number => this.transport.read(offset, 4)
  set = (offset: number, value: number): void => this.transport.write(offset, value, 4)

  initialize(queues: number, size = 8): void {
    this.set(0x70, 0)
    this.set(0x70, 3)
    this.set(0x24, 1)
    this.set(0x20, 1)
    this.set(0x24, 0)
    this.set(0x20, 1 << 28)
    this.set(0x70, 11)
    expect(this.get(0x70) & 8).toBe(8)
    for (let i = 0; i < queues; i++) this.setQueue(i, size)
    this.set(0x70, 15)
  }

  setQueue(index: number, size: number, at = { desc: DESC, avail: AVAIL, used: USED }): void {
    const base = index * QUEUE_STRIDE
    this.set(0x30, index)
    this.set(0x38, size)
    this.set(0x80, base + at.desc)
    this.set(0x90, base + at.avail)
    this.set(0xa0, base + at.used)
    this.set(0x44, 1)
  }

  descriptor(queue: number, index: number, address: number, length: number, flags = 0, next = 0): void {
    const view = this.memory.dataView(queue * QUEUE_STRIDE + DESC + 16 * index, 16)
    view?.setBigUint64(0, BigInt(address), true)
    view?.setUint32(8, length, true)
    view?.setUint16(12, flags, true)
    view?.setUint16(14, next, true)
  }

  offer(queue: number, head: number, size = 8): void {
    const base = queue * QUEUE_STRIDE + AVAIL
    const index = this.#avail[queue] ?? 0
    this.memory.writeU16(base + 4 + 2 * (index % size), head)
    this.#avail[queue] = index + 1
    this.memory.writeU16(base + 2, index + 1)
    this.set(0x50, queue)
  }

  used(queue: number): { index: number; last: [number, number] } {
    const base = queue * QUEUE_STRIDE + USED
    const index = this.memory.readU16(base + 2) ?? 0
    const view = this.memory.dataView(base + 4 + 8 * ((index + 7) % 8), 8)
    return { index, last: [view?.getUint32(0, true) ?? 0, view?.getUint32(4, true) ?? 0] }
  }
}

function terminal(): CharBackend & { output: string; resumed: number } {
  return {
    output: '',
    resumed: 0,
    write(bytes) {
      this.output += String.fromCharCode(...bytes)
    },
    resume() {
      this.resumed++
    },
  }
}

describe('transport', () => {
  test('identification, features, refusal of a driver without VERSION_1', () => {
    const driver = new Driver(new VirtioRng(() => undefined))
    expect([0, 4, 8].map(driver.get)).toEqual([0x74726976, 2, 4])
    driver.set(0x14, 1)
    expect(driver.get(0x10)).toBe(1)
    driver.set(0x70, 3)
    driver.set(0x70, 11)
    expect(driver.get(0x70)).toBe(3)
    expect(driver.get(0xb0)).toBe(0xffffffff)
    driver.initialize(1)
    expect(driver.get(0x70)).toBe(15)
    driver.set(0x70, 0)
    expect([driver.get(0x70), driver.get(0x44)]).toEqual([0, 0])
  })

  test('a driver that takes what was not offered is refused', () => {
    const driver = new Driver(new VirtioRng(() => undefined))
    driver.set(0x24, 1)
    driver.set(0x20, 3)
    driver.set(0x70, 11)
    expect(driver.get(0x70) & 8).toBe(0)
  })
})

describe('entropy', () => {
  test('fills writable buffers and interrupts', () => {
    const driver = new Driver(new VirtioRng((bytes) => bytes.fill(0x5a)))
    driver.initialize(1)
    driver.descriptor(0, 3, BUFFERS, 16, 2 | 1, 4)
    driver.descriptor(0, 4, BUFFERS + 100, 4, 2)
    driver.offer(0, 3)
    expect(driver.used(0)).toEqual({ index: 1, last: [3, 20] })
    expect([...(driver.memory.view(BUFFERS + 98, 7) ?? [])]).toEqual([0, 0, 0x5a, 0x5a, 0x5a, 0x5a, 0])
    expect(driver.irqs).toEqual([false, true])
    expect(driver.get(0x60)).toBe(1)
    driver.set(0x64, 1)
    expect(driver.irqs.at(-1)).toBe(false)
  })

  test('no interrupt when the driver asks for none', () => {
    const driver = new Driver(new VirtioRng((bytes) => bytes.fill(1)))
    driver.initialize(1)
    driver.memory.writeU16(AVAIL, 1)
    driver.descriptor(0, 0, BUFFERS, 8, 2)
    driver.offer(0, 0)
    expect(driver.used(0).index).toBe(1)
    expect(driver.get(0x60)).toBe(0)
  })

  test('indirect descriptors', () => {
    const driver = new Driver(new VirtioRng((bytes) => bytes.fill(7)))
    driver.initialize(1)
    const table = driver.memory.dataView(BUFFERS, 16)
    table?.setBigUint64(0, BigInt(BUFFERS + 0x100), true)
    table?.setUint32(8, 5, true)
    table?.setUint16(12, 2, true)
    driver.descriptor(0, 0, BUFFERS, 16, 4)
    driver.offer(0, 0)
    expect(driver.used(0).last).toEqual([0, 5])
  })
})

describe('console', () => {
  test('output, in order, from several buffers', () => {
    const backend = terminal()
    const driver = new Driver(new VirtioConsole(backend))
    driver.initialize(2)
    driver.memory.write(QUEUE_STRIDE + BUFFERS, Uint8Array.from([104, 101, 108, 108, 111]))
    driver.descriptor(1, 0, QUEUE_STRIDE + BUFFERS, 2, 1, 1)
    driver.descriptor(1, 1, QUEUE_STRIDE + BUFFERS + 2, 3)
    driver.offer(1, 0)
    expect(backend.output).toBe('hello')
    expect(driver.used(1)).toEqual({ index: 1, last: [0, 0] })
  })

  test('input waits for buffers and takes no more than fits', () => {
    const backend = terminal()
    const driver = new Driver(new VirtioConsole(backend))
    expect(backend.onReceive?.(Uint8Array.of(1))).toBe(0)
    driver.initialize(2)
    expect(backend.resumed).toBe(1)
    expect(backend.onReceive?.(Uint8Array.of(1))).toBe(0)
    driver.descriptor(0, 0, BUFFERS, 4, 2)
    driver.offer(0, 0)
    expect(backend.resumed).toBe(2)
    expect(backend.onReceive?.(Uint8Array.of(1, 2, 3, 4, 5))).toBe(4)
    expect([...(driver.memory.view(BUFFERS, 5) ?? [])]).toEqual([1, 2, 3, 4, 0])
    expect(driver.used(0)).toEqual({ index: 1, last: [0, 4] })
    expect(driver.get(0x60)).toBe(1)
  })

  test('size in configuration space; a change interrupts', () => {
    const backend = { ...terminal(), size: { columns: 80, rows: 25 } }
    const driver = new Driver(new VirtioConsole(backend))
    expect(driver.get(0x10) & 1).toBe(1)
    expect(driver.get(0x100)).toBe(80 + 25 * 65536)
    driver.initialize(2)
    const generation = driver.get(0xfc)
    backend.size = { columns: 132, rows: 50 }
    ;(backend as CharBackend).onResize?.()
    expect(driver.get(0xfc)).toBe(generation + 1)
    expect(driver.get(0x60)).toBe(2)
    expect(driver.transport.read(0x100, 2)).toBe(132)
  })
})

describe('hostile rings end in DEVICE_NEEDS_RESET, and a reset heals', () => {
  const cases: [string, (driver: Driver) => void][] = [
    ['descriptor loop', (d) => d.descriptor(0, 0, BUFFERS, 4, 3, 0)],
    ['index beyond the table', (d) => d.descriptor(0, 0, BUFFERS, 4, 3, 8)],
    ['buffer outside RAM', (d) => d.descriptor(0, 0, 0x7fff_ffff_0000, 4, 2)],
    ['buffer across the end of RAM', (d) => d.descriptor(0, 0, (4 << 20) - 2, 4, 2)],
    ['buffer above 4 GiB where there is none', (d) => d.descriptor(0, 0, HIGH_RAM, 4, 2)],
    ['length that wraps', (d) => d.descriptor(0, 0, BUFFERS, 0xffffffff, 2)],
    ['indirect table outside RAM', (d) => d.descriptor(0, 0, 0xd0000000, 16, 4)],
    ['indirect table of odd size', (d) => d.descriptor(0, 0, BUFFERS, 17, 4)],
    ['indirect table of no size', (d) => d.descriptor(0, 0, BUFFERS, 0, 4)],
    [
      'nested indirect table',
      (d) => {
        d.descriptor(0, 0, DESC, 16, 4)
      },
    ],
    [
      'readable after writable',
      (d) => {
        d.descriptor(0, 0, BUFFERS, 4, 3, 1)
        d.descriptor(0, 1, BUFFERS, 4)
      },
    ],
  ]
  test.each(cases)('%s', (_name, arrange) => {
    const driver = new Driver(new VirtioRng((bytes) => bytes.fill(1)))
    driver.initialize(1)
    arrange(driver)
    driver.offer(0, 0)
    expect(driver.get(0x70) & 0x40).toBe(0x40)
    expect(driver.log.length).toBe(1)
    expect(driver.used(0).index).toBe(0)
    driver.offer(0, 0)
    expect(driver.log.length).toBe(1)
    driver.memory.writeU16(AVAIL + 2, 0)
    driver.initialize(1)
    expect(driver.get(0x70)).toBe(15)
  })

  test('head index and available index out of range', () => {
    for (const [head, ahead] of [
      [9, 1],
      [0, 1000],
    ] as const) {
      const driver = new Driver(new VirtioRng(() => undefined))
      driver.initialize(1)
      driver.memory.writeU16(AVAIL + 4, head)
      driver.memory.writeU16(AVAIL + 2, ahead)
      driver.set(0x50, 0)
      expect(driver.get(0x70) & 0x40).toBe(0x40)
    }
  })

  test('bad queue shapes', () => {
    for (const [size, at] of [
      [3, {}],
      [0, {}],
      [1024, {}],
      [8, { desc: DESC + 4 }],
      [8, { used: 0x3ffff8 }],
      [8, { avail: 0xfffffff0 }],
    ] as const) {
      const driver = new Driver(new VirtioRng(() => undefined))
      driver.initialize(0)
      driver.setQueue(0, size, { desc: DESC, avail: AVAIL, used: USED, ...at })
      expect(driver.get(0x70) & 0x40).toBe(0x40)
    }
  })

  test('registers that do not exist, odd sizes, notifications to nowhere', () => {
    const driver = new Driver(new VirtioRng(() => undefined))
    driver.initialize(1)
    driver.set(0x50, 77)
    driver.set(0x30, 99)
    driver.set(0x44, 1)
    expect(driver.get(0x34)).toBe(0)
    driver.transport.write(0x70, 0, 1)
    expect(driver.transport.read(0x70, 2)).toBe(0)
    expect(driver.get(0x70)).toBe(15)
    expect(driver.transport.read(0xffc, 4)).toBe(0)
  })
})
