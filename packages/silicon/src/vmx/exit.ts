import {
  EFLAGS_RF,
  Exception,
  ExitReason,
  EXIT_ACK_INTERRUPT,
  EXIT_SAVE_PREEMPTION_TIMER,
  INTR_INFO_TYPE,
  INTR_INFO_TYPE_SHIFT,
  INTR_INFO_VALID,
  INTR_INFO_VECTOR,
  INTR_TYPE_PRIVILEGED_SOFTWARE_EXCEPTION,
  INTR_TYPE_SOFTWARE_EXCEPTION,
  INTR_TYPE_SOFTWARE_INTERRUPT,
} from '@guestmode/x86'
import { GuestFault, VmExit, type CpuEvent } from '../cpu/events.ts'
import { changeFlags } from '../microcode/flags.ts'
import { VmxAbort } from './error.ts'
import type { VmxHost } from './host.ts'
import { vectoringInformation } from './injection.ts'
import { hasInstructionInformation, instructionInformation } from './instruction-info.ts'
import { loadMsrArea, storeMsrArea } from './msr-area.ts'
import type { NonRootOperation } from './non-root.ts'
import { savePdptes, saveOptionalState, savesPdptes } from './transfer.ts'
import type { CurrentVmcs } from './vmcs.ts'
import { field, fieldNumber, vmcsRegion } from './vmcs-layout.ts'

/** Vector that the simulated external interrupt of the host is acknowledged with. */
const HOST_INTERRUPT_VECTOR = 0xf2

/** Exits that report the length of an instruction always. [SDM3 28.2.5] */
const withLength = new Set<number>([
  ExitReason.CPUID,
  ExitReason.GETSEC,
  ExitReason.HLT,
  ExitReason.INVD,
  ExitReason.INVLPG,
  ExitReason.RDPMC,
  ExitReason.RDTSC,
  ExitReason.RSM,
  ExitReason.VMCALL,
  ExitReason.VMCLEAR,
  ExitReason.VMLAUNCH,
  ExitReason.VMPTRLD,
  ExitReason.VMPTRST,
  ExitReason.VMREAD,
  ExitReason.VMRESUME,
  ExitReason.VMWRITE,
  ExitReason.VMXOFF,
  ExitReason.VMXON,
  ExitReason.CR_ACCESS,
  ExitReason.DR_ACCESS,
  ExitReason.IO_INSTRUCTION,
  ExitReason.MSR_READ,
  ExitReason.MSR_WRITE,
  ExitReason.MWAIT,
  ExitReason.MONITOR,
  ExitReason.PAUSE,
  ExitReason.GDTR_OR_IDTR_ACCESS,
  ExitReason.LDTR_OR_TR_ACCESS,
  ExitReason.INVEPT,
  ExitReason.RDTSCP,
  ExitReason.INVVPID,
  ExitReason.WBINVD,
  ExitReason.XSETBV,
  ExitReason.RDRAND,
  ExitReason.INVPCID,
  ExitReason.RDSEED,
])

const fromTaskGate = 3n << 30n

const isSoftware = (kind: number): boolean =>
  kind === INTR_TYPE_SOFTWARE_INTERRUPT ||
  kind === INTR_TYPE_PRIVILEGED_SOFTWARE_EXCEPTION ||
  kind === INTR_TYPE_SOFTWARE_EXCEPTION

/** Not considered to be during the event's delivery. [SDM3 28.2.4 "Information for VM Exits During Event Delivery"] */
function isOutsideDelivery(exit: VmExit, information: number): boolean {
  if (exit.reason === ExitReason.TRIPLE_FAULT) return true
  return exit.reason === ExitReason.EXCEPTION_OR_NMI && (information & INTR_INFO_VECTOR) === Exception.DF
}

function instructionLength(host: VmxHost, exit: VmExit, information: number, delivering: CpuEvent | undefined): number {
  const { reason } = exit
  if (delivering !== undefined && isSoftware(delivering.kind)) return delivering.instructionLength ?? 0
  const executed =
    withLength.has(reason) ||
    (reason === ExitReason.EXCEPTION_OR_NMI && isSoftware((information & INTR_INFO_TYPE) >>> INTR_INFO_TYPE_SHIFT)) ||
    (reason === ExitReason.TASK_SWITCH && (exit.qualification & fromTaskGate) !== fromTaskGate)
  if (!executed) return 0
  return Number(BigInt.asUintN(4, host.nextRip - host.state.rip))
}

export const areaAddress = (vmcs: CurrentVmcs, number: number): number => vmcs.high(number) * 0x1_0000_0000 + vmcs.low(number)

/** The value that would be pushed has RF set for faults; it matters only where instruction breakpoints are armed. [SDM3 28.3.3 "Saving RIP, RSP, RFLAGS, and SSP"] */
function setsResumeFlag(host: VmxHost, exit: VmExit, information: number, delivering: CpuEvent | undefined): boolean {
  if ((host.state.dr.get(7) & 0xffn) === 0n) return false
  switch (exit.reason) {
    case ExitReason.EPT_VIOLATION:
    case ExitReason.EPT_MISCONFIGURATION:
      return delivering === undefined
    case ExitReason.EXCEPTION_OR_NMI:
      return (
        (information & INTR_INFO_VECTOR) !== Exception.DB && !isSoftware((information & INTR_INFO_TYPE) >>> INTR_INFO_TYPE_SHIFT)
      )
    default:
      return false
  }
}

