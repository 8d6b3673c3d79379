import {
  CPU_NMI_WINDOW_EXITING,
  CPU_USE_IO_BITMAPS,
  CPU_USE_MSR_BITMAPS,
  CPU_USE_TPR_SHADOW,
  CR0_PE,
  EPTP_WALK_LENGTH_4,
  Exception,
  EXIT_SAVE_PREEMPTION_TIMER,
  INTR_INFO_ERROR_CODE,
  INTR_INFO_VECTOR,
  INTR_TYPE_EXTERNAL,
  INTR_TYPE_HARDWARE_EXCEPTION,
  INTR_TYPE_NMI,
  INTR_TYPE_OTHER,
  INTR_TYPE_SOFTWARE_INTERRUPT,
  MEMORY_TYPE_UC,
  MEMORY_TYPE_WB,
  PIN_NMI_EXITING,
  PIN_PREEMPTION_TIMER,
  PIN_VIRTUAL_NMIS,
  SECONDARY_VPID,
} from '@guestmode/x86'
import type { AllowedControls } from '../capabilities.ts'
import { field } from '../vmcs-layout.ts'
import type { EntryCheck, EntryContext } from './check.ts'

function allowed(value: number, { required, allowed }: AllowedControls): boolean {
  return (value & required) >>> 0 === required && (value & ~allowed) === 0
}

function msrArea(c: EntryContext, count: number, address: number): boolean {
  const entries = c.low(count)
  if (entries === 0) return true
  const last = c.high(address) * 0x1_0000_0000 + c.low(address) + entries * 16 - 1
  return (c.low(address) & 0xf) === 0 && last < 2 ** c.capabilities.physicalAddressBits
}

/** VTPR[7:4] of the virtual-APIC page. */
function virtualTpr(c: EntryContext): number {
  const at = c.high(field.VIRTUAL_APIC_PAGE_ADDR) * 0x1_0000_0000 + c.low(field.VIRTUAL_APIC_PAGE_ADDR) + 0x80
  return at < c.mem.physSize ? c.mem.u8[c.mem.physBase + at]! >>> 4 : 0xf
}

/** [SDM3 27.2.1.1 "VM-Execution Control Fields"] */
const execution: readonly EntryCheck[] = [
  { name: 'pin-based controls: reserved bits', holds: (c) => allowed(c.pin, c.capabilities.pin) },
  { name: 'primary processor-based controls: reserved bits', holds: (c) => allowed(c.cpu, c.capabilities.cpu) },
  { name: 'secondary processor-based controls: reserved bits', holds: (c) => allowed(c.secondary, c.capabilities.secondary) },
  { name: 'CR3-target count: at most 4', holds: (c) => c.low(field.CR3_TARGET_COUNT) <= 4 },
  {
    name: 'I/O bitmap addresses',
    holds: (c) => (c.cpu & CPU_USE_IO_BITMAPS) === 0 || (c.page(field.IO_BITMAP_A) && c.page(field.IO_BITMAP_B)),
  },
  { name: 'MSR bitmap address', holds: (c) => (c.cpu & CPU_USE_MSR_BITMAPS) === 0 || c.page(field.MSR_BITMAP) },
  { name: 'virtual-APIC address', holds: (c) => (c.cpu & CPU_USE_TPR_SHADOW) === 0 || c.page(field.VIRTUAL_APIC_PAGE_ADDR) },
  {
    name: 'TPR threshold: reserved bits',
    holds: (c) => (c.cpu & CPU_USE_TPR_SHADOW) === 0 || c.low(field.TPR_THRESHOLD) >>> 4 === 0,
  },
  {
    name: 'TPR threshold: at most VTPR',
    holds: (c) => (c.cpu & CPU_USE_TPR_SHADOW) === 0 || c.low(field.TPR_THRESHOLD) <= virtualTpr(c),
  },
  { name: 'virtual NMIs need NMI exiting', holds: (c) => (c.pin & PIN_NMI_EXITING) !== 0 || (c.pin & PIN_VIRTUAL_NMIS) === 0 },
  {
    name: 'NMI-window exiting needs virtual NMIs',
    holds: (c) => (c.pin & PIN_VIRTUAL_NMIS) !== 0 || (c.cpu & CPU_NMI_WINDOW_EXITING) === 0,
  },
  { name: 'VPID: not 0', holds: (c) => (c.secondary & SECONDARY_VPID) === 0 || c.low(field.VIRTUAL_PROCESSOR_ID) !== 0 },
  { name: 'EPT pointer: memory type', holds: (c) => !c.ept || isEptMemoryType(c.low(field.EPT_POINTER) & 7) },
  { name: 'EPT pointer: walk length', holds: (c) => !c.ept || (c.low(field.EPT_POINTER) & 0x38) === EPTP_WALK_LENGTH_4 },
  {
    name: 'EPT pointer: reserved bits',
    holds: (c) => !c.ept || ((c.low(field.EPT_POINTER) & 0xf80) === 0 && c.physical(field.EPT_POINTER)),
  },
  { name: 'unrestricted guest needs EPT', holds: (c) => !c.unrestricted || c.ept },
]

