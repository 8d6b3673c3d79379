/** Counters by Linux's names. [Linux arch/x86/kvm/x86.c kvm_vm_stats_desc, kvm_vcpu_stats_desc] */
export interface Stats {
  exits: number
  io_exits: number
  mmio_exits: number
  signal_exits: number
  irq_exits: number
  irq_window_exits: number
  nmi_window_exits: number
  halt_exits: number
  halt_wakeup: number
  request_irq_exits: number
  irq_injections: number
  nmi_injections: number
  insn_emulation: number
  insn_emulation_fail: number
  invlpg: number
  tlb_flush: number
  pf_taken: number
  pf_fixed: number
  pf_emulate: number
  pf_guest: number
  pages_4k: number
  pages_2m: number
  mmu_shadow_zapped: number
  mmu_cache_miss: number
}

export function createStats(): Stats {
  return {
    exits: 0,
    io_exits: 0,
    mmio_exits: 0,
    signal_exits: 0,
    irq_exits: 0,
    irq_window_exits: 0,
    nmi_window_exits: 0,
    halt_exits: 0,
    halt_wakeup: 0,
    request_irq_exits: 0,
    irq_injections: 0,
    nmi_injections: 0,
    insn_emulation: 0,
    insn_emulation_fail: 0,
    invlpg: 0,
    tlb_flush: 0,
    pf_taken: 0,
    pf_fixed: 0,
    pf_emulate: 0,
    pf_guest: 0,
    pages_4k: 0,
    pages_2m: 0,
    mmu_shadow_zapped: 0,
    mmu_cache_miss: 0,
  }
}
