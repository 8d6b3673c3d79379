import type { MachineMemory } from './machine/memory.ts'
import type { CpuidLeaf, Environment } from './cpu/cpu.ts'

/** Result of a VMX instruction [SDM3 31.2 "Conventions"]: undefined = VMsucceed, 0 = VMfailInvalid, else VMfailValid with this VM-instruction error number. */
export type VmxStatus = undefined | number

/**
 * A logical processor with VT-x, as its host software (a hypervisor written in TypeScript) uses it. Host software runs in VMX
 * root operation and calls the VMX instructions as methods; guest code runs inside `vmlaunch` and `vmresume`.
 * Addresses of VMCS regions, bitmaps, EPT and page tables are host physical addresses in `memory`.
 */
export interface VirtualizingProcessor {
  readonly memory: MachineMemory
  vmxon(region: number): VmxStatus
  vmxoff(): VmxStatus
  vmclear(region: number): VmxStatus
  vmptrld(region: number): VmxStatus
  /** Current-VMCS pointer, or undefined. */
  vmptrst(): number | undefined
  /** By field encoding [SDM3 Appendix B "Field Encoding in VMCS"]. Throws VmxInstructionError (a broken host) for an unsupported field or without a current VMCS. */
  vmread(field: number): bigint
  vmwrite(field: number, value: bigint): void
  /** As vmread and vmwrite, for fields whose value fits a double: no bigint is made. Natural-width and 64-bit fields must be below 2^53. */
  vmread32(field: number): number
  vmwrite32(field: number, value: number): void
  /**
   * VM entry, the guest, and the VM exit. Returns a status when the entry fails in the instruction itself; otherwise undefined after
   * an exit (also an entry failure by guest state: exit reason bit 31), whose information is in the VMCS.
   * `instructions`: the guest is interrupted by an external interrupt of the host's after about this many instructions.
   */
  vmlaunch(instructions: number): VmxStatus
  vmresume(instructions: number): VmxStatus
  invept(type: 1 | 2, eptp?: bigint): VmxStatus
  invvpid(type: 0 | 1 | 2 | 3, vpid: number, linear?: bigint): VmxStatus
  /** Why an entry failed by controls or state: the failing check, by name. */
  readonly lastEntryFailure: string | undefined

  /** Registers that VM entry and exit do not switch. Host software saves and loads them round an entry: general registers (RSP excluded, it is in the VMCS), CR2, DR0-3, DR6, x87/MMX/SSE state, XCR0. */
  readonly registers: UnswitchedRegisters
  rdmsr(index: number): bigint
  wrmsr(index: number, value: bigint): void
  cpuid(leaf: number, subleaf: number): CpuidLeaf
  /** Memory was written by other agents (DMA, the host): drops what was decoded from it. */
  invalidateCode(hpa: number, length: number): void
  readonly environment: Environment
  /** Total of guest instructions retired on this processor. */
  readonly instructionsRetired: bigint
}

export interface UnswitchedRegisters {
  /** RAX..R15 by encoding; index 4 (RSP) is not meaningful outside the guest. */
  gpr(index: number): bigint
  setGpr(index: number, value: bigint): void
  cr2: bigint
  cr8: bigint
  xcr0: bigint
  dr(index: 0 | 1 | 2 | 3 | 6): bigint
  setDr(index: 0 | 1 | 2 | 3 | 6, value: bigint): void
  /** FXSAVE image of 512 bytes (64-bit format). */
  saveFxState(into: Uint8Array): void
  loadFxState(from: Uint8Array): void
}

/** Processor options: what CPUID and the VMX capability MSRs announce. */
export interface ProcessorOptions {
  /** Physical address width in bits. */
  readonly physicalAddressBits?: number
  /** Host processor of the i386 kind: no long mode. */
  readonly longMode?: boolean
}
