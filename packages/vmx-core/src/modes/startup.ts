import { KVM_MP_STATE_INIT_RECEIVED, KVM_MP_STATE_RUNNABLE } from '@guestmode/kvm-abi'
import { Vmcs } from '@guestmode/x86'
import { noException } from '../events/exceptions.ts'
import type { Vcpu } from '../vcpu.ts'
import { resetGuest } from '../vmcs/guest-reset.ts'

/** INIT: the boot processor starts over, others wait for a startup message. [SDM3 9.4.1 "BSP and AP Processors"] */
export function acceptInit(vcpu: Vcpu): void {
  vcpu.initRequested = false
  vcpu.lapic?.initialize()
  vcpu.vm.timersChanged()
  vcpu.exception = noException()
  vcpu.interrupt.injected = vcpu.nmi.injected = false
  vcpu.nmi.pending = 0
  vcpu.sipiVector = -1
  resetGuest(vcpu)
  vcpu.mpState = vcpu.isBootProcessor ? KVM_MP_STATE_RUNNABLE : KVM_MP_STATE_INIT_RECEIVED
}

/** SIPI: real mode at 4 KiB page `sipiVector`. */
export function acceptStartup(vcpu: Vcpu): void {
  const { processor, sipiVector } = vcpu
  vcpu.sipiVector = -1
  processor.vmwrite32(Vmcs.GUEST_CS_SELECTOR, sipiVector << 8)
  processor.vmwrite32(Vmcs.GUEST_CS_BASE, sipiVector << 12)
  processor.vmwrite32(Vmcs.GUEST_RIP, 0)
  vcpu.mpState = KVM_MP_STATE_RUNNABLE
}
