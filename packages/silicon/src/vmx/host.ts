import type { Cpu } from '../cpu/cpu.ts'
import type { CpuEvent, VmExit } from '../cpu/events.ts'
import type { NonRoot } from '../cpu/non-root.ts'
import type { PageWalker } from '../paging/walk.ts'

/** What the VMX part needs of the processor that it is part of. */
export interface VmxHost extends Cpu {
  /** Set by the VMX part for as long as the guest runs. */
  nonRoot: NonRoot | undefined
  readonly walker: PageWalker
  /**
   * Runs the guest from `state` until a VM exit, which it returns (cheaper) or throws; or until about this many instructions
   * have run, or the processor is not in the active state. Honours `nonRoot.watching` and `nonRoot.singleStep`.
   */
  run(instructions: number): VmExit | void
  /** Delivery through the IDT; VmExit leaves `nonRoot.delivering` set. */
  deliverEvent(event: CpuEvent): void
  /** The MSR, or undefined where RDMSR faults. */
  readMsr(index: number): bigint | undefined
  /** False where WRMSR faults. */
  writeMsr(index: number, value: bigint): boolean
}

export interface VmxOptions {
  readonly physicalAddressBits?: number
  /** Host processor of the i386 kind: VMX without 64-bit guests. */
  readonly longMode?: boolean
}
