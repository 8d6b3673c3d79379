import {
  BLOCKING_BY_MOV_SS,
  BLOCKING_BY_NMI,
  BLOCKING_BY_STI,
  CPU_INTERRUPT_WINDOW_EXITING,
  CPU_NMI_WINDOW_EXITING,
  EFLAGS_IF,
  EFLAGS_RF,
  Exception,
  INTR_INFO_ERROR_CODE,
  INTR_INFO_TYPE,
  INTR_INFO_TYPE_SHIFT,
  INTR_INFO_VALID,
  INTR_INFO_VECTOR,
  INTR_TYPE_EXTERNAL,
  INTR_TYPE_HARDWARE_EXCEPTION,
  INTR_TYPE_NMI,
  INTR_TYPE_SOFTWARE_EXCEPTION,
  INTR_TYPE_SOFTWARE_INTERRUPT,
  Vmcs,
} from '@guestmode/x86'
import { isProtected } from '../modes/control-registers.ts'
import type { Vcpu } from '../vcpu.ts'
import { deliverPayload } from './exceptions.ts'

const NMI_VECTOR = 2

export function interruptShadow(vcpu: Vcpu): number {
  return vcpu.processor.vmread32(Vmcs.GUEST_INTERRUPTIBILITY_INFO) & (BLOCKING_BY_STI | BLOCKING_BY_MOV_SS)
}

export function isInterruptAllowed(vcpu: Vcpu): boolean {
  return (vcpu.processor.vmread32(Vmcs.GUEST_RFLAGS) & EFLAGS_IF) !== 0 && interruptShadow(vcpu) === 0
}

function isNmiAllowed(vcpu: Vcpu): boolean {
  const blocking = BLOCKING_BY_NMI | BLOCKING_BY_MOV_SS | BLOCKING_BY_STI
  return (vcpu.processor.vmread32(Vmcs.GUEST_INTERRUPTIBILITY_INFO) & blocking) === 0
}

/** An event was given to the processor and has to be given again. */
export function needsReinjection(vcpu: Vcpu): boolean {
  return vcpu.exception.injected || vcpu.interrupt.injected || vcpu.nmi.injected
}

function inject(vcpu: Vcpu, vector: number, type: number, errorCode?: number): void {
  const { processor } = vcpu
  let info = vector | (type << INTR_INFO_TYPE_SHIFT)
  if (errorCode !== undefined) {
    processor.vmwrite32(Vmcs.VM_ENTRY_EXCEPTION_ERROR_CODE, errorCode)
    info |= INTR_INFO_ERROR_CODE
  }
  if (type === INTR_TYPE_SOFTWARE_INTERRUPT || type === INTR_TYPE_SOFTWARE_EXCEPTION) {
    processor.vmwrite32(Vmcs.VM_ENTRY_INSTRUCTION_LENGTH, vcpu.eventInstructionLength)
  }
  processor.vmwrite32(Vmcs.VM_ENTRY_INTR_INFO, (info | INTR_INFO_VALID) >>> 0)
}

function injectException(vcpu: Vcpu, reinjected: boolean): void {
  const { vector, hasErrorCode, errorCode } = vcpu.exception
  const isSoftware = vector === Exception.BP || vector === Exception.OF
  const type = isSoftware ? INTR_TYPE_SOFTWARE_EXCEPTION : INTR_TYPE_HARDWARE_EXCEPTION
  // Real mode has no error codes, and VM entry refuses them. [SDM3 27.2.1.3 "VM-Entry Control Fields"]
  const withCode = hasErrorCode && isProtected(vcpu)
  inject(vcpu, vector, type, withCode ? errorCode : undefined)
  vcpu.vm.trace?.({ name: 'kvm_inj_exception', exception: vector, hasError: hasErrorCode, errorCode, reinjected })
}

function injectInterrupt(vcpu: Vcpu, reinjected: boolean): void {
  const { vector, soft } = vcpu.interrupt
  inject(vcpu, vector, soft ? INTR_TYPE_SOFTWARE_INTERRUPT : INTR_TYPE_EXTERNAL)
  vcpu.counters.irq_injections++
  vcpu.vm.trace?.({ name: 'kvm_inj_virq', vector, soft, reinjected })
}

