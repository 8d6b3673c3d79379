import {
  ACTIVITY_ACTIVE,
  ACTIVITY_HLT,
  ACTIVITY_SHUTDOWN,
  AR_DPL,
  AR_L,
  BLOCKING_BY_MOV_SS,
  BLOCKING_BY_NMI,
  BLOCKING_BY_SMI,
  BLOCKING_BY_STI,
  CR4_PAE,
  DEBUGCTL_BTF,
  EFLAGS_IF,
  EFLAGS_TF,
  Exception,
  INTR_INFO_VECTOR,
  INTR_TYPE_EXTERNAL,
  INTR_TYPE_HARDWARE_EXCEPTION,
  INTR_TYPE_NMI,
  INTR_TYPE_OTHER,
  PIN_VIRTUAL_NMIS,
} from '@guestmode/x86'
import { field, VMCS_REVISION } from '../vmcs-layout.ts'
import { injectsExternalInterrupt } from './controls.ts'
import type { EntryCheck, EntryContext } from './check.ts'

const rflagsReserved = 0xffc0_8028
const pendingReserved = 0xfffe_aff0
const pendingSingleStep = 1 << 14

const blocking = (c: EntryContext): number => c.low(field.GUEST_INTERRUPTIBILITY_INFO)
const activity = (c: EntryContext): number => c.low(field.GUEST_ACTIVITY_STATE)

/** [SDM3 27.3.1.4 "Checks on Guest RIP, RFLAGS, and SSP"]; run at every entry. */
export const guestRipChecks: readonly EntryCheck[] = [
  {
    name: 'guest RIP',
    holds: (c) => {
      if (c.ia32e && (c.low(field.GUEST_CS_AR_BYTES) & AR_L) !== 0) return c.canonical(field.GUEST_RIP)
      return c.high(field.GUEST_RIP) === 0
    },
  },
  {
    name: 'guest RFLAGS: IF for an external interrupt',
    holds: (c) => !injectsExternalInterrupt(c) || (c.rflags & EFLAGS_IF) !== 0,
  },
]

export const guestRflagsChecks: readonly EntryCheck[] = [
  {
    name: 'guest RFLAGS: reserved bits',
    holds: (c) => (c.rflags & rflagsReserved) === 0 && (c.rflags & 2) !== 0 && c.high(field.GUEST_RFLAGS) === 0,
  },
  { name: 'guest RFLAGS: VM', holds: (c) => !c.virtual8086 || (!c.ia32e && c.protection) },
]

function injectableWhenHalted(c: EntryContext): boolean {
  const vector = c.injection & INTR_INFO_VECTOR
  switch (c.injectionType) {
    case -1:
    case INTR_TYPE_EXTERNAL:
    case INTR_TYPE_NMI:
      return true
    case INTR_TYPE_HARDWARE_EXCEPTION:
      return vector === Exception.DB || vector === Exception.MC
    default:
      return c.injectionType === INTR_TYPE_OTHER && vector === 0
  }
}

function injectableInShutdown(c: EntryContext): boolean {
  const vector = c.injection & INTR_INFO_VECTOR
  if (c.injectionType === INTR_TYPE_HARDWARE_EXCEPTION) return vector === Exception.MC
  return c.injectionType === -1 || c.injectionType === INTR_TYPE_NMI
}

/** A pending single step agrees with TF and BTF while something holds it back. */
function pendingStepAgrees(c: EntryContext): boolean {
  const isHeld = (blocking(c) & (BLOCKING_BY_STI | BLOCKING_BY_MOV_SS)) !== 0 || activity(c) === ACTIVITY_HLT
  if (!isHeld) return true
  const isDue = (c.rflags & EFLAGS_TF) !== 0 && (c.low(field.GUEST_IA32_DEBUGCTL) & DEBUGCTL_BTF) === 0
  return ((c.low(field.GUEST_PENDING_DBG_EXCEPTIONS) & pendingSingleStep) !== 0) === isDue
}

