import { ExitReason } from '@guestmode/x86'
import { handleTaskSwitch } from '../emulation/task-switch.ts'
import type { Vcpu } from '../vcpu.ts'
import { handleCr } from './cr.ts'
import { handleDr } from './dr.ts'
import { handleEptMisconfiguration, handleEptViolation } from './ept.ts'
import { handleException } from './exception.ts'
import { unexpectedExit } from './internal-error.ts'
import { handleIo } from './io.ts'
import { handleRdmsr, handleWrmsr } from './msr.ts'
import {
  handleCpuid,
  handleExternalInterrupt,
  handleHlt,
  handleInterruptWindow,
  handleInvlpg,
  handleMonitorTrap,
  handleNmiWindow,
  handleNothing,
  handleRdpmc,
  handleTripleFault,
  handleUndefined,
  handleVmcall,
  handleXsetbv,
} from './simple.ts'

/** True: the guest goes on. False: the VMM has to look, `kvm_run` says at what. */
export type ExitHandler = (vcpu: Vcpu) => boolean

type Reason = Exclude<keyof typeof ExitReason, 'ENTRY_FAILURE'>

/** Every exit reason there is. Those whose control is never turned on are unexpected. */
const handlers: Readonly<Record<Reason, ExitHandler>> = {
  EXCEPTION_OR_NMI: handleException,
  EXTERNAL_INTERRUPT: handleExternalInterrupt,
  TRIPLE_FAULT: handleTripleFault,
  INIT_SIGNAL: unexpectedExit,
  STARTUP_IPI: unexpectedExit,
  IO_SMI: unexpectedExit,
  OTHER_SMI: unexpectedExit,
  INTERRUPT_WINDOW: handleInterruptWindow,
  NMI_WINDOW: handleNmiWindow,
  TASK_SWITCH: handleTaskSwitch,
  CPUID: handleCpuid,
  GETSEC: handleUndefined,
  HLT: handleHlt,
  INVD: handleNothing,
  INVLPG: handleInvlpg,
  RDPMC: handleRdpmc,
  RDTSC: unexpectedExit,
  RSM: handleUndefined,
  VMCALL: handleVmcall,
  VMCLEAR: handleUndefined,
  VMLAUNCH: handleUndefined,
  VMPTRLD: handleUndefined,
  VMPTRST: handleUndefined,
  VMREAD: handleUndefined,
  VMRESUME: handleUndefined,
  VMWRITE: handleUndefined,
  VMXOFF: handleUndefined,
  VMXON: handleUndefined,
  CR_ACCESS: handleCr,
  DR_ACCESS: handleDr,
  IO_INSTRUCTION: handleIo,
  MSR_READ: handleRdmsr,
  MSR_WRITE: handleWrmsr,
  INVALID_GUEST_STATE: unexpectedExit,
  MSR_LOADING: unexpectedExit,
  MWAIT: handleNothing,
  MONITOR_TRAP_FLAG: handleMonitorTrap,
  MONITOR: handleNothing,
  PAUSE: handleNothing,
  MACHINE_CHECK_DURING_ENTRY: unexpectedExit,
  TPR_BELOW_THRESHOLD: unexpectedExit,
  APIC_ACCESS: unexpectedExit,
  VIRTUALIZED_EOI: unexpectedExit,
  GDTR_OR_IDTR_ACCESS: unexpectedExit,
  LDTR_OR_TR_ACCESS: unexpectedExit,
  EPT_VIOLATION: handleEptViolation,
  EPT_MISCONFIGURATION: handleEptMisconfiguration,
  INVEPT: handleUndefined,
  RDTSCP: unexpectedExit,
  PREEMPTION_TIMER: unexpectedExit,
  INVVPID: handleUndefined,
  WBINVD: handleNothing,
  XSETBV: handleXsetbv,
  APIC_WRITE: unexpectedExit,
  RDRAND: unexpectedExit,
  INVPCID: handleUndefined,
  VMFUNC: handleUndefined,
  ENCLS: handleUndefined,
  RDSEED: unexpectedExit,
  PAGE_MODIFICATION_LOG_FULL: unexpectedExit,
  XSAVES: handleUndefined,
  XRSTORS: handleUndefined,
}

const byNumber: ExitHandler[] = []
for (const [name, handler] of Object.entries(handlers)) byNumber[ExitReason[name as Reason]] = handler

/** Handler of a basic exit reason. */
export function handlerOf(reason: number): ExitHandler {
  return byNumber[reason & 0xffff] ?? unexpectedExit
}
