import { destinations, I8259Pair, I82093AA, type ApicMessage, type Ipi, type Lapic } from '@guestmode/chips'
import type { PortBus } from '../devices/port-bus.ts'
import type { Vm } from '../vm.ts'
import { defaultRouting, type GsiRouting } from './routing.ts'

export const IOAPIC_BASE = 0xfec0_0000
export const IOAPIC_SIZE = 0x100

/** Who drives a line; a pin is up while any of them holds it. */
export const IrqSource = { userspace: 1, pit: 2, irqfd: 4 } as const

/** The PIC and the I/O APIC of a VM. */
export interface Chips {
  readonly pic: I8259Pair
  readonly ioapic: I82093AA
}

/**
 * Interrupts of a VM, from GSIs to local APICs. `chips` is there after KVM_CREATE_IRQCHIP; with a split irqchip only local APICs
 * are, and GSIs go to them as messages.
 */
export class InterruptRouter {
  readonly mode: 'kernel' | 'split'
  readonly chips: Chips | undefined
  routing: GsiRouting
  /** Called when the guest acknowledged an interrupt of a pin (`pic`: IRQ, `ioapic`: pin). */
  readonly acknowledged = new Set<(kind: 'pic' | 'ioapic', pin: number) => void>()
  readonly #vm: Vm
  readonly #picLevels = new Uint8Array(16)
  readonly #ioapicLevels = new Uint8Array(24)

  constructor(vm: Vm, mode: 'kernel' | 'split') {
    this.#vm = vm
    this.mode = mode
    this.routing = mode === 'kernel' ? defaultRouting() : new Map()
    if (mode !== 'kernel') return
    const pic = new I8259Pair({ int: () => this.#picChanged() })
    const ioapic = new I82093AA({
      deliver: (message) => void this.deliver(message),
      eoi: (pin) => this.#notify('ioapic', pin),
    })
    this.chips = { pic, ioapic }
  }

  /** 8259A registers and ELCR. */
  attachPorts(ports: PortBus): void {
    const { pic } = this.chips!
    for (const [base, chip] of [
      [0x20, pic.master],
      [0xa0, pic.slave],
    ] as const) {
      ports.add(base, 2, { read: (port) => chip.read(port & 1), write: (port, value) => this.#writePic(chip, port & 1, value) })
    }
    ports.add(0x4d0, 2, {
      read: (port) => (port & 1 ? pic.slave : pic.master).elcr,
      write: (port, value) => void ((port & 1 ? pic.slave : pic.master).elcr = value),
    })
  }

  /** EOI through OCW2 also tells those who wait for the guest to be done. */
  #writePic(chip: I8259Pair['master'], a0: number, value: number): void {
    const before = chip.save().isr
    chip.write(a0, value)
    const ended = before & ~chip.save().isr
    const base = chip === this.chips!.pic.slave ? 8 : 0
    for (let i = 0; i < 8; i++) if ((ended >> i) & 1) this.#notify('pic', base + i)
  }

  #picChanged(): void {
    const { vcpu } = this.#vm
    if (vcpu !== undefined) vcpu.eventRequested = true
  }

  #notify(kind: 'pic' | 'ioapic', pin: number): void {
    for (const listener of this.acknowledged) listener(kind, pin)
  }

  /** Drives a GSI. Negative: masked or not routed; 0: one was pending already; else to how many it went. */
  setIrq(gsi: number, level: boolean, source: number): number {
    this.#vm.trace?.({ name: 'kvm_set_irq', gsi, level: level ? 1 : 0, irqSourceId: source })
    let result = -1
    for (const target of this.routing.get(gsi) ?? []) {
      const one =
        target.kind === 'pic'
          ? this.#setPic(target.irq, level, source)
          : target.kind === 'ioapic'
            ? this.#setIoapic(target.pin, level, source)
            : level
              ? this.deliver(target.message)
              : -1
      if (one >= 0) result = one + Math.max(result, 0)
    }
    return result
  }

  #setPic(irq: number, level: boolean, source: number): number {
    const { pic } = this.chips!
    const held = level ? this.#picLevels[irq]! | source : this.#picLevels[irq]! & ~source
    this.#picLevels[irq] = held
    const chip = irq < 8 ? pic.master : pic.slave
    const bit = 1 << (irq & 7)
    const { irr, imr } = chip.save()
    pic.setIrq(irq, held !== 0)
    if ((imr & bit) !== 0) return -1
    return level && (irr & bit) !== 0 ? 0 : 1
  }

  #setIoapic(pin: number, level: boolean, source: number): number {
    const { ioapic } = this.chips!
    const wasHeld = this.#ioapicLevels[pin]! !== 0
    const held = level ? this.#ioapicLevels[pin]! | source : this.#ioapicLevels[pin]! & ~source
    this.#ioapicLevels[pin] = held
    ioapic.setIrq(pin, held !== 0)
    return level && wasHeld ? 0 : 1
  }

  /** Delivers a message to local APICs: how many took it, or -1 where it is for none. */
  deliver(message: ApicMessage | Ipi, sender?: Lapic): number {
    const { lapics } = this.#vm
    const found = destinations(lapics, message, sender)
    if (found.length === 0) return -1
    return found.reduce((count, lapic) => count + (lapic.accept(message) ? 1 : 0), 0)
  }

  /** Takes the vector of the PIC: the two INTA cycles. */
  acknowledgePic(): number {
    const { pic } = this.chips!
    const isAuto = (chip: I8259Pair['master']) => chip.save().autoEoi !== 0
    const master = pic.master.pendingInput()
    const irq = master === 2 ? 8 + pic.slave.pendingInput() : master
    const vector = pic.acknowledge()
    this.#vm.trace?.({ name: 'kvm_ack_irq', irqchip: irq < 8 ? 0 : 1, pin: irq & 7 })
    if (irq >= 0 && isAuto(irq < 8 ? pic.master : pic.slave)) this.#notify('pic', irq)
    return vector
  }
}
