import type { Environment } from '../cpu/cpu.ts'
import type { ProcessorOptions } from '../contract.ts'
import { Processor } from '../processor/processor.ts'
import { MachineMemory } from './memory.ts'
import { privateLayout } from './private-layout.ts'

export interface MachineOptions {
  /** Host physical memory to begin with, in bytes; it may grow. */
  readonly physBytes: number
  readonly environment: Environment
  readonly options?: ProcessorOptions
}

export interface Machine {
  readonly memory: MachineMemory
  readonly processor: Processor
}

/** A machine with one processor. Throws RangeError when the host has no room for its memory. */
export function createMachine({ physBytes, environment, options = {} }: MachineOptions): Machine {
  const layout = privateLayout()
  const memory = new MachineMemory(layout.end, physBytes)
  return { memory, processor: new Processor(memory, layout, environment, options) }
}
