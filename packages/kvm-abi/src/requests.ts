import { KVM_CLOCK_DATA } from './clock.ts'
import { KVM_ENABLE_CAP_ARGUMENT, KVM_SIGNAL_MASK } from './control.ts'
import { KVM_CPUID2 } from './cpuid.ts'
import { KVM_INTERRUPT_ARGUMENT, KVM_MP_STATE, KVM_VCPU_EVENTS, KVM_X86_MCE } from './events.ts'
import { KVM_GUEST_DEBUG } from './guest-debug.ts'
import {
  KVM_IOEVENTFD_ARGUMENT,
  KVM_IRQCHIP,
  KVM_IRQFD_ARGUMENT,
  KVM_IRQ_LEVEL,
  KVM_IRQ_ROUTING,
  KVM_LAPIC_STATE,
  KVM_MSI,
  KVM_PIT_CONFIG,
  KVM_PIT_STATE2,
  KVM_TPR_ACCESS_CTL,
  KVM_VAPIC_ADDR,
} from './irq.ts'
import { KVM_CLEAR_DIRTY_LOG_ARGUMENT, KVM_COALESCED_MMIO_ZONE, KVM_DIRTY_LOG, KVM_USERSPACE_MEMORY_REGION } from './memory.ts'
import { KVM_MSRS, KVM_MSR_LIST } from './msr.ts'
import { KVM_DEBUGREGS, KVM_FPU, KVM_REGS, KVM_SREGS, KVM_SREGS2, KVM_TRANSLATION, KVM_XCRS, KVM_XSAVE } from './regs.ts'
import { u64 } from './struct.ts'

export const KVMIO = 0xae
export const KVM_API_VERSION = 12

type Sized = { readonly size: number }

/** [Linux include/uapi/asm-generic/ioctl.h]: direction in bits 31:30, size in 29:16, type in 15:8, number in 7:0 */
function request(direction: number, nr: number, size: number): number {
  return ((direction << 30) | (size << 16) | (KVMIO << 8) | nr) >>> 0
}
const io = (nr: number) => request(0, nr, 0)
const iow = (nr: number, argument: Sized) => request(1, nr, argument.size)
const ior = (nr: number, argument: Sized) => request(2, nr, argument.size)
const iowr = (nr: number, argument: Sized) => request(3, nr, argument.size)

// On the system descriptor, /dev/kvm
export const KVM_GET_API_VERSION = io(0x00)
export const KVM_CREATE_VM = io(0x01)
export const KVM_GET_MSR_INDEX_LIST = iowr(0x02, KVM_MSR_LIST)
export const KVM_CHECK_EXTENSION = io(0x03)
export const KVM_GET_VCPU_MMAP_SIZE = io(0x04)
export const KVM_GET_SUPPORTED_CPUID = iowr(0x05, KVM_CPUID2)
export const KVM_GET_EMULATED_CPUID = iowr(0x09, KVM_CPUID2)
export const KVM_GET_MSR_FEATURE_INDEX_LIST = iowr(0x0a, KVM_MSR_LIST)
export const KVM_X86_GET_MCE_CAP_SUPPORTED = ior(0x9d, u64)

// On a VM
export const KVM_CREATE_VCPU = io(0x41)
export const KVM_GET_DIRTY_LOG = iow(0x42, KVM_DIRTY_LOG)
export const KVM_SET_NR_MMU_PAGES = io(0x44)
export const KVM_GET_NR_MMU_PAGES = io(0x45)
export const KVM_SET_USER_MEMORY_REGION = iow(0x46, KVM_USERSPACE_MEMORY_REGION)
export const KVM_SET_TSS_ADDR = io(0x47)
export const KVM_SET_IDENTITY_MAP_ADDR = iow(0x48, u64)
export const KVM_CREATE_IRQCHIP = io(0x60)
export const KVM_IRQ_LINE = iow(0x61, KVM_IRQ_LEVEL)
export const KVM_GET_IRQCHIP = iowr(0x62, KVM_IRQCHIP)
/** The header has it as a reading request, though it writes. */
export const KVM_SET_IRQCHIP = ior(0x63, KVM_IRQCHIP)
export const KVM_IRQ_LINE_STATUS = iowr(0x67, KVM_IRQ_LEVEL)
export const KVM_REGISTER_COALESCED_MMIO = iow(0x67, KVM_COALESCED_MMIO_ZONE)
export const KVM_UNREGISTER_COALESCED_MMIO = iow(0x68, KVM_COALESCED_MMIO_ZONE)
export const KVM_SET_GSI_ROUTING = iow(0x6a, KVM_IRQ_ROUTING)
/** Takes a pointer, though the header gives it no size. */
export const KVM_REINJECT_CONTROL = io(0x71)
export const KVM_IRQFD = iow(0x76, KVM_IRQFD_ARGUMENT)
export const KVM_CREATE_PIT2 = iow(0x77, KVM_PIT_CONFIG)
export const KVM_SET_BOOT_CPU_ID = io(0x78)
export const KVM_IOEVENTFD = iow(0x79, KVM_IOEVENTFD_ARGUMENT)
export const KVM_SET_CLOCK = iow(0x7b, KVM_CLOCK_DATA)
export const KVM_GET_CLOCK = ior(0x7c, KVM_CLOCK_DATA)
export const KVM_GET_PIT2 = ior(0x9f, KVM_PIT_STATE2)
export const KVM_SET_PIT2 = iow(0xa0, KVM_PIT_STATE2)
export const KVM_SIGNAL_MSI = iow(0xa5, KVM_MSI)
export const KVM_CLEAR_DIRTY_LOG = iowr(0xc0, KVM_CLEAR_DIRTY_LOG_ARGUMENT)
export const KVM_RESET_DIRTY_RINGS = io(0xc7)