/** Exit information and guest state of a VM exit. [SDM3 28.2 "Recording VM-Exit Information and Updating VM-Entry Control Fields", 28.3 "Saving Guest State"] */
export function recordExit(host: VmxHost, vmcs: CurrentVmcs, nonRoot: NonRootOperation, exit: VmExit, secondary: number): void {
  const { reason, qualification, details } = exit
  const exitControls = vmcs.low(field.VM_EXIT_CONTROLS)
  const { delivering } = nonRoot
  nonRoot.delivering = undefined

  vmcs.lazy = undefined
  vmcs.store(field.VM_EXIT_REASON, reason, 0)
  storeBig(vmcs, field.EXIT_QUALIFICATION, qualification)
  vmcs.store(field.VM_EXIT_INTR_INFO, 0, 0)
  for (const key in details) storeBig(vmcs, fieldNumber(Number(key)), details[key]!)
  if (reason === ExitReason.EXTERNAL_INTERRUPT && (exitControls & EXIT_ACK_INTERRUPT) !== 0) {
    vmcs.store(field.VM_EXIT_INTR_INFO, (INTR_INFO_VALID | HOST_INTERRUPT_VECTOR) >>> 0, 0)
  }
  const information = vmcs.low(field.VM_EXIT_INTR_INFO)
  const interrupted = delivering === undefined || isOutsideDelivery(exit, information) ? undefined : delivering
  vmcs.store(field.IDT_VECTORING_INFO, interrupted === undefined ? 0 : vectoringInformation(interrupted), 0)
  if (interrupted?.errorCode !== undefined) vmcs.store(field.IDT_VECTORING_ERROR_CODE, interrupted.errorCode, 0)
  vmcs.store(field.VM_EXIT_INSTRUCTION_LENGTH, instructionLength(host, exit, information, interrupted), 0)
  vmcs.store(field.VM_ENTRY_INTR_INFO, (vmcs.low(field.VM_ENTRY_INTR_INFO) & ~INTR_INFO_VALID) >>> 0, 0)

  saveOptionalState(host, vmcs, exitControls)
  if ((exitControls & EXIT_SAVE_PREEMPTION_TIMER) !== 0) vmcs.store(field.VMX_PREEMPTION_TIMER_VALUE, nonRoot.timerValue(), 0)
  if (setsResumeFlag(host, exit, information, interrupted)) changeFlags(host, EFLAGS_RF, EFLAGS_RF)

  const describes = hasInstructionInformation(reason, qualification)
  const pdptes = savesPdptes(host, secondary)
  if (describes || pdptes) vmcs.lazy = () => settle(host, vmcs, describes ? reason : undefined, pdptes)
}

function storeBig(vmcs: CurrentVmcs, number: number, value: bigint): void {
  vmcs.store(number, Number(BigInt.asUintN(32, value)), value > 0xffff_ffffn ? Number(BigInt.asUintN(32, value >> 32n)) : 0)
}

function settle(host: VmxHost, vmcs: CurrentVmcs, reason: number | undefined, pdptes: boolean): void {
  if (pdptes) savePdptes(host, vmcs)
  if (reason === undefined) return
  try {
    const { information, qualification, linear } = instructionInformation(host, reason)
    vmcs.store(field.VM_EXIT_INSTRUCTION_INFO, information, 0)
    if (qualification !== undefined) storeBig(vmcs, field.EXIT_QUALIFICATION, qualification)
    if (linear !== undefined) storeBig(vmcs, field.GUEST_LINEAR_ADDRESS, linear)
  } catch (error) {
    // The host has unmapped the code meanwhile.
    if (!(error instanceof GuestFault) && !(error instanceof VmExit)) throw error
    vmcs.store(field.VM_EXIT_INSTRUCTION_INFO, 0, 0)
  }
}

/**
 * MSR areas of an exit. The rest of the host state has no copy to be loaded into: the host is no x86 code, and reads what it
 * is to find after an exit in the host-state area. [SDM3 28.4 "Saving MSRs", 28.6 "Loading MSRs"]
 */
export function switchMsrs(host: VmxHost, vmcs: CurrentVmcs, saves: boolean): void {
  const stores = saves ? vmcs.low(field.VM_EXIT_MSR_STORE_COUNT) : 0
  const loads = vmcs.low(field.VM_EXIT_MSR_LOAD_COUNT)
  if (stores !== 0) {
    const failed = storeMsrArea(host, areaAddress(vmcs, field.VM_EXIT_MSR_STORE_ADDR), stores)
    if (failed !== 0) throw abort(host, vmcs, 1, `VM exit cannot store the MSR of entry ${failed}`)
  }
  if (loads !== 0) {
    const failed = loadMsrArea(host, areaAddress(vmcs, field.VM_EXIT_MSR_LOAD_ADDR), loads)
    if (failed !== 0) throw abort(host, vmcs, 4, `VM exit cannot load the MSR of entry ${failed}`)
  }
}

function abort(host: VmxHost, vmcs: CurrentVmcs, indicator: number, message: string): VmxAbort {
  const { mem } = host
  if (vmcs.pointer !== undefined) mem.u32[(mem.physBase + vmcs.pointer + vmcsRegion.abort) >> 2] = indicator
  return new VmxAbort(message, indicator)
}

/** A failed entry records little. [SDM3 27.8 "VM-Entry Failures During or After Loading Guest State"] */
export function recordEntryFailure(vmcs: CurrentVmcs, reason: number, qualification: number): void {
  vmcs.lazy = undefined
  vmcs.store(field.VM_EXIT_REASON, (reason | ExitReason.ENTRY_FAILURE) >>> 0, 0)
  vmcs.store(field.EXIT_QUALIFICATION, qualification, 0)
}
