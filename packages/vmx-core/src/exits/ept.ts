import { BLOCKING_BY_NMI, INTR_INFO_VALID, Vmcs } from '@guestmode/x86'
import { emulateInstruction } from '../emulation/emulate.ts'
import type { Vcpu } from '../vcpu.ts'
import { deliveryFailed, unexpectedExit } from './internal-error.ts'

/** NMI unblocking due to IRET. [SDM3 Table 28-7] */
const NMI_UNBLOCKING = 1 << 12

export function handleEptViolation(vcpu: Vcpu): boolean {
  const { processor } = vcpu
  const qualification = processor.vmread32(Vmcs.EXIT_QUALIFICATION)
  const gpa = processor.vmread32(Vmcs.GUEST_PHYSICAL_ADDRESS)
  vcpu.counters.pf_taken++
  const isDelivering = (processor.vmread32(Vmcs.IDT_VECTORING_INFO) & INTR_INFO_VALID) !== 0
  // An IRET that faulted has unblocked NMIs already, and will be executed again. [SDM3 28.2.3 "Information About NMI Unblocking Due to IRET"]
  if ((qualification & NMI_UNBLOCKING) !== 0 && !isDelivering) {
    processor.vmwrite32(Vmcs.GUEST_INTERRUPTIBILITY_INFO, processor.vmread32(Vmcs.GUEST_INTERRUPTIBILITY_INFO) | BLOCKING_BY_NMI)
  }
  if (vcpu.vm.trace !== undefined) {
    const guestRip = processor.vmread(Vmcs.GUEST_RIP)
    vcpu.vm.trace({
      name: 'kvm_page_fault',
      vcpuId: vcpu.id,
      guestRip,
      faultAddress: BigInt(gpa),
      errorCode: BigInt(qualification),
    })
  }
  if (vcpu.mmu.handleEptViolation(gpa, qualification) === 'retry') return true
  // What is being delivered would be lost: its stack or descriptor is in no memory.
  if (isDelivering) return deliveryFailed(vcpu)
  vcpu.counters.pf_emulate++
  return emulateInstruction(vcpu, gpa)
}

/** Our tables have no entry that is misconfigured. */
export const handleEptMisconfiguration = unexpectedExit
