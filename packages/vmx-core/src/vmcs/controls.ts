import {
  CPU_ACTIVATE_SECONDARY,
  CPU_CR3_LOAD_EXITING,
  CPU_CR3_STORE_EXITING,
  CPU_CR8_LOAD_EXITING,
  CPU_CR8_STORE_EXITING,
  CPU_HLT_EXITING,
  CPU_INVLPG_EXITING,
  CPU_MONITOR_EXITING,
  CPU_MONITOR_TRAP_FLAG,
  CPU_MWAIT_EXITING,
  CPU_RDPMC_EXITING,
  CPU_UNCONDITIONAL_IO_EXITING,
  CPU_USE_MSR_BITMAPS,
  CPU_USE_TSC_OFFSETTING,
  ENTRY_LOAD_DEBUG_CONTROLS,
  ENTRY_LOAD_EFER,
  ENTRY_LOAD_PAT,
  EXIT_ACK_INTERRUPT,
  EXIT_HOST_ADDRESS_SPACE_SIZE,
  EXIT_LOAD_EFER,
  EXIT_LOAD_PAT,
  EXIT_SAVE_DEBUG_CONTROLS,
  EXIT_SAVE_EFER,
  EXIT_SAVE_PAT,
  IA32_VMX_BASIC,
  IA32_VMX_ENTRY_CTLS,
  IA32_VMX_EXIT_CTLS,
  IA32_VMX_PINBASED_CTLS,
  IA32_VMX_PROCBASED_CTLS,
  IA32_VMX_PROCBASED_CTLS2,
  IA32_VMX_TRUE_ENTRY_CTLS,
  IA32_VMX_TRUE_EXIT_CTLS,
  IA32_VMX_TRUE_PINBASED_CTLS,
  IA32_VMX_TRUE_PROCBASED_CTLS,
  PIN_EXTERNAL_INTERRUPT_EXITING,
  PIN_NMI_EXITING,
  PIN_VIRTUAL_NMIS,
  SECONDARY_EPT,
  SECONDARY_INVPCID,
  SECONDARY_RDTSCP,
  SECONDARY_UNRESTRICTED_GUEST,
  SECONDARY_VPID,
  Vmcs,
} from '@guestmode/x86'
import type { VirtualizingProcessor } from '../machine.ts'
import { ConfigError } from '../options.ts'

const TRUE_CONTROLS = 1n << 55n

/**
 * A control word: what must be on, what is wanted where the processor has it, and the bits that it forces.
 * [SDM3 Appendix A.3 "VM-Execution Controls"]
 */
function adjust(processor: VirtualizingProcessor, name: string, msr: number, required: number, wanted: number): number {
  const capability = processor.rdmsr(msr)
  const mustBeOne = Number(capability & 0xffff_ffffn)
  const mayBeOne = Number(capability >> 32n)
  const value = (((required | wanted) & mayBeOne) | mustBeOne) >>> 0
  if ((required & ~value) !== 0) {
    throw new ConfigError(
      `The processor lacks ${name} controls 0x${((required & ~value) >>> 0).toString(16)}: use one that has them.`,
    )
  }
  return value
}

/** The control fields of a vCPU's VMCS, remembered so that a field is written only when it changes. */
export class Controls {
  readonly hasVpid: boolean
  readonly hasMonitorTrap: boolean
  readonly hasVirtualNmis: boolean
  readonly hasLoadEfer: boolean
  readonly #processor: VirtualizingProcessor
  #cpu: number
  #secondary: number
  #entry: number
  #exceptions = 0

