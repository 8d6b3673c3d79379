import {
  DR6_BS,
  DR6_FIXED,
  EFLAGS_TF,
  Exception,
  INTR_INFO_ERROR_CODE,
  INTR_INFO_TYPE,
  INTR_INFO_TYPE_SHIFT,
  INTR_INFO_VECTOR,
  INTR_TYPE_HARDWARE_EXCEPTION,
  Vmcs,
} from '@guestmode/x86'
import { KVM_EXIT_EXCEPTION, KVM_GUESTDBG_USE_SW_BP } from '@guestmode/kvm-abi'
import { debugExit } from '../debug.ts'
import { emulateInstruction } from '../emulation/emulate.ts'
import { queueDebug, queuePageFault } from '../events/exceptions.ts'
import type { Vcpu } from '../vcpu.ts'

/** An exception of the exception bitmap: page faults under shadow paging, and a debugger's. */
export function handleException(vcpu: Vcpu): boolean {
  const { processor } = vcpu
  const info = processor.vmread32(Vmcs.VM_EXIT_INTR_INFO)
  const vector = info & INTR_INFO_VECTOR
  const type = (info & INTR_INFO_TYPE) >>> INTR_INFO_TYPE_SHIFT
  const errorCode = (info & INTR_INFO_ERROR_CODE) !== 0 ? processor.vmread32(Vmcs.VM_EXIT_INTR_ERROR_CODE) : 0
  if (vector === Exception.PF && type === INTR_TYPE_HARDWARE_EXCEPTION) return handlePageFault(vcpu, errorCode)
  if (vector === Exception.DB) return handleDebug(vcpu)
  if (vector === Exception.BP && vcpu.debug.has(KVM_GUESTDBG_USE_SW_BP)) return debugExit(vcpu, Exception.BP)
  vcpu.run.exitReason = KVM_EXIT_EXCEPTION
  vcpu.run.ex.exception = vector
  vcpu.run.ex.errorCode = errorCode
  return false
}

function handlePageFault(vcpu: Vcpu, errorCode: number): boolean {
  const linear = vcpu.processor.vmread(Vmcs.EXIT_QUALIFICATION)
  vcpu.vm.trace?.({
    name: 'kvm_page_fault',
    vcpuId: vcpu.id,
    guestRip: vcpu.processor.vmread(Vmcs.GUEST_RIP),
    faultAddress: linear,
    errorCode: BigInt(errorCode),
  })
  switch (vcpu.mmu.handlePageFault(linear, errorCode)) {
    case 'retry':
      return true
    case 'emulate':
      vcpu.counters.pf_emulate++
      return emulateInstruction(vcpu, vcpu.walker.gpa)
    case 'guest-fault':
      queuePageFault(vcpu, linear, vcpu.walker.errorCode)
      return true
  }
}

/** The qualification has the bits of DR6 that this exception would set. [SDM3 Table 28-1] */
function handleDebug(vcpu: Vcpu): boolean {
  const { processor, debug } = vcpu
  const bits = Number(processor.vmread(Vmcs.EXIT_QUALIFICATION) & 0xffff_ffffn)
  const isGuestStep = (bits & DR6_BS) !== 0 && (processor.vmread32(Vmcs.GUEST_RFLAGS) & EFLAGS_TF) !== 0
  if (debug.singleStep || (debug.hardwareBreakpoints && !isGuestStep)) {
    return debugExit(vcpu, Exception.DB, BigInt((DR6_FIXED | bits) >>> 0))
  }
  queueDebug(vcpu, bits)
  return true
}
