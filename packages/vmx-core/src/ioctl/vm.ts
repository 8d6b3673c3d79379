import {
  EBUSY,
  EEXIST,
  EINVAL,
  ENOMEM,
  KVM_CAP_EXCEPTION_PAYLOAD,
  KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
  KVM_CAP_SPLIT_IRQCHIP,
  KVM_CAP_X2APIC_API,
  KVM_CAP_X86_USER_SPACE_MSR,
  KVM_CHECK_EXTENSION,
  KVM_CLOCK_DATA,
  KVM_CLOCK_REALTIME,
  KVM_CLOCK_TSC_STABLE,
  KVM_CREATE_VCPU,
  KVM_DIRTY_LOG_INITIALLY_SET,
  KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE,
  KVM_ENABLE_CAP,
  KVM_ENABLE_CAP_ARGUMENT,
  KVM_GET_CLOCK,
  KVM_GET_TSC_KHZ,
  KVM_IOAPIC_NUM_PINS,
  KVM_MSR_EXIT_REASON_INVAL,
  KVM_MSR_EXIT_REASON_UNKNOWN,
  KVM_SET_BOOT_CPU_ID,
  KVM_SET_CLOCK,
  KVM_SET_TSC_KHZ,
} from '@guestmode/kvm-abi'
import { InterruptRouter } from '../irqchip/irqchip.ts'
import type { Vm } from '../vm.ts'
import { decode, encode, value, type Argument, type Handlers } from './argument.ts'
import { checkExtension, MAX_VCPU_ID } from './capabilities.ts'
import { interruptHandlers } from './vm-interrupts.ts'
import { memoryHandlers } from './vm-memory.ts'

/** A tick per nanosecond of the engine's clock. */
export const TSC_KHZ = 1_000_000
/** How far off a frequency may be and still pass for ours. [Linux arch/x86/kvm/x86.c tsc_tolerance_ppm] */
const TSC_TOLERANCE_PPM = 250

/** 0, which means the host's, or a frequency that needs no scaling: there is none. */
export function isTscFrequency(khz: number): boolean {
  return khz === 0 || Math.abs(khz - TSC_KHZ) * 1_000_000 <= TSC_KHZ * TSC_TOLERANCE_PPM
}

function createVcpu(vm: Vm, argument: Argument): number {
  const id = value(argument)
  if (id > MAX_VCPU_ID) return -EINVAL
  if (vm.vcpu !== undefined) return vm.vcpu.id === id ? -EEXIST : -EINVAL
  try {
    return vm.engine.register(vm.createVcpu(id))
  } catch (error) {
    if (error instanceof RangeError) return -ENOMEM
    throw error
  }
}

const DIRTY_LOG_BITS = KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE | KVM_DIRTY_LOG_INITIALLY_SET

function enableCap(vm: Vm, argument: Argument): number {
  const { cap, flags, args } = decode(argument, KVM_ENABLE_CAP_ARGUMENT)
  const first = args[0]!
  if (flags !== 0) return -EINVAL
  switch (cap) {
    case KVM_CAP_SPLIT_IRQCHIP:
      if (first > BigInt(KVM_IOAPIC_NUM_PINS)) return -EINVAL
      if (vm.router !== undefined) return -EEXIST
      if (vm.vcpu !== undefined) return -EINVAL
      vm.router = new InterruptRouter(vm, 'split')
      return 0
    case KVM_CAP_X2APIC_API:
      if (first > 3n) return -EINVAL
      vm.x2apicIds = (first & 1n) !== 0n
      return 0
    case KVM_CAP_X86_USER_SPACE_MSR:
      if ((first & ~BigInt(KVM_MSR_EXIT_REASON_INVAL | KVM_MSR_EXIT_REASON_UNKNOWN)) !== 0n) return -EINVAL
      vm.userSpaceMsr = Number(first)
      return 0
    case KVM_CAP_EXCEPTION_PAYLOAD:
      vm.exceptionPayload = first !== 0n
      return 0
    case KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2: {
      const isAllowed = (first & ~BigInt(DIRTY_LOG_BITS)) === 0n && first !== BigInt(KVM_DIRTY_LOG_INITIALLY_SET)
      if (!isAllowed) return -EINVAL
      vm.manualDirtyLog = Number(first)
      return 0
    }
    default:
      return -EINVAL
  }
}

export const vmHandlers: Handlers<Vm> = {
  ...memoryHandlers,
  ...interruptHandlers,
  [KVM_CHECK_EXTENSION]: (vm, argument) => checkExtension(vm.engine, value(argument)),
  [KVM_CREATE_VCPU]: createVcpu,
  [KVM_ENABLE_CAP]: enableCap,
  [KVM_SET_BOOT_CPU_ID](vm, argument) {
    if (vm.vcpu !== undefined) return -EBUSY
    vm.bootCpuId = value(argument)
    return 0
  },
  [KVM_GET_CLOCK]: (vm, argument) =>
    encode(argument, KVM_CLOCK_DATA, { clock: BigInt.asUintN(64, vm.time.now() + vm.clockOffset), flags: KVM_CLOCK_TSC_STABLE }),
  [KVM_SET_CLOCK](vm, argument) {
    const { clock, flags } = decode(argument, KVM_CLOCK_DATA)
    // The engine's clock is no calendar, so there is no real time to count from.
    if ((flags & ~KVM_CLOCK_TSC_STABLE) !== 0 || (flags & KVM_CLOCK_REALTIME) !== 0) return -EINVAL
    vm.clockOffset = clock - vm.time.now()
    return 0
  },
  [KVM_SET_TSC_KHZ]: (_vm, argument) => (isTscFrequency(value(argument)) ? 0 : -EINVAL),
  [KVM_GET_TSC_KHZ]: () => TSC_KHZ,
}
