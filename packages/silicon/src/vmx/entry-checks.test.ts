import * as x86 from '@guestmode/x86'
import {
  ExitReason,
  guestAccess,
  guestBase,
  guestLimit,
  guestSelector,
  SEG_CS,
  SEG_DS,
  SEG_ES,
  SEG_LDTR,
  SEG_SS,
  SEG_TR,
  Vmcs,
} from '@guestmode/x86'
import { describe, expect, test } from 'vitest'
import { readyMachine, type VmxMachine } from '../../test/vmx-machine.ts'
import { controlChecks, injectionChecks } from './entry-checks/controls.ts'
import { guestStateChecks } from './entry-checks/guest-state.ts'
import { hostStateChecks } from './entry-checks/host-state.ts'

type Change = (m: VmxMachine) => void

const set =
  (field: number, value: number | bigint): Change =>
  (m) =>
    m.vmx.vmwrite(field, BigInt(value))
const add =
  (field: number, bits: number): Change =>
  (m) =>
    m.vmx.vmwrite32(field, (m.vmx.vmread32(field) | bits) >>> 0)
const remove =
  (field: number, bits: number): Change =>
  (m) =>
    m.vmx.vmwrite32(field, (m.vmx.vmread32(field) & ~bits) >>> 0)
const both =
  (...changes: Change[]): Change =>
  (m) =>
    changes.forEach((change) => change(m))
const { PIN_BASED_VM_EXEC_CONTROL: PIN, CPU_BASED_VM_EXEC_CONTROL: CPU, SECONDARY_VM_EXEC_CONTROL: SECONDARY } = Vmcs
const inject = (information: number): Change => set(Vmcs.VM_ENTRY_INTR_INFO, (information | x86.INTR_INFO_VALID) >>> 0)
const restricted = remove(SECONDARY, x86.SECONDARY_UNRESTRICTED_GUEST)
const bad = 0x8000_0000_0000n

const controls: Record<string, Change> = {
  'pin-based controls: reserved bits': remove(PIN, x86.PIN_EXTERNAL_INTERRUPT_EXITING),
  'primary processor-based controls: reserved bits': add(CPU, 1),
  'secondary processor-based controls: reserved bits': add(SECONDARY, 1 << 9),
  'CR3-target count: at most 4': set(Vmcs.CR3_TARGET_COUNT, 5),
  'I/O bitmap addresses': set(Vmcs.IO_BITMAP_B, 0x123),
  'MSR bitmap address': set(Vmcs.MSR_BITMAP, 1n << 45n),
  'virtual-APIC address': both(add(CPU, x86.CPU_USE_TPR_SHADOW), set(Vmcs.VIRTUAL_APIC_PAGE_ADDR, 4)),
  'TPR threshold: reserved bits': both(add(CPU, x86.CPU_USE_TPR_SHADOW), set(Vmcs.TPR_THRESHOLD, 16)),
  'TPR threshold: at most VTPR': both(
    add(CPU, x86.CPU_USE_TPR_SHADOW),
    set(Vmcs.VIRTUAL_APIC_PAGE_ADDR, 0xb000),
    set(Vmcs.TPR_THRESHOLD, 3),
  ),
  'virtual NMIs need NMI exiting': remove(PIN, x86.PIN_NMI_EXITING),
  'NMI-window exiting needs virtual NMIs': both(remove(PIN, x86.PIN_VIRTUAL_NMIS), add(CPU, x86.CPU_NMI_WINDOW_EXITING)),
  'VPID: not 0': set(Vmcs.VIRTUAL_PROCESSOR_ID, 0),
  'EPT pointer: memory type': add(Vmcs.EPT_POINTER, 1),
  'EPT pointer: walk length': remove(Vmcs.EPT_POINTER, 8),
  'EPT pointer: reserved bits': add(Vmcs.EPT_POINTER, 0x80),
  'unrestricted guest needs EPT': remove(SECONDARY, x86.SECONDARY_EPT),
  'VM-exit controls: reserved bits': add(Vmcs.VM_EXIT_CONTROLS, 1 << 12),
  'saving the preemption timer needs it active': add(Vmcs.VM_EXIT_CONTROLS, x86.EXIT_SAVE_PREEMPTION_TIMER),
  'VM-exit MSR-store area': both(set(Vmcs.VM_EXIT_MSR_STORE_COUNT, 1), set(Vmcs.VM_EXIT_MSR_STORE_ADDR, 8)),
  'VM-exit MSR-load area': both(set(Vmcs.VM_EXIT_MSR_LOAD_COUNT, 1), set(Vmcs.VM_EXIT_MSR_LOAD_ADDR, 1n << 40n)),
  'VM-entry controls: reserved bits': add(Vmcs.VM_ENTRY_CONTROLS, 1 << 10),
  'VM-entry MSR-load area': both(set(Vmcs.VM_ENTRY_MSR_LOAD_COUNT, 1), set(Vmcs.VM_ENTRY_MSR_LOAD_ADDR, (1n << 40n) - 8n)),
  'interruption information: type': inject(0x120),
  'interruption information: vector': inject(0x203),
  'interruption information: error code': inject(0x30d),
  'interruption information: reserved bits': inject(0x1020),
  'exception error code: reserved bits': both(inject(0xb0d), set(Vmcs.VM_ENTRY_EXCEPTION_ERROR_CODE, 0x1_0000)),
  'VM-entry instruction length': both(inject(0x480), set(Vmcs.VM_ENTRY_INSTRUCTION_LENGTH, 16)),
}

