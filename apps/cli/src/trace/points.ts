import type { KvmTracePoint } from '@guestmode/kvm-abi'
import { CliError } from '../errors.ts'

/** What each trace point tells. */
export const TRACE_POINTS: Readonly<Record<KvmTracePoint, string>> = {
  kvm_entry: 'the processor enters the guest',
  kvm_exit: 'the processor leaves the guest, and why',
  kvm_userspace_exit: 'KVM_RUN returns to the devices, and why',
  kvm_pio: 'port input and output',
  kvm_mmio: 'access to a device’s memory',
  kvm_fast_mmio: 'a write that only signals an eventfd',
  kvm_cpuid: 'CPUID and its answer',
  kvm_msr: 'RDMSR and WRMSR',
  kvm_cr: 'control register accesses',
  kvm_hypercall: 'VMCALL',
  kvm_emulate_insn: 'an instruction that KVM emulates',
  kvm_inj_virq: 'an interrupt is injected',
  kvm_inj_exception: 'an exception is injected',
  kvm_nested_vmexit: 'an exit of a guest’s guest',
  kvm_halt_poll_ns: 'how long a halted vCPU was polled',
  kvm_vcpu_wakeup: 'a halted vCPU goes on',
  kvm_set_irq: 'an interrupt line changes',
  kvm_pic_set_irq: 'an input of the PICs changes',
  kvm_ioapic_set_irq: 'an input of the I/O APIC changes',
  kvm_msi_set_irq: 'a message-signalled interrupt',
  kvm_ack_irq: 'an interrupt is acknowledged',
  kvm_apic: 'local APIC registers',
  kvm_apic_ipi: 'an interprocessor interrupt is sent',
  kvm_apic_accept_irq: 'a local APIC accepts an interrupt',
  kvm_eoi: 'end of interrupt',
  kvm_page_fault: 'a page fault that KVM handles',
  kvm_mmu_pagetable_walk: 'a walk through the guest’s page tables',
  kvm_mmu_paging_element: 'an entry met on that walk',
  kvm_mmu_walker_error: 'the walk ends in a fault',
  kvm_mmu_set_accessed_bit: 'A bit set in a guest’s entry',
  kvm_mmu_set_dirty_bit: 'D bit set in a guest’s entry',
  kvm_mmu_get_page: 'a shadow page is made or found',
  kvm_mmu_sync_page: 'a shadow page is synchronized',
  kvm_mmu_unsync_page: 'a shadow page goes out of sync',
  kvm_mmu_prepare_zap_page: 'a shadow page is dropped',
  kvm_mmu_set_spte: 'a shadow or EPT entry is written',
  mark_mmio_spte: 'an entry is marked as a device’s',
  handle_mmio_page_fault: 'a fault on such an entry',
  fast_page_fault: 'a fault resolved without locks',
}

const ALL = Object.keys(TRACE_POINTS) as KvmTracePoint[]

/** `exit,pio`, `kvm_exit`, `all`, `kvm_mmu_*`: the `kvm_` may be left out, and `*` stands for anything. */
export function parseTracePoints(lists: readonly string[]): KvmTracePoint[] {
  const wanted = new Set<KvmTracePoint>()
  for (const name of lists
    .flatMap((list) => list.split(','))
    .map((part) => part.trim())
    .filter(Boolean)) {
    const pattern = name === 'all' ? /^/ : new RegExp(`^(kvm_)?${name.replace(/[^\w*]/g, '\\$&').replaceAll('*', '.*')}$`)
    const found = ALL.filter((point) => pattern.test(point))
    if (!found.length) throw new CliError(`-d ${name}: there is no such trace point; -d help lists them`)
    for (const point of found) wanted.add(point)
  }
  return [...wanted]
}

export function tracePointHelp(): string {
  const rows = Object.entries(TRACE_POINTS).map(([name, about]) => `  ${name.padEnd(26)} ${about}`)
  return [
    'Trace points for -d, by the names that Linux gives them; kvm_ may be left out, * stands for anything, all for all:',
    ...rows,
    '',
  ].join('\n')
}