// On a VM or a vCPU
export const KVM_SET_TSC_KHZ = io(0xa2)
export const KVM_GET_TSC_KHZ = io(0xa3)
export const KVM_ENABLE_CAP = iow(0xa3, KVM_ENABLE_CAP_ARGUMENT)
export const KVM_GET_STATS_FD = io(0xce)

// On a vCPU
export const KVM_RUN = io(0x80)
export const KVM_GET_REGS = ior(0x81, KVM_REGS)
export const KVM_SET_REGS = iow(0x82, KVM_REGS)
export const KVM_GET_SREGS = ior(0x83, KVM_SREGS)
export const KVM_SET_SREGS = iow(0x84, KVM_SREGS)
export const KVM_TRANSLATE = iowr(0x85, KVM_TRANSLATION)
export const KVM_INTERRUPT = iow(0x86, KVM_INTERRUPT_ARGUMENT)
export const KVM_GET_MSRS = iowr(0x88, KVM_MSRS)
export const KVM_SET_MSRS = iow(0x89, KVM_MSRS)
export const KVM_SET_SIGNAL_MASK = iow(0x8b, KVM_SIGNAL_MASK)
export const KVM_GET_FPU = ior(0x8c, KVM_FPU)
export const KVM_SET_FPU = iow(0x8d, KVM_FPU)
export const KVM_GET_LAPIC = ior(0x8e, KVM_LAPIC_STATE)
export const KVM_SET_LAPIC = iow(0x8f, KVM_LAPIC_STATE)
export const KVM_SET_CPUID2 = iow(0x90, KVM_CPUID2)
export const KVM_GET_CPUID2 = iowr(0x91, KVM_CPUID2)
export const KVM_TPR_ACCESS_REPORTING = iowr(0x92, KVM_TPR_ACCESS_CTL)
export const KVM_SET_VAPIC_ADDR = iow(0x93, KVM_VAPIC_ADDR)
export const KVM_GET_MP_STATE = ior(0x98, KVM_MP_STATE)
export const KVM_SET_MP_STATE = iow(0x99, KVM_MP_STATE)
export const KVM_NMI = io(0x9a)
export const KVM_SET_GUEST_DEBUG = iow(0x9b, KVM_GUEST_DEBUG)
export const KVM_X86_SETUP_MCE = iow(0x9c, u64)
export const KVM_X86_SET_MCE = iow(0x9e, KVM_X86_MCE)
export const KVM_GET_VCPU_EVENTS = ior(0x9f, KVM_VCPU_EVENTS)
export const KVM_SET_VCPU_EVENTS = iow(0xa0, KVM_VCPU_EVENTS)
export const KVM_GET_DEBUGREGS = ior(0xa1, KVM_DEBUGREGS)
export const KVM_SET_DEBUGREGS = iow(0xa2, KVM_DEBUGREGS)
export const KVM_GET_XSAVE = ior(0xa4, KVM_XSAVE)
export const KVM_SET_XSAVE = iow(0xa5, KVM_XSAVE)
export const KVM_GET_XCRS = ior(0xa6, KVM_XCRS)
export const KVM_SET_XCRS = iow(0xa7, KVM_XCRS)
export const KVM_KVMCLOCK_CTRL = io(0xad)
export const KVM_SMI = io(0xb7)
export const KVM_GET_SREGS2 = ior(0xcc, KVM_SREGS2)
export const KVM_SET_SREGS2 = iow(0xcd, KVM_SREGS2)
export const KVM_GET_XSAVE2 = ior(0xcf, KVM_XSAVE)