const host: Record<string, Change> = {
  'host CR0: fixed bits': set(Vmcs.HOST_CR0, 0x8000_0011),
  'host CR4: fixed bits': set(Vmcs.HOST_CR4, x86.CR4_PAE),
  'host CR3: physical-address width': set(Vmcs.HOST_CR3, 1n << 50n),
  'host SYSENTER addresses: canonical': set(Vmcs.HOST_SYSENTER_EIP, bad),
  'host PAT': both(add(Vmcs.VM_EXIT_CONTROLS, x86.EXIT_LOAD_PAT), set(Vmcs.HOST_IA32_PAT, 0x0300n)),
  'host EFER': set(Vmcs.HOST_IA32_EFER, x86.EFER_LME),
  'host selectors: RPL and TI are 0': set(Vmcs.HOST_DS_SELECTOR, 0x13),
  'host CS and TR: not null': set(Vmcs.HOST_TR_SELECTOR, 0),
  'host bases: canonical': set(Vmcs.HOST_GDTR_BASE, bad),
  'host address-space size: as the host is': both(
    remove(Vmcs.VM_EXIT_CONTROLS, x86.EXIT_HOST_ADDRESS_SPACE_SIZE),
    set(Vmcs.HOST_IA32_EFER, 0),
    set(Vmcs.HOST_SS_SELECTOR, 16),
  ),
  '64-bit host: PAE, canonical RIP': set(Vmcs.HOST_RIP, bad),
}

const v86: Change = both(
  set(Vmcs.GUEST_RFLAGS, 0x2_0002),
  ...[0, 1, 2, 3, 4, 5].map((seg) =>
    both(set(guestSelector(seg), 0x100), set(guestBase(seg), 0x1000), set(guestLimit(seg), 0xffff), set(guestAccess(seg), 0xf3)),
  ),
)
const long: Change = both(
  add(Vmcs.VM_ENTRY_CONTROLS, x86.ENTRY_IA32E_MODE_GUEST),
  set(Vmcs.GUEST_IA32_EFER, x86.EFER_LMA | x86.EFER_LME),
  add(Vmcs.GUEST_CR0, x86.CR0_PG),
  add(Vmcs.GUEST_CR4, x86.CR4_PAE),
)
const halted = set(Vmcs.GUEST_ACTIVITY_STATE, x86.ACTIVITY_HLT)
const blocked = (bits: number): Change => set(Vmcs.GUEST_INTERRUPTIBILITY_INFO, bits)
const interruptible = add(Vmcs.GUEST_RFLAGS, 0x200)

