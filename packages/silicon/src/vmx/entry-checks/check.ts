import {
  CPU_ACTIVATE_SECONDARY,
  CR0_PE,
  CR0_PG,
  EFLAGS_VM,
  ENTRY_IA32E_MODE_GUEST,
  INTR_INFO_TYPE,
  INTR_INFO_VALID,
  SECONDARY_EPT,
  SECONDARY_UNRESTRICTED_GUEST,
} from '@guestmode/x86'
import type { MachineMemory } from '../../machine/memory.ts'
import type { PageWalker } from '../../paging/walk.ts'
import type { VmxCapabilities } from '../capabilities.ts'
import type { CurrentVmcs } from '../vmcs.ts'
import { field } from '../vmcs-layout.ts'

/** One rule of the manual. */
export interface EntryCheck {
  readonly name: string
  holds(c: EntryContext): boolean
  /** Exit qualification of a failure by guest state; 0 unless said. [SDM3 27.8 "VM-Entry Failures During or After Loading Guest State"] */
  readonly qualification?: number
}

/** The name of the first check that fails. */
export function firstFailure(checks: readonly EntryCheck[], c: EntryContext): EntryCheck | undefined {
  for (const check of checks) if (!check.holds(c)) return check
  return undefined
}

/** A VMCS as the checks read it: fields by number, in words. */
export class EntryContext {
  readonly vmcs: CurrentVmcs
  readonly capabilities: VmxCapabilities
  readonly mem: MachineMemory
  readonly walker: PageWalker
  pin = 0
  cpu = 0
  secondary = 0
  exit = 0
  entry = 0
  cr0 = 0
  rflags = 0
  injection = 0

  constructor(vmcs: CurrentVmcs, capabilities: VmxCapabilities, mem: MachineMemory, walker: PageWalker) {
    this.vmcs = vmcs
    this.capabilities = capabilities
    this.mem = mem
    this.walker = walker
  }

  refresh(): void {
    const { vmcs } = this
    this.pin = vmcs.low(field.PIN_BASED_VM_EXEC_CONTROL)
    this.cpu = vmcs.low(field.CPU_BASED_VM_EXEC_CONTROL)
    this.secondary = (this.cpu & CPU_ACTIVATE_SECONDARY) === 0 ? 0 : vmcs.low(field.SECONDARY_VM_EXEC_CONTROL)
    this.exit = vmcs.low(field.VM_EXIT_CONTROLS)
    this.entry = vmcs.low(field.VM_ENTRY_CONTROLS)
    this.cr0 = vmcs.low(field.GUEST_CR0)
    this.rflags = vmcs.low(field.GUEST_RFLAGS)
    this.injection = vmcs.low(field.VM_ENTRY_INTR_INFO)
  }

  low(number: number): number {
    return this.vmcs.low(number)
  }

  high(number: number): number {
    return this.vmcs.high(number)
  }

  get ia32e(): boolean {
    return (this.entry & ENTRY_IA32E_MODE_GUEST) !== 0
  }
  get unrestricted(): boolean {
    return (this.secondary & SECONDARY_UNRESTRICTED_GUEST) !== 0
  }
  get ept(): boolean {
    return (this.secondary & SECONDARY_EPT) !== 0
  }
  get protection(): boolean {
    return (this.cr0 & CR0_PE) !== 0
  }
  get paging(): boolean {
    return (this.cr0 & CR0_PG) !== 0
  }
  get virtual8086(): boolean {
    return (this.rflags & EFLAGS_VM) !== 0
  }
  /** Interruption type of the event to inject, or -1. */
  get injectionType(): number {
    return (this.injection & INTR_INFO_VALID) === 0 ? -1 : (this.injection & INTR_INFO_TYPE) >>> 8
  }

  canonical(number: number): boolean {
    const top = this.high(number) >>> 15
    return top === 0 || top === 0x1_ffff
  }

  /** Within the physical-address width. */
  physical(number: number): boolean {
    return this.high(number) >>> (this.capabilities.physicalAddressBits - 32) === 0
  }

  page(number: number): boolean {
    return (this.low(number) & 0xfff) === 0 && this.physical(number)
  }
}
