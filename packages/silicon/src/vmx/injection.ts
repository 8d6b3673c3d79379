import {
  INTR_INFO_ERROR_CODE,
  INTR_INFO_TYPE,
  INTR_INFO_TYPE_SHIFT,
  INTR_INFO_VALID,
  INTR_INFO_VECTOR,
  INTR_TYPE_OTHER,
  INTR_TYPE_SOFTWARE_INTERRUPT,
} from '@guestmode/x86'
import type { CpuEvent, EventKind } from '../cpu/events.ts'
import type { CurrentVmcs } from './vmcs.ts'
import { field } from './vmcs-layout.ts'

/** The event of the VM-entry interruption information; 'mtf' asks for a monitor-trap-flag exit. [SDM3 27.6 "Event Injection"] */
export function injectedEvent(vmcs: CurrentVmcs): CpuEvent | 'mtf' | undefined {
  const information = vmcs.low(field.VM_ENTRY_INTR_INFO)
  if ((information & INTR_INFO_VALID) === 0) return undefined
  const kind = (information & INTR_INFO_TYPE) >>> INTR_INFO_TYPE_SHIFT
  if (kind === INTR_TYPE_OTHER) return 'mtf'
  const vector = information & INTR_INFO_VECTOR
  const errorCode = (information & INTR_INFO_ERROR_CODE) === 0 ? undefined : vmcs.low(field.VM_ENTRY_EXCEPTION_ERROR_CODE)
  if (kind < INTR_TYPE_SOFTWARE_INTERRUPT) return { kind: kind as EventKind, vector, errorCode }
  return { kind: kind as EventKind, vector, errorCode, instructionLength: vmcs.low(field.VM_ENTRY_INSTRUCTION_LENGTH) }
}

/** IDT-vectoring information of an event. [SDM3 28.2.4 "Information for VM Exits During Event Delivery"] */
export function vectoringInformation(event: CpuEvent): number {
  const { kind, vector, errorCode } = event
  return (vector | (kind << INTR_INFO_TYPE_SHIFT) | (errorCode === undefined ? 0 : INTR_INFO_ERROR_CODE) | INTR_INFO_VALID) >>> 0
}
