import { field, struct, u32, u64 } from './struct.ts'
import { flexible } from './flexible.ts'
import type { StructValue } from './struct.ts'

export const KVM_MSR_ENTRY = struct('kvm_msr_entry', 16, { index: field(u32, 0), data: field(u64, 8) })
export type KvmMsrEntry = StructValue<typeof KVM_MSR_ENTRY>

/** KVM_GET_MSRS, KVM_SET_MSRS */
export const KVM_MSRS = flexible(struct('kvm_msrs', 8, { nmsrs: field(u32, 0) }), 'nmsrs', 'entries', 8, KVM_MSR_ENTRY)

/** KVM_GET_MSR_INDEX_LIST, KVM_GET_MSR_FEATURE_INDEX_LIST */
export const KVM_MSR_LIST = flexible(struct('kvm_msr_list', 4, { nmsrs: field(u32, 0) }), 'nmsrs', 'indices', 4, u32)

/** Bits of the argument of KVM_ENABLE_CAP(KVM_CAP_X86_USER_SPACE_MSR), and of `kvm_run.msr.reason` */
export const KVM_MSR_EXIT_REASON_INVAL = 1
export const KVM_MSR_EXIT_REASON_UNKNOWN = 2
export const KVM_MSR_EXIT_REASON_FILTER = 4