/** Faults restart their instruction, which must not hit the same breakpoint again. [SDM3 18.3.1.1 "Instruction-Breakpoint Exception Condition"] */
function setResumeFlag(vcpu: Vcpu): void {
  const { processor } = vcpu
  processor.vmwrite32(Vmcs.GUEST_RFLAGS, processor.vmread32(Vmcs.GUEST_RFLAGS) | EFLAGS_RF)
}

const isFault = (vector: number): boolean =>
  vector !== Exception.DB &&
  vector !== Exception.BP &&
  vector !== Exception.OF &&
  vector !== Exception.DF &&
  vector !== Exception.MC

/**
 * Gives the processor what the guest is to receive at the next entry: what the last one did not deliver, then a new exception, then an
 * NMI, then an interrupt. What finds no place waits for its window.
 */
export function injectEvents(vcpu: Vcpu): void {
  const { exception, interrupt, nmi, controls } = vcpu
  let isFree = true
  if (exception.injected) injectException(vcpu, true)
  else if (exception.pending) {
    deliverPayload(vcpu)
    if (isFault(exception.vector)) setResumeFlag(vcpu)
    exception.pending = false
    exception.injected = true
    injectException(vcpu, false)
  } else if (nmi.injected) inject(vcpu, NMI_VECTOR, INTR_TYPE_NMI)
  else if (interrupt.injected) injectInterrupt(vcpu, true)
  if (exception.injected || nmi.injected || interrupt.injected) isFree = false

  if (nmi.pending > 0) {
    if (isFree && isNmiAllowed(vcpu)) {
      nmi.pending--
      nmi.injected = true
      isFree = false
      inject(vcpu, NMI_VECTOR, INTR_TYPE_NMI)
      vcpu.counters.nmi_injections++
    }
    if (nmi.pending > 0) controls.setCpu(controls.hasVirtualNmis ? CPU_NMI_WINDOW_EXITING : CPU_INTERRUPT_WINDOW_EXITING, true)
  }

  if (vcpu.blocksInterrupts) return
  if (isFree && vcpu.hasInterrupt() && isInterruptAllowed(vcpu)) {
    interrupt.vector = vcpu.takeInterrupt()
    interrupt.soft = false
    interrupt.injected = true
    injectInterrupt(vcpu, false)
  }
  if (vcpu.hasInterrupt() || vcpu.wantsInterruptWindow()) controls.setCpu(CPU_INTERRUPT_WINDOW_EXITING, true)
}

/** After an exit: whether what was injected arrived. [SDM3 28.2.4 "Information for VM Exits During Event Delivery"] */
export function recoverEvents(vcpu: Vcpu): void {
  const { processor, exception, interrupt, nmi } = vcpu
  exception.injected = interrupt.injected = nmi.injected = false
  const info = processor.vmread32(Vmcs.IDT_VECTORING_INFO)
  if ((info & INTR_INFO_VALID) === 0) return
  const vector = info & INTR_INFO_VECTOR
  const type = (info & INTR_INFO_TYPE) >>> INTR_INFO_TYPE_SHIFT
  vcpu.eventRequested = true
  vcpu.eventInstructionLength = processor.vmread32(Vmcs.VM_EXIT_INSTRUCTION_LENGTH)
  switch (type) {
    case INTR_TYPE_NMI: {
      nmi.injected = true
      // Delivery had begun, and blocked further NMIs; it begins anew.
      const blocking = processor.vmread32(Vmcs.GUEST_INTERRUPTIBILITY_INFO)
      processor.vmwrite32(Vmcs.GUEST_INTERRUPTIBILITY_INFO, blocking & ~BLOCKING_BY_NMI)
      return
    }
    case INTR_TYPE_EXTERNAL:
    case INTR_TYPE_SOFTWARE_INTERRUPT:
      interrupt.vector = vector
      interrupt.soft = type === INTR_TYPE_SOFTWARE_INTERRUPT
      interrupt.injected = true
      return
    default:
      exception.vector = vector
      exception.hasErrorCode = (info & INTR_INFO_ERROR_CODE) !== 0
      exception.errorCode = exception.hasErrorCode ? processor.vmread32(Vmcs.IDT_VECTORING_ERROR_CODE) : 0
      exception.payload = undefined
      exception.injected = true
      exception.pending = false
  }
}
