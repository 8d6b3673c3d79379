import {
  CR4_PAE,
  CR4_PCIDE,
  EFER_LMA,
  EFER_LME,
  EFER_NXE,
  EFER_SCE,
  ENTRY_IA32E_MODE_GUEST,
  EXIT_HOST_ADDRESS_SPACE_SIZE,
  EXIT_LOAD_EFER,
  EXIT_LOAD_PAT,
} from '@guestmode/x86'
import { field } from '../vmcs-layout.ts'
import type { EntryCheck, EntryContext } from './check.ts'

export const eferDefined = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE

/** Each byte one of UC, WC, WT, WP, WB, UC-. */
export function isPat(c: EntryContext, number: number): boolean {
  const word = (value: number): boolean => {
    for (let shift = 0; shift < 32; shift += 8) {
      const type = (value >>> shift) & 0xff
      if (type > 7 || type === 2 || type === 3) return false
    }
    return true
  }
  return word(c.low(number)) && word(c.high(number))
}

const long = (c: EntryContext): boolean => (c.exit & EXIT_HOST_ADDRESS_SPACE_SIZE) !== 0

const selectors = [
  field.HOST_ES_SELECTOR,
  field.HOST_CS_SELECTOR,
  field.HOST_SS_SELECTOR,
  field.HOST_DS_SELECTOR,
  field.HOST_FS_SELECTOR,
  field.HOST_GS_SELECTOR,
  field.HOST_TR_SELECTOR,
]
const bases = [field.HOST_FS_BASE, field.HOST_GS_BASE, field.HOST_GDTR_BASE, field.HOST_IDTR_BASE, field.HOST_TR_BASE]

/** [SDM3 27.2.2 "Checks on Host Control Registers, MSRs, and SSP" to 27.2.4 "Checks Related to Address-Space Size"] */
export const hostStateChecks: readonly EntryCheck[] = [
  {
    name: 'host CR0: fixed bits',
    holds: (c) =>
      (c.low(field.HOST_CR0) & c.capabilities.cr0Fixed0) >>> 0 === c.capabilities.cr0Fixed0 && c.high(field.HOST_CR0) === 0,
  },
  {
    name: 'host CR4: fixed bits',
    holds: (c) => {
      const cr4 = c.low(field.HOST_CR4)
      const { cr4Fixed0, cr4Fixed1 } = c.capabilities
      return (cr4 & cr4Fixed0) === cr4Fixed0 && (cr4 & ~cr4Fixed1) === 0 && c.high(field.HOST_CR4) === 0
    },
  },
  { name: 'host CR3: physical-address width', holds: (c) => c.physical(field.HOST_CR3) },
  {
    name: 'host SYSENTER addresses: canonical',
    holds: (c) => c.canonical(field.HOST_SYSENTER_ESP) && c.canonical(field.HOST_SYSENTER_EIP),
  },
  { name: 'host PAT', holds: (c) => (c.exit & EXIT_LOAD_PAT) === 0 || isPat(c, field.HOST_IA32_PAT) },
  {
    name: 'host EFER',
    holds: (c) => {
      if ((c.exit & EXIT_LOAD_EFER) === 0) return true
      const efer = c.low(field.HOST_IA32_EFER)
      const mode = long(c) ? EFER_LMA | EFER_LME : 0
      return c.high(field.HOST_IA32_EFER) === 0 && (efer & ~eferDefined) === 0 && (efer & (EFER_LMA | EFER_LME)) === mode
    },
  },
  { name: 'host selectors: RPL and TI are 0', holds: (c) => selectors.every((number) => (c.low(number) & 7) === 0) },
  { name: 'host CS and TR: not null', holds: (c) => c.low(field.HOST_CS_SELECTOR) !== 0 && c.low(field.HOST_TR_SELECTOR) !== 0 },
  { name: 'host SS: not null in a 32-bit host', holds: (c) => long(c) || c.low(field.HOST_SS_SELECTOR) !== 0 },
  { name: 'host bases: canonical', holds: (c) => bases.every((number) => c.canonical(number)) },
  { name: 'host address-space size: as the host is', holds: (c) => long(c) === c.capabilities.longMode },
  {
    name: '32-bit host: no IA-32e guest, no PCIDE, 32-bit RIP',
    holds: (c) =>
      long(c) ||
      ((c.entry & ENTRY_IA32E_MODE_GUEST) === 0 && (c.low(field.HOST_CR4) & CR4_PCIDE) === 0 && c.high(field.HOST_RIP) === 0),
  },
  {
    name: '64-bit host: PAE, canonical RIP',
    holds: (c) => !long(c) || ((c.low(field.HOST_CR4) & CR4_PAE) !== 0 && c.canonical(field.HOST_RIP)),
  },
]