  constructor(processor: VirtualizingProcessor, longMode: boolean, vpid: number) {
    this.#processor = processor
    const isTrue = (processor.rdmsr(IA32_VMX_BASIC) & TRUE_CONTROLS) !== 0n
    const msr = (plain: number, exact: number) => (isTrue ? exact : plain)
    const pin = adjust(
      processor,
      'pin-based',
      msr(IA32_VMX_PINBASED_CTLS, IA32_VMX_TRUE_PINBASED_CTLS),
      PIN_EXTERNAL_INTERRUPT_EXITING | PIN_NMI_EXITING,
      PIN_VIRTUAL_NMIS,
    )
    const cpuMsr = msr(IA32_VMX_PROCBASED_CTLS, IA32_VMX_TRUE_PROCBASED_CTLS)
    const always =
      CPU_HLT_EXITING |
      CPU_UNCONDITIONAL_IO_EXITING |
      CPU_USE_MSR_BITMAPS |
      CPU_USE_TSC_OFFSETTING |
      CPU_MWAIT_EXITING |
      CPU_MONITOR_EXITING |
      CPU_RDPMC_EXITING |
      CPU_ACTIVATE_SECONDARY
    const cr8 = longMode ? CPU_CR8_LOAD_EXITING | CPU_CR8_STORE_EXITING : 0
    // Those that come and go: off to begin with, even where the plain capability MSR would have CR3 exits on.
    this.#cpu =
      (adjust(processor, 'processor-based', cpuMsr, always | cr8, 0) &
        ~(CPU_CR3_LOAD_EXITING | CPU_CR3_STORE_EXITING | CPU_INVLPG_EXITING)) >>>
      0
    this.#secondary = adjust(
      processor,
      'secondary',
      IA32_VMX_PROCBASED_CTLS2,
      SECONDARY_EPT | SECONDARY_UNRESTRICTED_GUEST,
      SECONDARY_RDTSCP | SECONDARY_VPID | SECONDARY_INVPCID,
    )
    const exit = adjust(
      processor,
      'exit',
      msr(IA32_VMX_EXIT_CTLS, IA32_VMX_TRUE_EXIT_CTLS),
      longMode ? EXIT_HOST_ADDRESS_SPACE_SIZE : 0,
      EXIT_SAVE_DEBUG_CONTROLS | EXIT_ACK_INTERRUPT | EXIT_SAVE_PAT | EXIT_LOAD_PAT | EXIT_SAVE_EFER | EXIT_LOAD_EFER,
    )
    this.#entry = adjust(
      processor,
      'entry',
      msr(IA32_VMX_ENTRY_CTLS, IA32_VMX_TRUE_ENTRY_CTLS),
      0,
      ENTRY_LOAD_DEBUG_CONTROLS | ENTRY_LOAD_PAT | ENTRY_LOAD_EFER,
    )
    this.hasVpid = (this.#secondary & SECONDARY_VPID) !== 0
    this.hasMonitorTrap = (Number(processor.rdmsr(cpuMsr) >> 32n) & CPU_MONITOR_TRAP_FLAG) !== 0
    this.hasVirtualNmis = (pin & PIN_VIRTUAL_NMIS) !== 0
    this.hasLoadEfer = (this.#entry & ENTRY_LOAD_EFER) !== 0

    processor.vmwrite32(Vmcs.PIN_BASED_VM_EXEC_CONTROL, pin)
    processor.vmwrite32(Vmcs.CPU_BASED_VM_EXEC_CONTROL, this.#cpu)
    processor.vmwrite32(Vmcs.SECONDARY_VM_EXEC_CONTROL, this.#secondary)
    processor.vmwrite32(Vmcs.VM_EXIT_CONTROLS, exit)
    processor.vmwrite32(Vmcs.VM_ENTRY_CONTROLS, this.#entry)
    if (this.hasVpid) processor.vmwrite32(Vmcs.VIRTUAL_PROCESSOR_ID, vpid)
    for (const field of [
      Vmcs.EXCEPTION_BITMAP,
      Vmcs.PAGE_FAULT_ERROR_CODE_MASK,
      Vmcs.PAGE_FAULT_ERROR_CODE_MATCH,
      Vmcs.CR3_TARGET_COUNT,
      Vmcs.VM_EXIT_MSR_STORE_COUNT,
      Vmcs.VM_EXIT_MSR_LOAD_COUNT,
      Vmcs.VM_ENTRY_MSR_LOAD_COUNT,
      Vmcs.VM_ENTRY_INTR_INFO,
    ]) {
      processor.vmwrite32(field, 0)
    }
    processor.vmwrite(Vmcs.VMCS_LINK_POINTER, 0xffff_ffff_ffff_ffffn)
  }

  setCpu(bits: number, on: boolean): void {
    const value = (on ? this.#cpu | bits : this.#cpu & ~bits) >>> 0
    if (value === this.#cpu) return
    this.#cpu = value
    this.#processor.vmwrite32(Vmcs.CPU_BASED_VM_EXEC_CONTROL, value)
  }

  setSecondary(bits: number, on: boolean): void {
    const value = (on ? this.#secondary | bits : this.#secondary & ~bits) >>> 0
    if (value === this.#secondary) return
    this.#secondary = value
    this.#processor.vmwrite32(Vmcs.SECONDARY_VM_EXEC_CONTROL, value)
  }

  setEntry(bits: number, on: boolean): void {
    const value = (on ? this.#entry | bits : this.#entry & ~bits) >>> 0
    if (value === this.#entry) return
    this.#entry = value
    this.#processor.vmwrite32(Vmcs.VM_ENTRY_CONTROLS, value)
  }

  setException(vector: number, on: boolean): void {
    const value = (on ? this.#exceptions | (1 << vector) : this.#exceptions & ~(1 << vector)) >>> 0
    if (value === this.#exceptions) return
    this.#exceptions = value
    this.#processor.vmwrite32(Vmcs.EXCEPTION_BITMAP, value)
  }
}
