import { ExitReason, Vmcs } from '@guestmode/x86'
import { VmExit } from '../cpu/events.ts'
import type { PageWalker } from '../paging/walk.ts'

/** The VM exit of an EPT fault that the walker recorded. [SDM3 28.2.1 "Basic VM-Exit Information", Table 28-7] */
export function eptExit(walker: PageWalker): VmExit {
  const { fault } = walker
  if (fault.kind === 'page-fault') throw new Error('A page fault is no EPT fault')
  const linear = (BigInt(fault.linHi) << 32n) | BigInt(fault.linLo)
  const reason = fault.kind === 'ept-violation' ? ExitReason.EPT_VIOLATION : ExitReason.EPT_MISCONFIGURATION
  return new VmExit(reason, BigInt(fault.qualification), {
    [Vmcs.GUEST_PHYSICAL_ADDRESS]: BigInt(fault.gpa),
    [Vmcs.GUEST_LINEAR_ADDRESS]: linear,
  })
}