const guest: Record<string, Change> = {
  'guest CR0: fixed bits': remove(Vmcs.GUEST_CR0, x86.CR0_NE),
  'guest CR0: paging needs protection': both(add(Vmcs.GUEST_CR0, x86.CR0_PG), remove(Vmcs.GUEST_CR0, 1)),
  'guest CR0: NW needs CD': add(Vmcs.GUEST_CR0, x86.CR0_NW),
  'guest CR4: fixed bits': set(Vmcs.GUEST_CR4, 0),
  'guest DEBUGCTL: reserved bits': set(Vmcs.GUEST_IA32_DEBUGCTL, 4),
  'IA-32e guest: paging and PAE': both(long, remove(Vmcs.GUEST_CR4, x86.CR4_PAE)),
  'PCIDE: in IA-32e guests only': add(Vmcs.GUEST_CR4, x86.CR4_PCIDE),
  'guest CR3: physical-address width': set(Vmcs.GUEST_CR3, 1n << 48n),
  'guest DR7: high half is 0': set(Vmcs.GUEST_DR7, 1n << 32n),
  'guest SYSENTER addresses: canonical': set(Vmcs.GUEST_SYSENTER_ESP, bad),
  'guest PAT': both(add(Vmcs.VM_ENTRY_CONTROLS, x86.ENTRY_LOAD_PAT), set(Vmcs.GUEST_IA32_PAT, 2)),
  'guest EFER: reserved bits': set(Vmcs.GUEST_IA32_EFER, 2),
  'guest EFER: LMA is "IA-32e mode guest"': set(Vmcs.GUEST_IA32_EFER, x86.EFER_LMA),
  'guest EFER: LME is LMA under paging': both(add(Vmcs.GUEST_CR0, x86.CR0_PG), set(Vmcs.GUEST_IA32_EFER, x86.EFER_LME)),
  'guest TR: selector has TI = 0': set(Vmcs.GUEST_TR_SELECTOR, 4),
  'guest LDTR: selector has TI = 0': both(set(guestAccess(SEG_LDTR), 0x82), set(Vmcs.GUEST_LDTR_SELECTOR, 4)),
  'guest SS: selector has the RPL of CS': both(restricted, add(Vmcs.GUEST_CR0, x86.CR0_PG), set(Vmcs.GUEST_SS_SELECTOR, 0x13)),
  'guest ES: virtual-8086 base': both(v86, set(Vmcs.GUEST_ES_BASE, 0x1004)),
  'guest CS: virtual-8086 limit': both(v86, set(Vmcs.GUEST_CS_LIMIT, 0x1_ffff)),
  'guest GS: virtual-8086 access rights': both(v86, set(Vmcs.GUEST_GS_AR_BYTES, 0x93)),
  'guest FS: canonical base': set(Vmcs.GUEST_FS_BASE, bad),
  'guest TR: canonical base': set(Vmcs.GUEST_TR_BASE, bad),
  'guest LDTR: canonical base': both(set(guestAccess(SEG_LDTR), 0x82), set(Vmcs.GUEST_LDTR_BASE, bad)),
  'guest CS: 32-bit base': set(Vmcs.GUEST_CS_BASE, 1n << 32n),
  'guest SS: 32-bit base': set(Vmcs.GUEST_SS_BASE, 1n << 32n),
  'guest CS: type': set(Vmcs.GUEST_CS_AR_BYTES, 0xc098),
  'guest SS: type': set(Vmcs.GUEST_SS_AR_BYTES, 0xc091),
  'guest DS: type': set(Vmcs.GUEST_DS_AR_BYTES, 0xc099),
  'guest ES: S is 1': set(guestAccess(SEG_ES), 0xc083),
  'guest CS: DPL': set(guestAccess(SEG_CS), 0xc0fb),
  'guest SS: DPL': both(set(guestAccess(SEG_CS), 0xc0fb), set(guestAccess(SEG_SS), 0xc0f3), remove(Vmcs.GUEST_CR0, 1)),
  'guest DS: DPL at least RPL': both(restricted, add(Vmcs.GUEST_CR0, x86.CR0_PG), set(guestSelector(SEG_DS), 0x13)),
  'guest SS: present': set(guestAccess(SEG_SS), 0xc013),
  'guest DS: reserved access rights': set(guestAccess(SEG_DS), 0xc193),
  'guest CS: D is 0 in 64-bit mode': both(long, set(guestAccess(SEG_CS), 0xe09b)),
  'guest CS: granularity': set(guestLimit(SEG_CS), 0xffff_fffe),
  'guest ES: granularity': both(set(guestLimit(SEG_ES), 0x10_0000), set(guestAccess(SEG_ES), 0x4093)),
  'guest TR: type': set(guestAccess(SEG_TR), 0x89),
  'guest TR: S is 0': set(guestAccess(SEG_TR), 0x9b),
  'guest TR: present': set(guestAccess(SEG_TR), 0x0b),
  'guest TR: reserved access rights': set(guestAccess(SEG_TR), 0x18b),
  'guest TR: granularity': set(guestAccess(SEG_TR), 0x808b),
  'guest TR: usable': set(guestAccess(SEG_TR), 0x1_008b),
  'guest LDTR: type': set(guestAccess(SEG_LDTR), 0x83),
  'guest LDTR: S is 0': set(guestAccess(SEG_LDTR), 0x92),
  'guest LDTR: present': set(guestAccess(SEG_LDTR), 0x02),
  'guest GDTR: canonical base': set(Vmcs.GUEST_GDTR_BASE, bad),
  'guest IDTR: canonical base': set(Vmcs.GUEST_IDTR_BASE, bad),
  'guest GDTR and IDTR: 16-bit limits': set(Vmcs.GUEST_IDTR_LIMIT, 0x1_0000),
  'guest RIP': set(Vmcs.GUEST_RIP, 1n << 32n),
  'guest RFLAGS: IF for an external interrupt': inject(0x20),
  'guest RFLAGS: reserved bits': set(Vmcs.GUEST_RFLAGS, 0xa),
  'guest RFLAGS: VM': both(v86, remove(Vmcs.GUEST_CR0, 1)),
  'guest activity state': set(Vmcs.GUEST_ACTIVITY_STATE, 3),
  'guest activity state: HLT at CPL 0': both(halted, set(guestAccess(SEG_CS), 0xc0fb), set(guestAccess(SEG_SS), 0xc0f3)),
  'guest activity state: blocking by STI or MOV SS while active only': both(halted, interruptible, blocked(1)),
  'guest activity state: injected event': both(halted, inject(0x306)),
  'guest interruptibility: reserved bits': blocked(0x20),
  'guest interruptibility: STI and MOV SS': both(interruptible, blocked(3)),
  'guest interruptibility: STI needs IF': blocked(1),
  'guest interruptibility: external interrupt': both(interruptible, blocked(2), inject(0x20)),
  'guest interruptibility: NMI after MOV SS': both(blocked(2), inject(0x202)),
  'guest interruptibility: SMI': blocked(4),
  'guest interruptibility: virtual NMI while blocked': both(blocked(8), inject(0x202)),
  'guest pending debug exceptions: reserved bits': set(Vmcs.GUEST_PENDING_DBG_EXCEPTIONS, 0x20),
  'guest pending debug exceptions: single step': both(add(Vmcs.GUEST_RFLAGS, 0x300), blocked(1)),
  'VMCS link pointer': set(Vmcs.VMCS_LINK_POINTER, 0x5000),
  'guest PDPTEs': both(
    remove(SECONDARY, x86.SECONDARY_EPT | x86.SECONDARY_UNRESTRICTED_GUEST),
    add(Vmcs.GUEST_CR0, x86.CR0_PG),
    add(Vmcs.GUEST_CR4, x86.CR4_PAE),
    set(Vmcs.GUEST_CR3, 0xd000),
    (m) => m.poke32(0xd008, 3),
  ),
}

