import { field, struct, u32 } from './struct.ts'
import { flexible } from './flexible.ts'
import type { StructValue } from './struct.ts'

export const KVM_CPUID_FLAG_SIGNIFCANT_INDEX = 1
export const KVM_CPUID_FLAG_STATEFUL_FUNC = 2
export const KVM_CPUID_FLAG_STATE_READ_NEXT = 4

export const KVM_CPUID_ENTRY2 = struct('kvm_cpuid_entry2', 40, {
  function: field(u32, 0),
  index: field(u32, 4),
  flags: field(u32, 8),
  eax: field(u32, 12),
  ebx: field(u32, 16),
  ecx: field(u32, 20),
  edx: field(u32, 24),
})
export type KvmCpuidEntry2 = StructValue<typeof KVM_CPUID_ENTRY2>

/** KVM_GET_SUPPORTED_CPUID, KVM_GET_EMULATED_CPUID, KVM_SET_CPUID2, KVM_GET_CPUID2 */
export const KVM_CPUID2 = flexible(struct('kvm_cpuid2', 8, { nent: field(u32, 0) }), 'nent', 'entries', 8, KVM_CPUID_ENTRY2)
