import { KVM_CLOCK_DATA } from './clock.ts'
import { KVM_ENABLE_CAP_ARGUMENT, KVM_SIGNAL_MASK } from './control.ts'
import { KVM_CPUID2 } from './cpuid.ts'
import { KVM_INTERRUPT_ARGUMENT, KVM_MP_STATE, KVM_VCPU_EVENTS, KVM_X86_MCE } from './events.ts'
import { KVM_GUEST_DEBUG } from './guest-debug.ts'
import * as irq from './irq.ts'
import { KVM_CLEAR_DIRTY_LOG_ARGUMENT, KVM_COALESCED_MMIO_ZONE, KVM_DIRTY_LOG, KVM_USERSPACE_MEMORY_REGION } from './memory.ts'
import { KVM_MSRS, KVM_MSR_LIST } from './msr.ts'
import { KVM_DEBUGREGS, KVM_FPU, KVM_REGS, KVM_SREGS, KVM_SREGS2, KVM_TRANSLATION, KVM_XCRS, KVM_XSAVE } from './regs.ts'
import * as requests from './requests.ts'

export type Descriptor = 'system' | 'vm' | 'vcpu'

/** What a pointer argument points to. */
export interface Layout {
  readonly cName: string
  readonly size: number
}

export interface RequestInfo {
  readonly name: RequestName
  readonly number: number
  readonly on: readonly Descriptor[]
  /** The layout of what the argument points to, `value` for an argument by value, undefined for none (zero is passed). */
  readonly argument: Layout | 'value' | undefined
}

export type RequestName = Exclude<keyof typeof requests, 'KVMIO' | 'KVM_API_VERSION'>

const U64: Layout = { cName: '__u64', size: 8 }

function row(name: RequestName, on: readonly Descriptor[], argument: Layout | 'value' | undefined): RequestInfo {
  return { name, number: requests[name], on, argument }
}

const SYSTEM: readonly Descriptor[] = ['system']
const VM: readonly Descriptor[] = ['vm']
const VCPU: readonly Descriptor[] = ['vcpu']
const VM_AND_VCPU: readonly Descriptor[] = ['vm', 'vcpu']

