import * as x86 from '@guestmode/x86'
import { ExitReason } from '@guestmode/x86'

/** Instructions that exit, by mnemonic. [SDM3 26.1 "Instructions That Cause VM Exits"] */

const always: readonly (readonly [string, number])[] = [
  ['CPUID', ExitReason.CPUID],
  ['GETSEC', ExitReason.GETSEC],
  ['INVD', ExitReason.INVD],
  ['XSETBV', ExitReason.XSETBV],
  ['VMCALL', ExitReason.VMCALL],
  ['VMCLEAR', ExitReason.VMCLEAR],
  ['VMLAUNCH', ExitReason.VMLAUNCH],
  ['VMPTRLD', ExitReason.VMPTRLD],
  ['VMPTRST', ExitReason.VMPTRST],
  ['VMREAD', ExitReason.VMREAD],
  ['VMRESUME', ExitReason.VMRESUME],
  ['VMWRITE', ExitReason.VMWRITE],
  ['VMXOFF', ExitReason.VMXOFF],
  ['VMXON', ExitReason.VMXON],
  ['INVEPT', ExitReason.INVEPT],
  ['INVVPID', ExitReason.INVVPID],
]

const byPrimary: readonly (readonly [string, number, number])[] = [
  ['HLT', ExitReason.HLT, x86.CPU_HLT_EXITING],
  ['INVLPG', ExitReason.INVLPG, x86.CPU_INVLPG_EXITING],
  ['MWAIT', ExitReason.MWAIT, x86.CPU_MWAIT_EXITING],
  ['RDPMC', ExitReason.RDPMC, x86.CPU_RDPMC_EXITING],
  ['RDTSC', ExitReason.RDTSC, x86.CPU_RDTSC_EXITING],
  ['MONITOR', ExitReason.MONITOR, x86.CPU_MONITOR_EXITING],
  ['PAUSE', ExitReason.PAUSE, x86.CPU_PAUSE_EXITING],
]

const bySecondary: readonly (readonly [string, number, number])[] = [
  ['WBINVD', ExitReason.WBINVD, x86.SECONDARY_WBINVD_EXITING],
  ['WBNOINVD', ExitReason.WBINVD, x86.SECONDARY_WBINVD_EXITING],
  ['RDRAND', ExitReason.RDRAND, x86.SECONDARY_RDRAND_EXITING],
  ['RDSEED', ExitReason.RDSEED, x86.SECONDARY_RDSEED_EXITING],
  ...['SGDT', 'SIDT', 'LGDT', 'LIDT'].map(
    (name) => [name, ExitReason.GDTR_OR_IDTR_ACCESS, x86.SECONDARY_DESCRIPTOR_TABLE_EXITING] as const,
  ),
  ...['SLDT', 'STR', 'LLDT', 'LTR'].map(
    (name) => [name, ExitReason.LDTR_OR_TR_ACCESS, x86.SECONDARY_DESCRIPTOR_TABLE_EXITING] as const,
  ),
]

/** Exists in non-root operation only by a control, or not at all. */
export const UNDEFINED = -1

/** By mnemonic: exit reason, or `UNDEFINED`. What is not in the table executes. [SDM3 26.3 "Changes to Instruction Behavior in VMX Non-Root Operation"] */
export function interceptedInstructions(primary: number, secondary: number): ReadonlyMap<string, number> {
  const map = new Map<string, number>(always)
  for (const [name, reason, control] of byPrimary) if ((primary & control) !== 0) map.set(name, reason)
  for (const [name, reason, control] of bySecondary) if ((secondary & control) !== 0) map.set(name, reason)
  if ((secondary & x86.SECONDARY_RDTSCP) === 0) {
    map.set('RDTSCP', UNDEFINED)
    map.set('RDPID', UNDEFINED)
  } else if ((primary & x86.CPU_RDTSC_EXITING) !== 0) map.set('RDTSCP', ExitReason.RDTSCP)
  if ((secondary & x86.SECONDARY_INVPCID) === 0) map.set('INVPCID', UNDEFINED)
  else if ((primary & x86.CPU_INVLPG_EXITING) !== 0) map.set('INVPCID', ExitReason.INVPCID)
  map.set('VMFUNC', UNDEFINED)
  map.set('RSM', UNDEFINED)
  return map
}