/** [SDM3 27.3.1.5 "Checks on Guest Non-Register State"]; run at every entry where there is something to check. */
export const guestNonRegisterChecks: readonly EntryCheck[] = [
  { name: 'guest activity state', holds: (c) => activity(c) <= ACTIVITY_SHUTDOWN },
  {
    name: 'guest activity state: HLT at CPL 0',
    holds: (c) => activity(c) !== ACTIVITY_HLT || (c.low(field.GUEST_SS_AR_BYTES) & AR_DPL) === 0,
  },
  {
    name: 'guest activity state: blocking by STI or MOV SS while active only',
    holds: (c) => activity(c) === ACTIVITY_ACTIVE || (blocking(c) & (BLOCKING_BY_STI | BLOCKING_BY_MOV_SS)) === 0,
  },
  {
    name: 'guest activity state: injected event',
    holds: (c) =>
      activity(c) === ACTIVITY_HLT ? injectableWhenHalted(c) : activity(c) !== ACTIVITY_SHUTDOWN || injectableInShutdown(c),
  },
  { name: 'guest interruptibility: reserved bits', holds: (c) => blocking(c) >>> 4 === 0 },
  {
    name: 'guest interruptibility: STI and MOV SS',
    holds: (c) => (blocking(c) & (BLOCKING_BY_STI | BLOCKING_BY_MOV_SS)) !== (BLOCKING_BY_STI | BLOCKING_BY_MOV_SS),
  },
  {
    name: 'guest interruptibility: STI needs IF',
    holds: (c) => (c.rflags & EFLAGS_IF) !== 0 || (blocking(c) & BLOCKING_BY_STI) === 0,
  },
  {
    name: 'guest interruptibility: external interrupt',
    holds: (c) => !injectsExternalInterrupt(c) || (blocking(c) & (BLOCKING_BY_STI | BLOCKING_BY_MOV_SS)) === 0,
  },
  {
    name: 'guest interruptibility: NMI after MOV SS',
    qualification: 3,
    holds: (c) => c.injectionType !== INTR_TYPE_NMI || (blocking(c) & BLOCKING_BY_MOV_SS) === 0,
  },
  { name: 'guest interruptibility: SMI', holds: (c) => (blocking(c) & BLOCKING_BY_SMI) === 0 },
  {
    name: 'guest interruptibility: virtual NMI while blocked',
    qualification: 3,
    holds: (c) => (c.pin & PIN_VIRTUAL_NMIS) === 0 || c.injectionType !== INTR_TYPE_NMI || (blocking(c) & BLOCKING_BY_NMI) === 0,
  },
  {
    name: 'guest pending debug exceptions: reserved bits',
    holds: (c) =>
      (c.low(field.GUEST_PENDING_DBG_EXCEPTIONS) & pendingReserved) === 0 && c.high(field.GUEST_PENDING_DBG_EXCEPTIONS) === 0,
  },
  { name: 'guest pending debug exceptions: single step', holds: pendingStepAgrees },
]

function linkPointer(c: EntryContext): boolean {
  const low = c.low(field.VMCS_LINK_POINTER)
  const high = c.high(field.VMCS_LINK_POINTER)
  if (low === 0xffff_ffff && high === 0xffff_ffff) return true
  if (!c.page(field.VMCS_LINK_POINTER)) return false
  const at = high * 0x1_0000_0000 + low
  return at < c.mem.physSize && at !== c.vmcs.pointer && c.mem.u32[(c.mem.physBase + at) >> 2] === VMCS_REVISION
}

/** [SDM3 27.3.1.6 "Checks on Guest Page-Directory-Pointer-Table Entries"]; our PDPTEs are those in memory. */
function pdptes(c: EntryContext): boolean {
  if (!c.paging || c.ia32e || (c.low(field.GUEST_CR4) & CR4_PAE) === 0 || c.ept) return true
  const table = (c.low(field.GUEST_CR3) & 0xffff_ffe0) >>> 0
  const reservedHigh = ~((1 << (c.capabilities.physicalAddressBits - 32)) - 1)
  for (let at = table; at < table + 32 && at + 8 <= c.mem.physSize; at += 8) {
    const low = c.mem.u32[(c.mem.physBase + at) >> 2]!
    const high = c.mem.u32[((c.mem.physBase + at) >> 2) + 1]!
    if ((low & 1) !== 0 && ((low & 0x1e6) !== 0 || (high & reservedHigh) !== 0)) return false
  }
  return true
}

export const guestPointerChecks: readonly EntryCheck[] = [
  { name: 'VMCS link pointer', qualification: 4, holds: linkPointer },
  { name: 'guest PDPTEs', qualification: 2, holds: pdptes },
]
