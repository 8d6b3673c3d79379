import { AR_G } from './segment.ts'

/**
 * Segment descriptors and gates as pairs of 32-bit words. [SDM3 3.4.5 "Segment Descriptors", 6.11 "IDT Descriptors"]
 */

/** Access rights in the VMCS format. */
export function descriptorAccess(high: number): number {
  return (high >>> 8) & 0xf0ff
}

export function descriptorBase(low: number, high: number): number {
  return ((low >>> 16) | ((high & 0xff) << 16) | (high & 0xff00_0000)) >>> 0
}

/** In bytes, granularity applied. */
export function descriptorLimit(low: number, high: number): number {
  const limit = (low & 0xffff) | (high & 0xf_0000)
  return ((high >>> 8) & AR_G) === 0 ? limit : ((limit << 12) | 0xfff) >>> 0
}

/** The two words of a descriptor; `limit` in bytes, its granularity by `access`. */
export function encodeDescriptor(base: number, limit: number, access: number): [low: number, high: number] {
  const units = (access & AR_G) === 0 ? limit : limit >>> 12
  return [
    ((units & 0xffff) | ((base & 0xffff) << 16)) >>> 0,
    (((base >>> 16) & 0xff) | ((access & 0xf0ff) << 8) | (units & 0xf_0000) | (base & 0xff00_0000)) >>> 0,
  ]
}

/** Offset of a gate, its low 32 bits. */
export function gateOffset(low: number, high: number): number {
  return ((low & 0xffff) | (high & 0xffff_0000)) >>> 0
}

export function gateSelector(low: number): number {
  return low >>> 16
}

/** `access`: type, DPL and P in their VMCS places; `parameter`: IST or parameter count. */
export function encodeGate(selector: number, offset: number, access: number, parameter = 0): [low: number, high: number] {
  return [((offset & 0xffff) | (selector << 16)) >>> 0, ((offset & 0xffff_0000) | ((access & 0xff) << 8) | parameter) >>> 0]
}