/** Rules that can only fail together with an earlier one. */
const shadowed = new Set(['host SS: not null in a 32-bit host', '32-bit host: no IA-32e guest, no PCIDE, 32-bit RIP'])

function uncovered(checks: readonly { name: string }[], cases: Record<string, Change>): string[] {
  const stem = (name: string): string => name.replace(/^guest (ES|CS|SS|DS|FS|GS|LDTR|TR|GDTR|IDTR): /, '')
  const tried = new Set(Object.keys(cases).map(stem))
  return checks.map(({ name }) => name).filter((name) => !tried.has(stem(name)) && !shadowed.has(name))
}

describe('controls', () => {
  test.each(Object.entries(controls))('%s', (name, change) => {
    const m = readyMachine()
    change(m)
    expect(m.vmx.vmlaunch(1)).toBe(x86.VMXERR_ENTRY_INVALID_CONTROLS)
    expect(m.vmx.lastEntryFailure).toBe(name)
    expect(m.vmx.vmread32(Vmcs.VM_INSTRUCTION_ERROR)).toBe(7)
  })

  test('every rule is tried', () => expect(uncovered([...controlChecks, ...injectionChecks], controls)).toEqual([]))
})

describe('host state', () => {
  test.each(Object.entries(host))('%s', (name, change) => {
    const m = readyMachine()
    change(m)
    expect(m.vmx.vmlaunch(1)).toBe(x86.VMXERR_ENTRY_INVALID_HOST_STATE)
    expect(m.vmx.lastEntryFailure).toBe(name)
  })

  test('every rule is tried', () => expect(uncovered(hostStateChecks, host)).toEqual([]))
})

