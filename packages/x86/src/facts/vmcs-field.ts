import * as Vmcs from './vmcs.ts'

/** What the encoding of a VMCS field says of it. [SDM3 Table 25-21 "Structure of VMCS Component Encoding"] */

export type VmcsFieldName = keyof typeof Vmcs
export type VmcsFieldKind = 'control' | 'read-only' | 'guest' | 'host'

const kinds = ['control', 'read-only', 'guest', 'host'] as const
const widths = [16, 64, 32, 'natural'] as const

export function vmcsFieldKind(encoding: number): VmcsFieldKind {
  return kinds[(encoding >>> 10) & 3]!
}

export function vmcsFieldWidth(encoding: number): 16 | 32 | 64 | 'natural' {
  return widths[(encoding >>> 13) & 3]!
}

/** Every field by name. */
export const vmcsFields: Readonly<Record<VmcsFieldName, number>> = { ...Vmcs }

const names = new Map<number, VmcsFieldName>(
  Object.entries(vmcsFields).map(([name, encoding]) => [encoding, name as VmcsFieldName]),
)

export function vmcsFieldName(encoding: number): VmcsFieldName | undefined {
  return names.get(encoding)
}

/** Fields of the segment register `seg` (ES CS SS DS FS GS LDTR TR) stand two encodings apart. */
export const guestSelector = (seg: number): number => Vmcs.GUEST_ES_SELECTOR + 2 * seg
export const guestLimit = (seg: number): number => Vmcs.GUEST_ES_LIMIT + 2 * seg
export const guestAccess = (seg: number): number => Vmcs.GUEST_ES_AR_BYTES + 2 * seg
export const guestBase = (seg: number): number => Vmcs.GUEST_ES_BASE + 2 * seg
