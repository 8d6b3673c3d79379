import { field, struct, u32, u64, u8 } from './struct.ts'
import type { StructValue } from './struct.ts'

export const KVM_VCPUEVENT_VALID_NMI_PENDING = 0x01
export const KVM_VCPUEVENT_VALID_SIPI_VECTOR = 0x02
export const KVM_VCPUEVENT_VALID_SHADOW = 0x04
export const KVM_VCPUEVENT_VALID_SMM = 0x08
export const KVM_VCPUEVENT_VALID_PAYLOAD = 0x10
export const KVM_VCPUEVENT_VALID_TRIPLE_FAULT = 0x20

export const KVM_X86_SHADOW_INT_MOV_SS = 0x01
export const KVM_X86_SHADOW_INT_STI = 0x02

/** KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS */
export const KVM_VCPU_EVENTS = struct('kvm_vcpu_events', 64, {
  exception: field(
    struct('', 8, {
      injected: field(u8, 0),
      nr: field(u8, 1),
      hasErrorCode: field(u8, 2),
      pending: field(u8, 3),
      errorCode: field(u32, 4),
    }),
    0,
  ),
  interrupt: field(struct('', 4, { injected: field(u8, 0), nr: field(u8, 1), soft: field(u8, 2), shadow: field(u8, 3) }), 8),
  nmi: field(struct('', 4, { injected: field(u8, 0), pending: field(u8, 1), masked: field(u8, 2) }), 12),
  sipiVector: field(u32, 16),
  flags: field(u32, 20),
  smi: field(
    struct('', 4, { smm: field(u8, 0), pending: field(u8, 1), smmInsideNmi: field(u8, 2), latchedInit: field(u8, 3) }),
    24,
  ),
  tripleFault: field(struct('', 1, { pending: field(u8, 0) }), 28),
  exceptionHasPayload: field(u8, 55),
  exceptionPayload: field(u64, 56),
})
export type KvmVcpuEvents = StructValue<typeof KVM_VCPU_EVENTS>

/** KVM_INTERRUPT */
export const KVM_INTERRUPT_ARGUMENT = struct('kvm_interrupt', 4, { irq: field(u32, 0) })

export const KVM_MP_STATE_RUNNABLE = 0
export const KVM_MP_STATE_UNINITIALIZED = 1
export const KVM_MP_STATE_INIT_RECEIVED = 2
export const KVM_MP_STATE_HALTED = 3
export const KVM_MP_STATE_SIPI_RECEIVED = 4

/** KVM_GET_MP_STATE, KVM_SET_MP_STATE */
export const KVM_MP_STATE = struct('kvm_mp_state', 4, { mpState: field(u32, 0) })

/** KVM_X86_SET_MCE */
export const KVM_X86_MCE = struct('kvm_x86_mce', 64, {
  status: field(u64, 0),
  addr: field(u64, 8),
  misc: field(u64, 16),
  mcgStatus: field(u64, 24),
  bank: field(u8, 32),
})
export type KvmX86Mce = StructValue<typeof KVM_X86_MCE>
