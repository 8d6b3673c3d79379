import {
  cpuState,
  guestAccess,
  guestBase,
  guestLimit,
  guestSelector,
  Vmcs,
  vmcsFields,
  vmcsFieldWidth,
  type VmcsFieldName,
} from '@guestmode/x86'

/**
 * Format of our VMCS regions: revision identifier, VMX-abort indicator, launch state, then 8 bytes for each field in the order
 * of encodings. [SDM3 25.2 "Format of the VMCS Region"]
 */
export const VMCS_REVISION = 0x0047_4d01
export const vmcsRegion = { revision: 0, abort: 4, launchState: 8, fields: 16, bytes: 4096 } as const

const encodings = Object.values(vmcsFields).sort((a, b) => a - b)

/** Field numbers are dense: they index the arrays below. -1: there is no such field. */
const numbers = new Int16Array(1024).fill(-1)
const keyMask = 0x6c7e

/** Width, kind and low six bits of the index. */
const keyOf = (encoding: number): number => ((encoding >>> 5) & 0x300) | ((encoding >>> 4) & 0xc0) | ((encoding >>> 1) & 0x3f)
encodings.forEach((encoding, i) => (numbers[keyOf(encoding)] = i))

/** Field number of an encoding without its access-type bit, or -1. */
export function fieldNumber(encoding: number): number {
  return (encoding & ~keyMask) === 0 ? numbers[keyOf(encoding)]! : -1
}

export const encodingOf = (field: number): number => encodings[field]!

/** Where a guest-state field lives while its VMCS is current: in the CPU state itself. */
export const binding = { none: 0, u32: 1, u64: 2, rflags: 3 } as const
export const bindingKinds = new Uint8Array(encodings.length)
export const bindingOffsets = new Int32Array(encodings.length)
/** Bits that the field keeps of a written value: low and high word. */
export const masksLow = new Uint32Array(encodings.length)
export const masksHigh = new Uint32Array(encodings.length)

encodings.forEach((encoding, i) => {
  const width = vmcsFieldWidth(encoding)
  masksLow[i] = width === 16 ? 0xffff : 0xffff_ffff
  masksHigh[i] = width === 64 || width === 'natural' ? 0xffff_ffff : 0
})

function bind(encoding: number, kind: number, offset: number): void {
  const field = fieldNumber(encoding)
  bindingKinds[field] = kind
  bindingOffsets[field] = offset
}

const { fields } = cpuState
for (let seg = 0; seg < 8; seg++) {
  bind(guestSelector(seg), binding.u32, fields.segSelector.offset + 4 * seg)
  bind(guestLimit(seg), binding.u32, fields.segLimit.offset + 4 * seg)
  bind(guestAccess(seg), binding.u32, fields.segAccess.offset + 4 * seg)
  bind(guestBase(seg), binding.u64, fields.segBase.offset + 8 * seg)
}
bind(Vmcs.GUEST_GDTR_LIMIT, binding.u32, fields.gdtrLimit.offset)
bind(Vmcs.GUEST_IDTR_LIMIT, binding.u32, fields.idtrLimit.offset)
bind(Vmcs.GUEST_GDTR_BASE, binding.u64, fields.gdtrBase.offset)
bind(Vmcs.GUEST_IDTR_BASE, binding.u64, fields.idtrBase.offset)
bind(Vmcs.GUEST_CR0, binding.u64, fields.cr0.offset)
bind(Vmcs.GUEST_CR3, binding.u64, fields.cr3.offset)
bind(Vmcs.GUEST_CR4, binding.u64, fields.cr4.offset)
bind(Vmcs.GUEST_RSP, binding.u64, fields.gpr.offset + 8 * 4)
bind(Vmcs.GUEST_RIP, binding.u64, fields.rip.offset)
bind(Vmcs.GUEST_RFLAGS, binding.rflags, 0)
bind(Vmcs.GUEST_SYSENTER_CS, binding.u32, fields.sysenterCs.offset)
bind(Vmcs.GUEST_SYSENTER_ESP, binding.u64, fields.sysenterEsp.offset)
bind(Vmcs.GUEST_SYSENTER_EIP, binding.u64, fields.sysenterEip.offset)
bind(Vmcs.GUEST_ACTIVITY_STATE, binding.u32, fields.activity.offset)
bind(Vmcs.GUEST_INTERRUPTIBILITY_INFO, binding.u32, fields.interruptibility.offset)
bind(Vmcs.GUEST_PENDING_DBG_EXCEPTIONS, binding.u64, fields.pendingDebug.offset)

/** Fields that some VM exits compute only when they are asked for. */
export const lazyFields = new Set(
  [
    Vmcs.VM_EXIT_INSTRUCTION_INFO,
    Vmcs.EXIT_QUALIFICATION,
    Vmcs.GUEST_LINEAR_ADDRESS,
    Vmcs.GUEST_PDPTR0,
    Vmcs.GUEST_PDPTR1,
    Vmcs.GUEST_PDPTR2,
    Vmcs.GUEST_PDPTR3,
  ].map(fieldNumber),
)

/** Which checks a written field makes due again. */
export const Due = { controls: 1, host: 2, guest: 4, registers: 8 } as const
export const dues = new Uint8Array(encodings.length)

const ofGuestModes = new Set<number>([
  Vmcs.VM_ENTRY_CONTROLS,
  Vmcs.SECONDARY_VM_EXEC_CONTROL,
  Vmcs.PIN_BASED_VM_EXEC_CONTROL,
  Vmcs.VMCS_LINK_POINTER,
])
/** Checked at every entry, since these are written between most of them. */
const always = new Set<number>([
  Vmcs.VM_ENTRY_INTR_INFO,
  Vmcs.VM_ENTRY_EXCEPTION_ERROR_CODE,
  Vmcs.VM_ENTRY_INSTRUCTION_LENGTH,
  Vmcs.GUEST_RIP,
  Vmcs.GUEST_RSP,
  Vmcs.GUEST_INTERRUPTIBILITY_INFO,
  Vmcs.GUEST_ACTIVITY_STATE,
  Vmcs.GUEST_PENDING_DBG_EXCEPTIONS,
  Vmcs.VMX_PREEMPTION_TIMER_VALUE,
  Vmcs.CR0_READ_SHADOW,
  Vmcs.CR4_READ_SHADOW,
  Vmcs.TSC_OFFSET,
])

encodings.forEach((encoding, i) => {
  if (always.has(encoding)) return
  const kind = (encoding >>> 10) & 3
  if (kind === 0) dues[i] = ofGuestModes.has(encoding) ? Due.controls | Due.guest : Due.controls
  else if (kind === 2) dues[i] = Due.guest | Due.registers
  else if (kind === 3) dues[i] = Due.host
})

/** Field numbers by name. */
export const field = Object.fromEntries(
  Object.entries(vmcsFields).map(([name, encoding]) => [name, fieldNumber(encoding)]),
) as Readonly<Record<VmcsFieldName, number>>