describe('guest state', () => {
  test.each(Object.entries(guest))('%s', (name, change) => {
    const m = readyMachine()
    change(m)
    expect(m.vmx.vmlaunch(1)).toBe(undefined)
    expect(m.vmx.lastEntryFailure).toBe(name)
    expect(m.vmx.vmread32(Vmcs.VM_EXIT_REASON)).toBe((ExitReason.ENTRY_FAILURE | ExitReason.INVALID_GUEST_STATE) >>> 0)
  })

  test.each(Object.entries(guest))('%s, written after a first entry', (name, change) => {
    const m = readyMachine()
    expect(m.vmx.vmlaunch(1)).toBe(undefined)
    change(m)
    expect(m.vmx.vmresume(1)).toBe(undefined)
    expect(m.vmx.lastEntryFailure).toBe(name)
  })

  test('every rule is tried', () => expect(uncovered(guestStateChecks, guest)).toEqual([]))

  test.each([
    ['virtual-8086', v86],
    ['64-bit', both(long, set(guestAccess(SEG_CS), 0xa09b), set(Vmcs.GUEST_RIP, 0xffff_8000_0000_0000n))],
  ] as const)('a %s guest enters', (_, change) => {
    const m = readyMachine()
    change(m)
    expect(m.vmx.vmlaunch(1)).toBe(undefined)
    expect(m.vmx.lastEntryFailure).toBe(undefined)
  })

  test('failures that say more in the qualification', () => {
    for (const [name, qualification] of [
      ['VMCS link pointer', 4],
      ['guest PDPTEs', 2],
      ['guest interruptibility: NMI after MOV SS', 3],
    ] as const) {
      const m = readyMachine()
      guest[name]!(m)
      m.vmx.vmlaunch(1)
      expect(m.vmx.vmread32(Vmcs.EXIT_QUALIFICATION)).toBe(qualification)
    }
  })
})