const isEptMemoryType = (type: number): boolean => type === MEMORY_TYPE_UC || type === MEMORY_TYPE_WB

/** [SDM3 27.2.1.2 "VM-Exit Control Fields"] */
const exits: readonly EntryCheck[] = [
  { name: 'VM-exit controls: reserved bits', holds: (c) => allowed(c.exit, c.capabilities.exit) },
  {
    name: 'saving the preemption timer needs it active',
    holds: (c) => (c.pin & PIN_PREEMPTION_TIMER) !== 0 || (c.exit & EXIT_SAVE_PREEMPTION_TIMER) === 0,
  },
  { name: 'VM-exit MSR-store area', holds: (c) => msrArea(c, field.VM_EXIT_MSR_STORE_COUNT, field.VM_EXIT_MSR_STORE_ADDR) },
  { name: 'VM-exit MSR-load area', holds: (c) => msrArea(c, field.VM_EXIT_MSR_LOAD_COUNT, field.VM_EXIT_MSR_LOAD_ADDR) },
]

/** [SDM3 27.2.1.3 "VM-Entry Control Fields"] */
const entries: readonly EntryCheck[] = [
  { name: 'VM-entry controls: reserved bits', holds: (c) => allowed(c.entry, c.capabilities.entry) },
  { name: 'VM-entry MSR-load area', holds: (c) => msrArea(c, field.VM_ENTRY_MSR_LOAD_COUNT, field.VM_ENTRY_MSR_LOAD_ADDR) },
]

export const controlChecks: readonly EntryCheck[] = [...execution, ...exits, ...entries]

const vector = (c: EntryContext): number => c.injection & INTR_INFO_VECTOR
const withErrorCode = (c: EntryContext): boolean => (c.injection & INTR_INFO_ERROR_CODE) !== 0

/** Of the event to inject; run at each entry that injects. [SDM3 27.2.1.3] */
export const injectionChecks: readonly EntryCheck[] = [
  { name: 'interruption information: type', holds: (c) => c.injectionType !== 1 },
  {
    name: 'interruption information: vector',
    holds: (c) => {
      if (c.injectionType === INTR_TYPE_NMI) return vector(c) === Exception.NMI
      if (c.injectionType === INTR_TYPE_HARDWARE_EXCEPTION) return vector(c) <= 31
      return c.injectionType !== INTR_TYPE_OTHER || vector(c) === 0
    },
  },
  {
    name: 'interruption information: error code',
    holds: (c) => {
      const due =
        c.injectionType === INTR_TYPE_HARDWARE_EXCEPTION &&
        Exception.hasErrorCode(vector(c)) &&
        (!c.unrestricted || (c.cr0 & CR0_PE) !== 0)
      return withErrorCode(c) === due
    },
  },
  { name: 'interruption information: reserved bits', holds: (c) => (c.injection & 0x7fff_f000) === 0 },
  {
    name: 'exception error code: reserved bits',
    holds: (c) => !withErrorCode(c) || c.low(field.VM_ENTRY_EXCEPTION_ERROR_CODE) >>> 16 === 0,
  },
  {
    name: 'VM-entry instruction length',
    holds: (c) => {
      const hasLength = c.injectionType >= INTR_TYPE_SOFTWARE_INTERRUPT && c.injectionType < INTR_TYPE_OTHER
      return !hasLength || c.low(field.VM_ENTRY_INSTRUCTION_LENGTH) <= 15
    },
  },
]

export const injectsExternalInterrupt = (c: EntryContext): boolean => c.injectionType === INTR_TYPE_EXTERNAL
