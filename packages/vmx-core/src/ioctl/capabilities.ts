import * as abi from '@guestmode/kvm-abi'
import type { Engine } from '../kvm.ts'
import { MAX_SLOTS } from '../mmu/memslots.ts'
import { MAX_GSI } from '../irqchip/routing.ts'

export const MAX_VCPUS = 1
export const MAX_VCPU_ID = 255

/** KVM_CHECK_EXTENSION: capabilities that are there, with their figures. */
const capabilities = new Map<number, number>([
  [abi.KVM_CAP_IRQCHIP, 1],
  [abi.KVM_CAP_HLT, 1],
  [abi.KVM_CAP_MMU_SHADOW_CACHE_CONTROL, 1],
  [abi.KVM_CAP_USER_MEMORY, 1],
  [abi.KVM_CAP_SET_TSS_ADDR, 1],
  [abi.KVM_CAP_EXT_CPUID, 1],
  [abi.KVM_CAP_EXT_EMUL_CPUID, 1],
  [abi.KVM_CAP_NR_VCPUS, MAX_VCPUS],
  [abi.KVM_CAP_MAX_VCPUS, MAX_VCPUS],
  [abi.KVM_CAP_MAX_VCPU_ID, MAX_VCPU_ID + 1],
  [abi.KVM_CAP_NR_MEMSLOTS, MAX_SLOTS],
  [abi.KVM_CAP_PIT, 1],
  [abi.KVM_CAP_PIT2, 1],
  [abi.KVM_CAP_PIT_STATE2, 1],
  [abi.KVM_CAP_MP_STATE, 1],
  [abi.KVM_CAP_COALESCED_MMIO, abi.KVM_COALESCED_MMIO_PAGE_OFFSET],
  [abi.KVM_CAP_COALESCED_PIO, 1],
  [abi.KVM_CAP_SYNC_MMU, 1],
  [abi.KVM_CAP_DESTROY_MEMORY_REGION_WORKS, 1],
  [abi.KVM_CAP_JOIN_MEMORY_REGIONS_WORKS, 1],
  [abi.KVM_CAP_USER_NMI, 1],
  [abi.KVM_CAP_SET_GUEST_DEBUG, 1],
  [abi.KVM_CAP_X86_ROBUST_SINGLESTEP, 1],
  [abi.KVM_CAP_GUEST_DEBUG_HW_BPS, 4],
  [
    abi.KVM_CAP_SET_GUEST_DEBUG2,
    abi.KVM_GUESTDBG_ENABLE |
      abi.KVM_GUESTDBG_SINGLESTEP |
      abi.KVM_GUESTDBG_USE_SW_BP |
      abi.KVM_GUESTDBG_USE_HW_BP |
      abi.KVM_GUESTDBG_INJECT_DB |
      abi.KVM_GUESTDBG_INJECT_BP |
      abi.KVM_GUESTDBG_BLOCKIRQ,
  ],
  [abi.KVM_CAP_REINJECT_CONTROL, 1],
  [abi.KVM_CAP_IRQ_ROUTING, MAX_GSI],
  [abi.KVM_CAP_IRQ_INJECT_STATUS, 1],
  [abi.KVM_CAP_IOAPIC_POLARITY_IGNORED, 1],
  [abi.KVM_CAP_IRQFD, 1],
  [abi.KVM_CAP_IRQFD_RESAMPLE, 1],
  [abi.KVM_CAP_IOEVENTFD, 1],
  [abi.KVM_CAP_IOEVENTFD_NO_LENGTH, 1],
  [abi.KVM_CAP_IOEVENTFD_ANY_LENGTH, 1],
  [abi.KVM_CAP_SIGNAL_MSI, 1],
  [abi.KVM_CAP_SET_BOOT_CPU_ID, 1],
  [abi.KVM_CAP_SET_IDENTITY_MAP_ADDR, 1],
  [abi.KVM_CAP_ADJUST_CLOCK, abi.KVM_CLOCK_TSC_STABLE],
  [abi.KVM_CAP_INTERNAL_ERROR_DATA, 1],
  [abi.KVM_CAP_VCPU_EVENTS, 1],
  [abi.KVM_CAP_INTR_SHADOW, abi.KVM_X86_SHADOW_INT_MOV_SS | abi.KVM_X86_SHADOW_INT_STI],
  [abi.KVM_CAP_EXCEPTION_PAYLOAD, 1],
  [abi.KVM_CAP_DEBUGREGS, 1],
  [abi.KVM_CAP_ENABLE_CAP, 1],
  [abi.KVM_CAP_ENABLE_CAP_VM, 1],
  [abi.KVM_CAP_CHECK_EXTENSION_VM, 1],
  [abi.KVM_CAP_XSAVE, 1],
  [abi.KVM_CAP_XSAVE2, abi.KVM_XSAVE.size],
  [abi.KVM_CAP_XCRS, 1],
  [abi.KVM_CAP_MCE, 32],
  [abi.KVM_CAP_GET_TSC_KHZ, 1],
  [abi.KVM_CAP_VM_TSC_CONTROL, 0],
  [abi.KVM_CAP_TSC_DEADLINE_TIMER, 1],
  [abi.KVM_CAP_READONLY_MEM, 1],
  [abi.KVM_CAP_SYNC_REGS, abi.KVM_SYNC_X86_VALID_FIELDS],
  [abi.KVM_CAP_SREGS2, 1],
  [abi.KVM_CAP_SPLIT_IRQCHIP, 1],
  [abi.KVM_CAP_X2APIC_API, 3],
  [abi.KVM_CAP_IMMEDIATE_EXIT, 1],
  [abi.KVM_CAP_GET_MSR_FEATURES, 1],
  [abi.KVM_CAP_X86_USER_SPACE_MSR, abi.KVM_MSR_EXIT_REASON_INVAL | abi.KVM_MSR_EXIT_REASON_UNKNOWN],
  [abi.KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, abi.KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE | abi.KVM_DIRTY_LOG_INITIALLY_SET],
])

export function checkExtension(engine: Engine, capability: number): number {
  // The answer is the processor's physical address width: asking makes one.
  if (capability === abi.KVM_CAP_VM_GPA_BITS) return engine.processor.cpuid(0x8000_0008, 0).eax & 0xff
  return capabilities.get(capability) ?? 0
}
