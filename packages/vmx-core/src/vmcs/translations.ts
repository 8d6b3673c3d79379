import type { Vcpu } from '../vcpu.ts'

/** Makes the processor forget linear translations of the guest: one page's, or all. */
export function flushGuestTranslations(vcpu: Vcpu, linear?: bigint): void {
  vcpu.counters.tlb_flush++
  if (!vcpu.controls.hasVpid) return
  if (linear === undefined) vcpu.processor.invvpid(1, vcpu.vpid)
  else vcpu.processor.invvpid(0, vcpu.vpid, linear)
}
