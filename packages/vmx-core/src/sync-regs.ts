import {
  KVM_SYNC_X86_EVENTS,
  KVM_SYNC_X86_REGS,
  KVM_SYNC_X86_SREGS,
  type KvmRegs,
  type KvmSregs,
  type KvmVcpuEvents,
} from '@guestmode/kvm-abi'
import { KVM_RUN_PAGE, dataViewOf } from '@guestmode/kvm-abi'
import { getEvents, setEvents } from './state/events.ts'
import { getRegs, setRegs } from './state/regs.ts'
import { getSregs, setSregs } from './state/sregs.ts'
import type { Vcpu } from './vcpu.ts'

const { sync } = KVM_RUN_PAGE.fields

/** KVM_CAP_SYNC_REGS: registers in `kvm_run`, without a request each. */
export function loadSyncedRegisters(vcpu: Vcpu): void {
  const { run } = vcpu
  const dirty = Number(run.kvmDirtyRegs)
  if (dirty === 0) return
  const { regs, sregs, events } = sync.type.read(dataViewOf(vcpu.mapping), sync.offset)
  if ((dirty & KVM_SYNC_X86_REGS) !== 0) setRegs(vcpu, regs as KvmRegs)
  if ((dirty & KVM_SYNC_X86_SREGS) !== 0) setSregs(vcpu, sregs as KvmSregs)
  if ((dirty & KVM_SYNC_X86_EVENTS) !== 0) setEvents(vcpu, events as KvmVcpuEvents)
  run.kvmDirtyRegs = 0n
}

export function storeSyncedRegisters(vcpu: Vcpu): void {
  const valid = Number(vcpu.run.kvmValidRegs)
  if (valid === 0) return
  sync.type.write(dataViewOf(vcpu.mapping), sync.offset, {
    regs: (valid & KVM_SYNC_X86_REGS) !== 0 ? getRegs(vcpu) : undefined,
    sregs: (valid & KVM_SYNC_X86_SREGS) !== 0 ? getSregs(vcpu) : undefined,
    events: (valid & KVM_SYNC_X86_EVENTS) !== 0 ? getEvents(vcpu) : undefined,
  })
}
