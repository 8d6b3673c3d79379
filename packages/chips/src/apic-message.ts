/**
 * Interrupt messages between APICs. [SDM3 11.6.1 "Interrupt Command Register (ICR)"] [SDM3 11.11 "Message Signalled Interrupts"]
 */
import type { Lapic } from './lapic.ts'

export const DELIVERY_FIXED = 0
export const DELIVERY_LOWEST_PRIORITY = 1
export const DELIVERY_SMI = 2
export const DELIVERY_NMI = 4
export const DELIVERY_INIT = 5
export const DELIVERY_STARTUP = 6
export const DELIVERY_EXTINT = 7

export type DeliveryMode = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7

export interface ApicMessage {
  vector: number
  deliveryMode: DeliveryMode
  destMode: 'physical' | 'logical'
  /** 8 bits, or 32 bits from a local APIC in x2APIC mode. */
  dest: number
  trigger: 'edge' | 'level'
}

export interface Ipi extends ApicMessage {
  shorthand: 'none' | 'self' | 'all' | 'others'
  /** False for INIT level de-assert. */
  assert: boolean
  /** The sender is in x2APIC mode: `dest` has 32 bits and FFh is no broadcast. */
  x2apic: boolean
}

/**
 * The local APICs that a message reaches. A lowest-priority message reaches one: the APIC with the lowest processor priority, the
 * first of equals. [SDM3 11.6.2.4 "Lowest Priority Delivery Mode"]
 */
export function destinations(lapics: readonly Lapic[], message: ApicMessage | Ipi, sender?: Lapic): Lapic[] {
  const shorthand = 'shorthand' in message ? message.shorthand : 'none'
  if (shorthand === 'self') return sender ? [sender] : []
  if (shorthand === 'all') return [...lapics]
  if (shorthand === 'others') return lapics.filter((lapic) => lapic !== sender)
  const x2apic = 'x2apic' in message && message.x2apic
  const matching = lapics.filter((lapic) => lapic.matches(message.dest, message.destMode, x2apic))
  if (message.deliveryMode !== DELIVERY_LOWEST_PRIORITY) return matching
  const candidates = matching.filter((lapic) => lapic.softwareEnabled)
  const lowest = candidates.reduce<Lapic | undefined>(
    (a, b) => (a && a.processorPriority <= b.processorPriority ? a : b),
    undefined,
  )
  return lowest ? [lowest] : []
}
