import { array, field, struct, u32, u64 } from './struct.ts'
import type { StructInput } from './struct.ts'

export const KVM_GUESTDBG_ENABLE = 0x1
export const KVM_GUESTDBG_SINGLESTEP = 0x2
export const KVM_GUESTDBG_USE_SW_BP = 0x10000
export const KVM_GUESTDBG_USE_HW_BP = 0x20000
export const KVM_GUESTDBG_INJECT_DB = 0x40000
export const KVM_GUESTDBG_INJECT_BP = 0x80000
export const KVM_GUESTDBG_BLOCKIRQ = 0x100000

/** KVM_SET_GUEST_DEBUG */
export const KVM_GUEST_DEBUG = struct('kvm_guest_debug', 72, {
  control: field(u32, 0),
  debugreg: field(array(u64, 8), 8, 'arch.debugreg'),
})
export type KvmGuestDebug = { control: number } & StructInput<typeof KVM_GUEST_DEBUG>

/** What KVM_EXIT_DEBUG reports */
export const KVM_DEBUG_EXIT_ARCH = struct('kvm_debug_exit_arch', 32, {
  exception: field(u32, 0),
  pc: field(u64, 8),
  dr6: field(u64, 16),
  dr7: field(u64, 24),
})
