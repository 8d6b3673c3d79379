import { array, field, struct, u32, u64, u8 } from './struct.ts'
import { flexible } from './flexible.ts'

/** KVM_ENABLE_CAP */
export const KVM_ENABLE_CAP_ARGUMENT = struct('kvm_enable_cap', 104, {
  cap: field(u32, 0),
  flags: field(u32, 4),
  args: field(array(u64, 4), 8),
})

/** KVM_SET_SIGNAL_MASK: 8 bytes of mask on x86 */
export const KVM_SIGNAL_MASK = flexible(struct('kvm_signal_mask', 4, { len: field(u32, 0) }), 'len', 'sigset', 4, u8)
