/** PCI configuration mechanism #1. [PCI Local Bus 3.0, 3.2.2.3.2 "Software Generation of Configuration Transactions"] */
import type { PortDevice } from '../bus/port-bus.ts'
import { ConfigSpace } from './config-space.ts'

const ENABLE = 0x8000_0000

export class PciHostBridge implements PortDevice {
  readonly width = 4
  #address = 0
  readonly #functions = new Map<number, ConfigSpace>()

  constructor() {
    // i440FX [82441FX 290549, "PCI Configuration Space"].
    this.add(0, 0, hostBridge())
  }

  add(device: number, func: number, config: ConfigSpace): void {
    this.#functions.set((device << 3) | func, config)
  }

  read(offset: number, size: number): number {
    if (offset < 4) return size === 4 ? this.#address : 0xffff_ffff
    const target = this.#target()
    return target ? target.config.read(target.register + (offset & 3), size) : 0xffff_ffff
  }

  write(offset: number, value: number, size: number): void {
    if (offset < 4) {
      // Only a dword access reaches the address register; narrower ones belong to other devices (CF9h).
      if (size === 4) this.#address = (value & 0x80ff_fffc) >>> 0
      return
    }
    const target = this.#target()
    target?.config.write(target.register + (offset & 3), value, size)
  }

  #target(): { config: ConfigSpace; register: number } | undefined {
    if (!(this.#address & ENABLE) || (this.#address >> 16) & 0xff) return undefined
    const config = this.#functions.get((this.#address >> 8) & 0xff)
    return config && { config, register: this.#address & 0xfc }
  }
}

function hostBridge(): ConfigSpace {
  const config = new ConfigSpace({ vendor: 0x8086, device: 0x1237, classCode: 0x060000, revision: 2 })
  config.setU16(0x04, 0x0006)
  // Programmable attribute map: C0000h..FFFFFh is RAM, read and write.
  for (let i = 0x59; i <= 0x5f; i++) config.bytes[i] = 0x33
  config.allowWrites(0x59, [0x33, 0x33, 0x33, 0x33, 0x33, 0x33, 0x33])
  return config
}
