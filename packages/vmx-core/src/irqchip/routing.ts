import type { ApicMessage, DeliveryMode } from '@guestmode/chips'
import {
  KVM_IOAPIC_NUM_PINS,
  KVM_IRQCHIP_IOAPIC,
  KVM_IRQCHIP_PIC_MASTER,
  KVM_IRQCHIP_PIC_SLAVE,
  KVM_IRQ_ROUTING_IRQCHIP,
  KVM_IRQ_ROUTING_MSI,
  type KvmIrqRoutingEntry,
} from '@guestmode/kvm-abi'

/** Where a GSI goes. */
export type RoutingTarget =
  | { readonly kind: 'pic'; readonly irq: number }
  | { readonly kind: 'ioapic'; readonly pin: number }
  | { readonly kind: 'msi'; readonly message: ApicMessage }

/** [Linux include/linux/kvm_host.h KVM_MAX_IRQ_ROUTES] */
export const MAX_GSI = 4096
const PIC_PINS = 8

export type GsiRouting = ReadonlyMap<number, readonly RoutingTarget[]>

/** GSI n is IRQ n of the 8259As, and pin n of the I/O APIC. */
export function defaultRouting(): GsiRouting {
  const routing = new Map<number, RoutingTarget[]>()
  for (let gsi = 0; gsi < KVM_IOAPIC_NUM_PINS; gsi++) {
    const ioapic: RoutingTarget = { kind: 'ioapic', pin: gsi }
    routing.set(gsi, gsi < 2 * PIC_PINS ? [{ kind: 'pic', irq: gsi }, ioapic] : [ioapic])
  }
  return routing
}

/** [SDM3 11.11 "Message Signalled Interrupts"] */
export function msiMessage(address: number, addressHigh: number, data: number): ApicMessage {
  return {
    vector: data & 0xff,
    deliveryMode: ((data >>> 8) & 7) as DeliveryMode,
    destMode: (address & 4) !== 0 ? 'logical' : 'physical',
    dest: (((address >>> 12) & 0xff) | (addressHigh & 0xffff_ff00)) >>> 0,
    trigger: (data & 0x8000) !== 0 ? 'level' : 'edge',
  }
}

/** The table of KVM_SET_GSI_ROUTING; undefined: not allowed. `withChips`: the VM has its PIC and I/O APIC. */
export function parseRouting(entries: readonly KvmIrqRoutingEntry[], withChips: boolean): GsiRouting | undefined {
  const routing = new Map<number, RoutingTarget[]>()
  for (const entry of entries) {
    const target = parseEntry(entry, withChips)
    if (target === undefined || entry.gsi >= MAX_GSI) return undefined
    const others = routing.get(entry.gsi) ?? []
    // A GSI has one entry for each chip, or one MSI.
    if (others.some((other) => other.kind === 'msi' || target.kind === 'msi' || other.kind === target.kind)) return undefined
    routing.set(entry.gsi, [...others, target])
  }
  return routing
}

function parseEntry(entry: KvmIrqRoutingEntry, withChips: boolean): RoutingTarget | undefined {
  if (entry.type === KVM_IRQ_ROUTING_MSI) {
    const { addressLo = 0, addressHi = 0, data = 0 } = entry.msi ?? {}
    return { kind: 'msi', message: msiMessage(addressLo, addressHi, data) }
  }
  const { irqchip = 0, pin = 0 } = entry.irqchip ?? {}
  if (entry.type !== KVM_IRQ_ROUTING_IRQCHIP || entry.flags || !withChips) return undefined
  switch (irqchip) {
    case KVM_IRQCHIP_PIC_MASTER:
      return pin < PIC_PINS ? { kind: 'pic', irq: pin } : undefined
    case KVM_IRQCHIP_PIC_SLAVE:
      return pin < PIC_PINS ? { kind: 'pic', irq: pin + PIC_PINS } : undefined
    case KVM_IRQCHIP_IOAPIC:
      return pin < KVM_IOAPIC_NUM_PINS ? { kind: 'ioapic', pin } : undefined
    default:
      return undefined
  }
}
