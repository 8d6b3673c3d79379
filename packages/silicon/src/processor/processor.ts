import type { CpuidLeaf, Environment } from '../cpu/cpu.ts'
import type { ProcessorOptions, UnswitchedRegisters, VirtualizingProcessor, VmxStatus } from '../contract.ts'
import type { MachineMemory } from '../machine/memory.ts'
import type { PrivateLayout } from '../machine/private-layout.ts'
import { Vmx } from '../vmx/index.ts'
import { Core } from './core.ts'
import { loadFxState, saveFxState } from './fx-image.ts'

/** The contract of VT-x over a core: what host software has in its hands. */
export class Processor implements VirtualizingProcessor {
  readonly memory: MachineMemory
  readonly environment: Environment
  readonly registers: UnswitchedRegisters
  readonly core: Core
  private readonly vmx: Vmx

  constructor(memory: MachineMemory, layout: PrivateLayout, environment: Environment, options: ProcessorOptions) {
    this.memory = memory
    this.environment = environment
    this.core = new Core(memory, layout, environment, options)
    this.vmx = new Vmx(this.core, options)
    const { state } = this.core
    this.registers = {
      gpr: (index) => state.gpr.get(index),
      setGpr: (index, value) => state.gpr.set(index, BigInt.asUintN(64, value)),
      get cr2() {
        return state.cr2
      },
      set cr2(value) {
        state.cr2 = value
      },
      get cr8() {
        return state.cr8
      },
      set cr8(value) {
        state.cr8 = value
      },
      get xcr0() {
        return state.xcr0
      },
      set xcr0(value) {
        state.xcr0 = value
      },
      dr: (index) => state.dr.get(index),
      setDr: (index, value) => state.dr.set(index, value),
      saveFxState: (into) => saveFxState(state, into),
      loadFxState: (from) => loadFxState(state, from),
    }
  }

  get lastEntryFailure(): string | undefined {
    return this.vmx.lastEntryFailure
  }

  get instructionsRetired(): bigint {
    return this.core.instructionsRetired
  }

  vmxon(region: number): VmxStatus {
    return this.vmx.vmxon(region)
  }
  vmxoff(): VmxStatus {
    return this.vmx.vmxoff()
  }
  vmclear(region: number): VmxStatus {
    return this.vmx.vmclear(region)
  }
  vmptrld(region: number): VmxStatus {
    return this.vmx.vmptrld(region)
  }
  vmptrst(): number | undefined {
    return this.vmx.vmptrst()
  }
  vmread(field: number): bigint {
    return this.vmx.vmread(field)
  }
  vmwrite(field: number, value: bigint): void {
    this.vmx.vmwrite(field, value)
  }
  vmread32(field: number): number {
    return this.vmx.vmread32(field)
  }
  vmwrite32(field: number, value: number): void {
    this.vmx.vmwrite32(field, value)
  }
  vmlaunch(instructions: number): VmxStatus {
    return this.vmx.vmlaunch(instructions)
  }
  vmresume(instructions: number): VmxStatus {
    return this.vmx.vmresume(instructions)
  }
  invept(type: 1 | 2, eptp?: bigint): VmxStatus {
    return this.vmx.invept(type, eptp)
  }
  invvpid(type: 0 | 1 | 2 | 3, vpid: number, linear?: bigint): VmxStatus {
    return this.vmx.invvpid(type, vpid, linear)
  }

  /** Throws RangeError where RDMSR would be #GP(0). */
  rdmsr(index: number): bigint {
    const value = this.vmx.capability(index) ?? this.vmx.hostMsr(index) ?? this.core.readMsr(index)
    if (value === undefined) throw new RangeError(`no MSR ${index.toString(16)}h`)
    return value
  }

  /** Throws RangeError where WRMSR would be #GP(0). */
  wrmsr(index: number, value: bigint): void {
    if (!this.core.writeMsr(index, value)) throw new RangeError(`MSR ${index.toString(16)}h does not take ${value.toString(16)}h`)
  }

  cpuid(leaf: number, subleaf: number): CpuidLeaf {
    return this.core.cpuid(leaf, subleaf)
  }

  invalidateCode(hpa: number, length: number): void {
    this.core.engine.written(hpa, length)
  }
}
