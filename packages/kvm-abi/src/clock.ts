import { field, struct, u32, u64 } from './struct.ts'
import type { StructInput, StructValue } from './struct.ts'

export const KVM_CLOCK_TSC_STABLE = 2
export const KVM_CLOCK_REALTIME = 4
export const KVM_CLOCK_HOST_TSC = 8

/** KVM_GET_CLOCK, KVM_SET_CLOCK: nanoseconds */
export const KVM_CLOCK_DATA = struct('kvm_clock_data', 48, {
  clock: field(u64, 0),
  flags: field(u32, 8),
  realtime: field(u64, 16),
  hostTsc: field(u64, 24),
})
export type KvmClockData = StructValue<typeof KVM_CLOCK_DATA>
export type KvmClockInput = { clock: bigint } & StructInput<typeof KVM_CLOCK_DATA>
