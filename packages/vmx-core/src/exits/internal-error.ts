import {
  KVM_EXIT_INTERNAL_ERROR,
  KVM_INTERNAL_ERROR_DELIVERY_EV,
  KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON,
} from '@guestmode/kvm-abi'
import { Vmcs } from '@guestmode/x86'
import type { Vcpu } from '../vcpu.ts'

/** KVM_EXIT_INTERNAL_ERROR with facts. */
export function internalError(vcpu: Vcpu, suberror: number, message: string, data: readonly bigint[]): false {
  const { run } = vcpu
  vcpu.vm.engine.log(`vCPU ${vcpu.id}: ${message} (RIP 0x${vcpu.processor.vmread(Vmcs.GUEST_RIP).toString(16)})`)
  run.exitReason = KVM_EXIT_INTERNAL_ERROR
  run.internal.suberror = suberror
  run.internal.ndata = data.length
  data.forEach((value, i) => run.internal.data.set(i, value))
  return false
}

export function unexpectedExit(vcpu: Vcpu): false {
  const { processor } = vcpu
  const reason = processor.vmread32(Vmcs.VM_EXIT_REASON)
  const qualification = processor.vmread(Vmcs.EXIT_QUALIFICATION)
  const message = `unexpected exit reason ${reason & 0xffff}, qualification 0x${qualification.toString(16)}`
  return internalError(vcpu, KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON, message, [BigInt(reason), BigInt(vcpu.id)])
}

/** An exit during the delivery of an event, at something that cannot be put right. */
export function deliveryFailed(vcpu: Vcpu): false {
  const { processor } = vcpu
  const facts = [Vmcs.IDT_VECTORING_INFO, Vmcs.VM_EXIT_REASON, Vmcs.EXIT_QUALIFICATION, Vmcs.GUEST_PHYSICAL_ADDRESS]
  const values = facts.map((field) => processor.vmread(field))
  const message = `delivery of vector ${Number(values[0]! & 0xffn)} touched guest-physical 0x${values[3]!.toString(16)}, which is no memory`
  return internalError(vcpu, KVM_INTERNAL_ERROR_DELIVERY_EV, message, values)
}
