/**
 * What an engine reports while it runs, under the names and with the fields of Linux's trace points
 * [Linux arch/x86/kvm/trace.h, arch/x86/kvm/mmu/mmutrace.h, include/trace/events/kvm.h].
 */
export interface KvmTracePoints {
  kvm_entry: { vcpuId: number; rip: bigint }
  kvm_exit: {
    vcpuId: number
    /** `VMX` or `SVM`: whose numbers `exitReason` and the two info words are. */
    isa: 'VMX' | 'SVM'
    exitReason: number
    guestRip: bigint
    info1: bigint
    info2: bigint
    intrInfo: number
    errorCode: number
  }
  kvm_userspace_exit: { vcpuId: number; reason: number; errno: number }
  kvm_pio: { rw: 'read' | 'write'; port: number; size: number; count: number; val: number }
  kvm_mmio: { type: 'read' | 'write' | 'unsatisfied-read'; len: number; gpa: bigint; val: bigint }
  kvm_fast_mmio: { gpa: bigint }
  kvm_cpuid: { function: number; index: number; rax: number; rbx: number; rcx: number; rdx: number; found: boolean }
  kvm_msr: { write: boolean; ecx: number; data: bigint; exception: boolean }
  kvm_cr: { rw: 'read' | 'write'; cr: number; val: bigint }
  kvm_hypercall: { nr: bigint; a0: bigint; a1: bigint; a2: bigint; a3: bigint }
  kvm_emulate_insn: { rip: bigint; insn: Uint8Array; failed: boolean }
  kvm_inj_virq: { vector: number; soft: boolean; reinjected: boolean }
  kvm_inj_exception: { exception: number; hasError: boolean; errorCode: number; reinjected: boolean }
  kvm_nested_vmexit: { guestRip: bigint; exitReason: number }
  kvm_halt_poll_ns: { vcpuId: number; ns: bigint }
  kvm_vcpu_wakeup: { vcpuId: number; ns: bigint; waited: boolean }
  kvm_set_irq: { gsi: number; level: number; irqSourceId: number }
  kvm_pic_set_irq: { chip: number; pin: number; elcr: number; imr: number; coalesced: boolean }
  kvm_ioapic_set_irq: { e: bigint; pin: number; coalesced: boolean }
  kvm_msi_set_irq: { address: bigint; data: bigint }
  kvm_ack_irq: { irqchip: number; pin: number }
  kvm_apic: { rw: 'read' | 'write'; reg: number; val: bigint }
  kvm_apic_ipi: { icrLow: number; destId: number }
  kvm_apic_accept_irq: { apicid: number; deliveryMode: number; trigMode: number; vector: number }
  kvm_eoi: { apicid: number; vector: number }
  kvm_page_fault: { vcpuId: number; guestRip: bigint; faultAddress: bigint; errorCode: bigint }
  kvm_mmu_pagetable_walk: { addr: bigint; pferr: number }
  kvm_mmu_paging_element: { pte: bigint; level: number }
  kvm_mmu_walker_error: { pferr: number }
  kvm_mmu_set_accessed_bit: { gpa: bigint }
  kvm_mmu_set_dirty_bit: { gpa: bigint }
  kvm_mmu_get_page: { gfn: bigint; role: number; created: boolean; rootCount: number; unsync: boolean }
  kvm_mmu_sync_page: { gfn: bigint; role: number; rootCount: number; unsync: boolean }
  kvm_mmu_unsync_page: { gfn: bigint; role: number; rootCount: number; unsync: boolean }
  kvm_mmu_prepare_zap_page: { gfn: bigint; role: number; rootCount: number; unsync: boolean }
  kvm_mmu_set_spte: { gfn: bigint; spte: bigint; sptep: bigint; level: number }
  mark_mmio_spte: { sptep: bigint; gfn: bigint; access: number }
  handle_mmio_page_fault: { addr: bigint; gfn: bigint; access: number }
  fast_page_fault: {
    vcpuId: number
    cr2OrGpa: bigint
    errorCode: number
    sptep: bigint
    oldSpte: bigint
    newSpte: bigint
    ret: number
  }
}

export type KvmTracePoint = keyof KvmTracePoints

export type KvmTraceEvent = { [P in KvmTracePoint]: { readonly name: P } & Readonly<KvmTracePoints[P]> }[KvmTracePoint]

export type KvmTrace = (event: KvmTraceEvent) => void

/** Counters by Linux's names (`exits`, `io_exits`, `mmu_shadow_zapped`, ...). */
export type KvmStats = Readonly<Record<string, number>>
