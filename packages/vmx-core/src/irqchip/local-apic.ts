import { Lapic } from '@guestmode/chips'
import type { Vcpu } from '../vcpu.ts'

/** The local APIC of a vCPU, wired to it. */
export function createLocalApic(vcpu: Vcpu): Lapic {
  const { vm } = vcpu
  const lapic: Lapic = new Lapic({
    id: vcpu.id,
    bsp: vcpu.isBootProcessor,
    clock: vm.time,
    tsc: { nsAtTsc: (tsc) => vcpu.timeAtTsc(tsc) },
    sendIpi: (ipi) => {
      vm.trace?.({ name: 'kvm_apic_ipi', icrLow: ipi.vector | (ipi.deliveryMode << 8), destId: ipi.dest })
      vm.router?.deliver(ipi, lapic)
    },
    eoi: (vector) => {
      vm.trace?.({ name: 'kvm_eoi', apicid: lapic.id, vector })
      if (vm.router?.chips !== undefined) vm.router.chips.ioapic.eoi(vector)
      else vcpu.endOfLevelInterrupt(vector)
    },
    request: () => void (vcpu.eventRequested = true),
    nmi: () => vcpu.raiseNmi(),
    init: () => void (vcpu.initRequested = true),
    startup: (vector) => vcpu.startup(vector),
  })
  return lapic
}
