import {
  CR0_CD,
  CR0_NW,
  CR0_PE,
  CR0_PG,
  CR4_PAE,
  CR4_PCIDE,
  EFER_LMA,
  EFER_LME,
  ENTRY_LOAD_DEBUG_CONTROLS,
  ENTRY_LOAD_EFER,
  ENTRY_LOAD_PAT,
} from '@guestmode/x86'
import { field } from '../vmcs-layout.ts'
import type { EntryCheck, EntryContext } from './check.ts'
import { eferDefined, isPat } from './host-state.ts'

/** LBR, BTF, TR, BTS, BTINT, BTS_OFF_OS, BTS_OFF_USR, FREEZE_LBRS, FREEZE_PERFMON, FREEZE_WHILE_SMM. */
const debugctlDefined = 0x5fc3

function cr0IsFixed(c: EntryContext): boolean {
  const required = c.unrestricted ? c.capabilities.cr0Fixed0 & ~(CR0_PE | CR0_PG) : c.capabilities.cr0Fixed0
  return (c.cr0 & required) === (required | 0) && c.high(field.GUEST_CR0) === 0
}

/** [SDM3 27.3.1.1 "Checks on Guest Control Registers, Debug Registers, and MSRs"] */
export const guestRegisterChecks: readonly EntryCheck[] = [
  { name: 'guest CR0: fixed bits', holds: cr0IsFixed },
  { name: 'guest CR0: paging needs protection', holds: (c) => !c.paging || c.protection },
  { name: 'guest CR0: NW needs CD', holds: (c) => (c.cr0 & CR0_NW) === 0 || (c.cr0 & CR0_CD) !== 0 },
  {
    name: 'guest CR4: fixed bits',
    holds: (c) => {
      const cr4 = c.low(field.GUEST_CR4)
      const { cr4Fixed0, cr4Fixed1 } = c.capabilities
      return (cr4 & cr4Fixed0) === cr4Fixed0 && (cr4 & ~cr4Fixed1) === 0 && c.high(field.GUEST_CR4) === 0
    },
  },
  {
    name: 'guest DEBUGCTL: reserved bits',
    holds: (c) =>
      (c.entry & ENTRY_LOAD_DEBUG_CONTROLS) === 0 ||
      ((c.low(field.GUEST_IA32_DEBUGCTL) & ~debugctlDefined) === 0 && c.high(field.GUEST_IA32_DEBUGCTL) === 0),
  },
  { name: 'IA-32e guest: paging and PAE', holds: (c) => !c.ia32e || (c.paging && (c.low(field.GUEST_CR4) & CR4_PAE) !== 0) },
  { name: 'PCIDE: in IA-32e guests only', holds: (c) => c.ia32e || (c.low(field.GUEST_CR4) & CR4_PCIDE) === 0 },
  { name: 'guest CR3: physical-address width', holds: (c) => c.physical(field.GUEST_CR3) },
  {
    name: 'guest DR7: high half is 0',
    holds: (c) => (c.entry & ENTRY_LOAD_DEBUG_CONTROLS) === 0 || c.high(field.GUEST_DR7) === 0,
  },
  {
    name: 'guest SYSENTER addresses: canonical',
    holds: (c) => c.canonical(field.GUEST_SYSENTER_ESP) && c.canonical(field.GUEST_SYSENTER_EIP),
  },
  { name: 'guest PAT', holds: (c) => (c.entry & ENTRY_LOAD_PAT) === 0 || isPat(c, field.GUEST_IA32_PAT) },
  {
    name: 'guest EFER: reserved bits',
    holds: (c) =>
      (c.entry & ENTRY_LOAD_EFER) === 0 ||
      ((c.low(field.GUEST_IA32_EFER) & ~eferDefined) === 0 && c.high(field.GUEST_IA32_EFER) === 0),
  },
  {
    name: 'guest EFER: LMA is "IA-32e mode guest"',
    holds: (c) => (c.entry & ENTRY_LOAD_EFER) === 0 || ((c.low(field.GUEST_IA32_EFER) & EFER_LMA) !== 0) === c.ia32e,
  },
  {
    name: 'guest EFER: LME is LMA under paging',
    holds: (c) => {
      const efer = c.low(field.GUEST_IA32_EFER)
      return (c.entry & ENTRY_LOAD_EFER) === 0 || !c.paging || ((efer & EFER_LME) !== 0) === ((efer & EFER_LMA) !== 0)
    },
  },
]
