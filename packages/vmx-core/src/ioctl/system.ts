import {
  E2BIG,
  EINVAL,
  KVM_API_VERSION,
  KVM_CHECK_EXTENSION,
  KVM_CPUID2,
  KVM_CREATE_VM,
  KVM_GET_API_VERSION,
  KVM_GET_EMULATED_CPUID,
  KVM_GET_MSRS,
  KVM_GET_MSR_FEATURE_INDEX_LIST,
  KVM_GET_MSR_INDEX_LIST,
  KVM_GET_SUPPORTED_CPUID,
  KVM_GET_VCPU_MMAP_SIZE,
  KVM_MSRS,
  KVM_MSR_LIST,
  KVM_X86_GET_MCE_CAP_SUPPORTED,
  VCPU_MMAP_SIZE,
  dataViewOf,
  ENOMEM,
} from '@guestmode/kvm-abi'
import { IA32_BIOS_SIGN_ID, IA32_VMX_BASIC, IA32_VMX_EPT_VPID_CAP } from '@guestmode/x86'
import { supportedCpuid } from '../cpuid.ts'
import type { Engine } from '../kvm.ts'
import { savedMsrs } from '../msr.ts'
import { fill, list, pointer, value, type Handlers } from './argument.ts'
import { checkExtension } from './capabilities.ts'

const MAX_MSRS = 256
/** MCG_CTL_P and MCG_SER_P; 32 banks. [Linux arch/x86/kvm/x86.c kvm_mce_cap_supported] */
export const MCE_CAPABILITIES = (1n << 8n) | (1n << 24n)

/** MSRs that describe the hypervisor or the processor. */
const featureMsrs = (): number[] => {
  const vmx: number[] = []
  for (let index = IA32_VMX_BASIC; index <= IA32_VMX_EPT_VPID_CAP; index++) vmx.push(index)
  return [IA32_BIOS_SIGN_ID, ...vmx]
}

export const systemHandlers: Handlers<Engine> = {
  [KVM_GET_API_VERSION]: (_engine, argument) => (value(argument) === 0 ? KVM_API_VERSION : -EINVAL),
  [KVM_CREATE_VM](engine, argument) {
    if (value(argument) !== 0) return -EINVAL
    try {
      return engine.createVm()
    } catch (error) {
      if (error instanceof RangeError) return -ENOMEM
      throw error
    }
  },
  [KVM_CHECK_EXTENSION]: (engine, argument) => checkExtension(engine, value(argument)),
  [KVM_GET_VCPU_MMAP_SIZE]: (_engine, argument) => (value(argument) === 0 ? VCPU_MMAP_SIZE : -EINVAL),
  [KVM_GET_SUPPORTED_CPUID]: (engine, argument) => fill(argument, KVM_CPUID2, supportedCpuid(engine.processor), E2BIG),
  [KVM_GET_EMULATED_CPUID]: (_engine, argument) => fill(argument, KVM_CPUID2, [], E2BIG),
  [KVM_GET_MSR_INDEX_LIST]: (engine, argument) => fill(argument, KVM_MSR_LIST, savedMsrs(engine.hasLongMode), E2BIG),
  [KVM_GET_MSR_FEATURE_INDEX_LIST]: (_engine, argument) => fill(argument, KVM_MSR_LIST, featureMsrs(), E2BIG),
  [KVM_GET_MSRS](engine, argument) {
    const entries = list(argument, KVM_MSRS)
    if (entries.length >= MAX_MSRS) return -E2BIG
    const known = new Set(featureMsrs())
    const count = entries.findIndex(({ index }) => !known.has(index))
    const read = entries.slice(0, count < 0 ? entries.length : count)
    const bytes = pointer(argument, KVM_MSRS.sizeFor(read.length))
    read.forEach(({ index }, i) => {
      const data = index === IA32_BIOS_SIGN_ID ? 0x1_0000_0000n : engine.processor.rdmsr(index)
      dataViewOf(bytes).setBigUint64(KVM_MSRS.elementsOffset + i * KVM_MSRS.element.size + 8, data, true)
    })
    return read.length
  },
  [KVM_X86_GET_MCE_CAP_SUPPORTED](_engine, argument) {
    dataViewOf(pointer(argument, 8)).setBigUint64(0, MCE_CAPABILITIES, true)
    return 0
  },
}