/** Every request of this contract. */
export const REQUESTS: readonly RequestInfo[] = [
  row('KVM_GET_API_VERSION', SYSTEM, undefined),
  row('KVM_CREATE_VM', SYSTEM, 'value'),
  row('KVM_CHECK_EXTENSION', ['system', 'vm'], 'value'),
  row('KVM_GET_VCPU_MMAP_SIZE', SYSTEM, undefined),
  row('KVM_GET_SUPPORTED_CPUID', SYSTEM, KVM_CPUID2),
  row('KVM_GET_EMULATED_CPUID', SYSTEM, KVM_CPUID2),
  row('KVM_GET_MSR_INDEX_LIST', SYSTEM, KVM_MSR_LIST),
  row('KVM_GET_MSR_FEATURE_INDEX_LIST', SYSTEM, KVM_MSR_LIST),
  row('KVM_X86_GET_MCE_CAP_SUPPORTED', SYSTEM, U64),
  row('KVM_CREATE_VCPU', VM, 'value'),
  row('KVM_SET_USER_MEMORY_REGION', VM, KVM_USERSPACE_MEMORY_REGION),
  row('KVM_GET_DIRTY_LOG', VM, KVM_DIRTY_LOG),
  row('KVM_CLEAR_DIRTY_LOG', VM, KVM_CLEAR_DIRTY_LOG_ARGUMENT),
  row('KVM_RESET_DIRTY_RINGS', VM, undefined),
  row('KVM_SET_NR_MMU_PAGES', VM, 'value'),
  row('KVM_GET_NR_MMU_PAGES', VM, undefined),
  row('KVM_SET_TSS_ADDR', VM, 'value'),
  row('KVM_SET_IDENTITY_MAP_ADDR', VM, U64),
  row('KVM_CREATE_IRQCHIP', VM, undefined),
  row('KVM_IRQ_LINE', VM, irq.KVM_IRQ_LEVEL),
  row('KVM_IRQ_LINE_STATUS', VM, irq.KVM_IRQ_LEVEL),
  row('KVM_GET_IRQCHIP', VM, irq.KVM_IRQCHIP),
  row('KVM_SET_IRQCHIP', VM, irq.KVM_IRQCHIP),
  row('KVM_CREATE_PIT2', VM, irq.KVM_PIT_CONFIG),
  row('KVM_GET_PIT2', VM, irq.KVM_PIT_STATE2),
  row('KVM_SET_PIT2', VM, irq.KVM_PIT_STATE2),
  row('KVM_REINJECT_CONTROL', VM, irq.KVM_REINJECT_CONTROL_ARGUMENT),
  row('KVM_SET_GSI_ROUTING', VM, irq.KVM_IRQ_ROUTING),
  row('KVM_SIGNAL_MSI', VM, irq.KVM_MSI),
  row('KVM_IRQFD', VM, irq.KVM_IRQFD_ARGUMENT),
  row('KVM_IOEVENTFD', VM, irq.KVM_IOEVENTFD_ARGUMENT),
  row('KVM_REGISTER_COALESCED_MMIO', VM, KVM_COALESCED_MMIO_ZONE),
  row('KVM_UNREGISTER_COALESCED_MMIO', VM, KVM_COALESCED_MMIO_ZONE),
  row('KVM_SET_BOOT_CPU_ID', VM, 'value'),
  row('KVM_GET_CLOCK', VM, KVM_CLOCK_DATA),
  row('KVM_SET_CLOCK', VM, KVM_CLOCK_DATA),
  row('KVM_ENABLE_CAP', VM_AND_VCPU, KVM_ENABLE_CAP_ARGUMENT),
  row('KVM_SET_TSC_KHZ', VM_AND_VCPU, 'value'),
  row('KVM_GET_TSC_KHZ', VM_AND_VCPU, undefined),
  row('KVM_GET_STATS_FD', VM_AND_VCPU, undefined),
  row('KVM_RUN', VCPU, undefined),
  row('KVM_GET_REGS', VCPU, KVM_REGS),
  row('KVM_SET_REGS', VCPU, KVM_REGS),
  row('KVM_GET_SREGS', VCPU, KVM_SREGS),
  row('KVM_SET_SREGS', VCPU, KVM_SREGS),
  row('KVM_GET_SREGS2', VCPU, KVM_SREGS2),
  row('KVM_SET_SREGS2', VCPU, KVM_SREGS2),
  row('KVM_GET_FPU', VCPU, KVM_FPU),
  row('KVM_SET_FPU', VCPU, KVM_FPU),
  row('KVM_GET_XSAVE', VCPU, KVM_XSAVE),
  row('KVM_GET_XSAVE2', VCPU, KVM_XSAVE),
  row('KVM_SET_XSAVE', VCPU, KVM_XSAVE),
  row('KVM_GET_XCRS', VCPU, KVM_XCRS),
  row('KVM_SET_XCRS', VCPU, KVM_XCRS),
  row('KVM_GET_MSRS', ['system', 'vcpu'], KVM_MSRS),
  row('KVM_SET_MSRS', VCPU, KVM_MSRS),
  row('KVM_SET_CPUID2', VCPU, KVM_CPUID2),
  row('KVM_GET_CPUID2', VCPU, KVM_CPUID2),
  row('KVM_GET_LAPIC', VCPU, irq.KVM_LAPIC_STATE),
  row('KVM_SET_LAPIC', VCPU, irq.KVM_LAPIC_STATE),
  row('KVM_GET_MP_STATE', VCPU, KVM_MP_STATE),
  row('KVM_SET_MP_STATE', VCPU, KVM_MP_STATE),
  row('KVM_GET_VCPU_EVENTS', VCPU, KVM_VCPU_EVENTS),
  row('KVM_SET_VCPU_EVENTS', VCPU, KVM_VCPU_EVENTS),
  row('KVM_GET_DEBUGREGS', VCPU, KVM_DEBUGREGS),
  row('KVM_SET_DEBUGREGS', VCPU, KVM_DEBUGREGS),
  row('KVM_SET_GUEST_DEBUG', VCPU, KVM_GUEST_DEBUG),
  row('KVM_INTERRUPT', VCPU, KVM_INTERRUPT_ARGUMENT),
  row('KVM_NMI', VCPU, undefined),
  row('KVM_SMI', VCPU, undefined),
  row('KVM_TRANSLATE', VCPU, KVM_TRANSLATION),
  row('KVM_SET_SIGNAL_MASK', VCPU, KVM_SIGNAL_MASK),
  row('KVM_KVMCLOCK_CTRL', VCPU, undefined),
  row('KVM_TPR_ACCESS_REPORTING', VCPU, irq.KVM_TPR_ACCESS_CTL),
  row('KVM_SET_VAPIC_ADDR', VCPU, irq.KVM_VAPIC_ADDR),
  row('KVM_X86_SETUP_MCE', VCPU, U64),
  row('KVM_X86_SET_MCE', VCPU, KVM_X86_MCE),
]

const BY_DESCRIPTOR: Readonly<Record<Descriptor, ReadonlyMap<number, RequestInfo>>> = {
  system: byNumber('system'),
  vm: byNumber('vm'),
  vcpu: byNumber('vcpu'),
}

function byNumber(descriptor: Descriptor): ReadonlyMap<number, RequestInfo> {
  return new Map(REQUESTS.filter(({ on }) => on.includes(descriptor)).map((info) => [info.number, info]))
}

/** The request that a number means on a kind of descriptor. */
export function requestOf(descriptor: Descriptor, number: number): RequestInfo | undefined {
  return BY_DESCRIPTOR[descriptor].get(number)
}

const NAMES: ReadonlyMap<number, string> = new Map(REQUESTS.map(({ number, name }) => [number, name]))

/** `KVM_GET_REGS` for 0x8090ae81; a number without a name here is shown in hex. */
export function requestName(request: number): string {
  return NAMES.get(request) ?? `ioctl 0x${request.toString(16)}`
}
