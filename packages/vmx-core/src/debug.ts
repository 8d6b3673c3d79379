import {
  KVM_EXIT_DEBUG,
  KVM_GUESTDBG_BLOCKIRQ,
  KVM_GUESTDBG_ENABLE,
  KVM_GUESTDBG_SINGLESTEP,
  KVM_GUESTDBG_USE_HW_BP,
  KVM_GUESTDBG_USE_SW_BP,
} from '@guestmode/kvm-abi'
import { CPU_MONITOR_TRAP_FLAG, CPU_MOV_DR_EXITING, DR6_BS, DR6_FIXED, Exception, Vmcs } from '@guestmode/x86'
import { codeLinear } from './emulation/fetch.ts'
import type { Vcpu } from './vcpu.ts'

const BREAKPOINTS = [0, 1, 2, 3] as const
const DR7_RESET = 0x400n

/** KVM_SET_GUEST_DEBUG: a debugger outside of the guest. */
export class GuestDebug {
  control = 0
  /** The guest's own breakpoints, while the debugger's are in the registers. */
  readonly guestRegisters: bigint[] = [0n, 0n, 0n, 0n]
  guestDr7 = DR7_RESET

  has(bit: number): boolean {
    return (this.control & KVM_GUESTDBG_ENABLE) !== 0 && (this.control & bit) !== 0
  }

  get singleStep(): boolean {
    return this.has(KVM_GUESTDBG_SINGLESTEP)
  }

  get hardwareBreakpoints(): boolean {
    return this.has(KVM_GUESTDBG_USE_HW_BP)
  }

  /** Linear addresses of instruction breakpoints; -1n for a register that is none. [SDM3 18.2.4 "Debug Control Register (DR7)"] */
  readonly breakpoints: bigint[] = [-1n, -1n, -1n, -1n]

  get hasBreakpoints(): boolean {
    return this.breakpoints.some((address) => address >= 0n)
  }

  get blocksInterrupts(): boolean {
    return this.has(KVM_GUESTDBG_BLOCKIRQ)
  }
}

/** Puts the debugger's wishes into the VMCS. */
export function applyGuestDebug(vcpu: Vcpu, control: number, debugreg: readonly bigint[]): void {
  const { debug, processor, controls } = vcpu
  const { registers } = processor
  if (!debug.hardwareBreakpoints) {
    for (const i of BREAKPOINTS) debug.guestRegisters[i] = registers.dr(i)
    debug.guestDr7 = processor.vmread(Vmcs.GUEST_DR7)
  }
  debug.control = control
  const own = debug.hardwareBreakpoints
  for (const i of BREAKPOINTS) registers.setDr(i, own ? (debugreg[i] ?? 0n) : debug.guestRegisters[i]!)
  const dr7 = debugreg[7] ?? 0n
  processor.vmwrite(Vmcs.GUEST_DR7, own ? dr7 | DR7_RESET : debug.guestDr7)
  for (const i of BREAKPOINTS) {
    const isEnabled = own && ((dr7 >> BigInt(2 * i)) & 3n) !== 0n && ((dr7 >> BigInt(16 + 4 * i)) & 3n) === 0n
    debug.breakpoints[i] = isEnabled ? (debugreg[i] ?? 0n) : -1n
  }
  controls.setCpu(CPU_MOV_DR_EXITING, own)
  // The processor compares no addresses: instruction breakpoints are found by stepping.
  controls.setCpu(CPU_MONITOR_TRAP_FLAG, debug.singleStep || debug.hasBreakpoints)
  controls.setException(Exception.DB, own || debug.singleStep)
  controls.setException(Exception.BP, debug.has(KVM_GUESTDBG_USE_SW_BP))
}

/** The guest's DR0-DR3 and DR7, wherever they are. */
export function readBreakpoint(vcpu: Vcpu, index: 0 | 1 | 2 | 3): bigint {
  return vcpu.debug.hardwareBreakpoints ? vcpu.debug.guestRegisters[index]! : vcpu.processor.registers.dr(index)
}

export function writeBreakpoint(vcpu: Vcpu, index: 0 | 1 | 2 | 3, value: bigint): void {
  if (vcpu.debug.hardwareBreakpoints) vcpu.debug.guestRegisters[index] = value
  else vcpu.processor.registers.setDr(index, value)
}

export function readDr7(vcpu: Vcpu): bigint {
  return vcpu.debug.hardwareBreakpoints ? vcpu.debug.guestDr7 : vcpu.processor.vmread(Vmcs.GUEST_DR7)
}

export function writeDr7(vcpu: Vcpu, value: bigint): void {
  if (vcpu.debug.hardwareBreakpoints) vcpu.debug.guestDr7 = value | DR7_RESET
  else vcpu.processor.vmwrite(Vmcs.GUEST_DR7, value | DR7_RESET)
}

/** Fills in KVM_EXIT_DEBUG; false, since it goes to the VMM. */
export function debugExit(vcpu: Vcpu, exception: number, dr6 = BigInt(DR6_FIXED)): false {
  const { run, processor } = vcpu
  run.exitReason = KVM_EXIT_DEBUG
  run.debug.exception = exception
  run.debug.pc = codeLinear(vcpu)
  run.debug.dr6 = dr6
  run.debug.dr7 = processor.vmread(Vmcs.GUEST_DR7)
  return false
}

/** An instruction is done: whether the guest goes on without the debugger. */
export function afterInstruction(vcpu: Vcpu): boolean {
  const { debug } = vcpu
  if (debug.singleStep) return stepExit(vcpu)
  if (!debug.hasBreakpoints) return true
  const hit = debug.breakpoints.indexOf(codeLinear(vcpu))
  return hit < 0 || debugExit(vcpu, Exception.DB, BigInt((DR6_FIXED | (1 << hit)) >>> 0))
}

export const stepExit = (vcpu: Vcpu): false => debugExit(vcpu, Exception.DB, BigInt((DR6_FIXED | DR6_BS) >>> 0))
