import {
  KVM_VCPUEVENT_VALID_NMI_PENDING,
  KVM_VCPUEVENT_VALID_PAYLOAD,
  KVM_VCPUEVENT_VALID_SHADOW,
  KVM_VCPUEVENT_VALID_SIPI_VECTOR,
  KVM_VCPUEVENT_VALID_SMM,
  KVM_VCPUEVENT_VALID_TRIPLE_FAULT,
  KVM_X86_SHADOW_INT_MOV_SS,
  KVM_X86_SHADOW_INT_STI,
  type KvmVcpuEvents,
} from '@guestmode/kvm-abi'
import { BLOCKING_BY_MOV_SS, BLOCKING_BY_NMI, BLOCKING_BY_STI, Vmcs } from '@guestmode/x86'
import { deliverPayload } from '../events/exceptions.ts'
import type { Vcpu } from '../vcpu.ts'

export function getEvents(vcpu: Vcpu): KvmVcpuEvents {
  const { exception, interrupt, nmi, processor, vm } = vcpu
  const blocking = processor.vmread32(Vmcs.GUEST_INTERRUPTIBILITY_INFO)
  // A VMM that does not know payloads is shown an exception as if injected, with what its delivery writes written already.
  if (!vm.exceptionPayload && exception.pending) deliverPayload(vcpu)
  const isInjected = exception.injected || (!vm.exceptionPayload && exception.pending)
  return {
    exception: {
      injected: isInjected ? 1 : 0,
      nr: exception.vector,
      hasErrorCode: exception.hasErrorCode ? 1 : 0,
      pending: vm.exceptionPayload && exception.pending ? 1 : 0,
      errorCode: exception.errorCode,
    },
    interrupt: {
      injected: interrupt.injected ? 1 : 0,
      nr: interrupt.vector,
      soft: interrupt.soft ? 1 : 0,
      shadow:
        ((blocking & BLOCKING_BY_STI) !== 0 ? KVM_X86_SHADOW_INT_STI : 0) |
        ((blocking & BLOCKING_BY_MOV_SS) !== 0 ? KVM_X86_SHADOW_INT_MOV_SS : 0),
    },
    nmi: { injected: nmi.injected ? 1 : 0, pending: nmi.pending, masked: (blocking & BLOCKING_BY_NMI) !== 0 ? 1 : 0 },
    sipiVector: Math.max(vcpu.sipiVector, 0),
    flags:
      KVM_VCPUEVENT_VALID_NMI_PENDING |
      KVM_VCPUEVENT_VALID_SHADOW |
      KVM_VCPUEVENT_VALID_SMM |
      (vm.exceptionPayload ? KVM_VCPUEVENT_VALID_PAYLOAD : 0),
    smi: { smm: 0, pending: 0, smmInsideNmi: 0, latchedInit: 0 },
    tripleFault: { pending: vcpu.tripleFault ? 1 : 0 },
    exceptionHasPayload: exception.payload === undefined ? 0 : 1,
    exceptionPayload: exception.payload ?? 0n,
  }
}

const KNOWN =
  KVM_VCPUEVENT_VALID_NMI_PENDING |
  KVM_VCPUEVENT_VALID_SIPI_VECTOR |
  KVM_VCPUEVENT_VALID_SHADOW |
  KVM_VCPUEVENT_VALID_SMM |
  KVM_VCPUEVENT_VALID_PAYLOAD |
  KVM_VCPUEVENT_VALID_TRIPLE_FAULT
const NMI_VECTOR = 2

/** False: EINVAL. */
export function setEvents(vcpu: Vcpu, events: KvmVcpuEvents): boolean {
  const { processor, vm } = vcpu
  const { exception, interrupt, nmi, flags } = events
  if ((flags & ~KNOWN) !== 0) return false
  const hasPayloads = (flags & KVM_VCPUEVENT_VALID_PAYLOAD) !== 0
  if (hasPayloads && !vm.exceptionPayload) return false
  if ((flags & KVM_VCPUEVENT_VALID_SMM) !== 0 && (events.smi.smm !== 0 || events.smi.pending !== 0)) return false
  const pending = hasPayloads && exception.pending !== 0
  if ((exception.injected !== 0 || pending) && (exception.nr > 31 || exception.nr === NMI_VECTOR)) return false

  vcpu.exception = {
    injected: exception.injected !== 0,
    pending,
    vector: exception.nr,
    hasErrorCode: exception.hasErrorCode !== 0,
    errorCode: exception.errorCode,
    payload: hasPayloads && events.exceptionHasPayload !== 0 ? events.exceptionPayload : undefined,
  }
  vcpu.interrupt.injected = interrupt.injected !== 0
  vcpu.interrupt.vector = interrupt.nr
  vcpu.interrupt.soft = interrupt.soft !== 0
  vcpu.nmi.injected = nmi.injected !== 0
  if ((flags & KVM_VCPUEVENT_VALID_NMI_PENDING) !== 0) vcpu.nmi.pending = nmi.pending
  if ((flags & KVM_VCPUEVENT_VALID_SIPI_VECTOR) !== 0) vcpu.sipiVector = events.sipiVector
  if ((flags & KVM_VCPUEVENT_VALID_TRIPLE_FAULT) !== 0) vcpu.tripleFault = events.tripleFault.pending !== 0

  let blocking = processor.vmread32(Vmcs.GUEST_INTERRUPTIBILITY_INFO) & ~BLOCKING_BY_NMI
  if (nmi.masked !== 0) blocking |= BLOCKING_BY_NMI
  if ((flags & KVM_VCPUEVENT_VALID_SHADOW) !== 0) {
    blocking &= ~(BLOCKING_BY_STI | BLOCKING_BY_MOV_SS)
    if ((interrupt.shadow & KVM_X86_SHADOW_INT_MOV_SS) !== 0) blocking |= BLOCKING_BY_MOV_SS
    else if ((interrupt.shadow & KVM_X86_SHADOW_INT_STI) !== 0) blocking |= BLOCKING_BY_STI
  }
  processor.vmwrite32(Vmcs.GUEST_INTERRUPTIBILITY_INFO, blocking)
  vcpu.eventRequested = true
  return true
}
