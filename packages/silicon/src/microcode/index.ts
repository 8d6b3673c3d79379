import type { Mnemonic } from '@guestmode/x86'
import type { Microcode } from '../cpu/cpu.ts'
import { baseRegisters } from './base-registers.ts'
import { controlRegisterInstructions } from './control-register-moves.ts'
import { descriptorTables } from './descriptor-tables.ts'
import { farReturns } from './far-return.ts'
import { farTransfers } from './far-transfer.ts'
import { flagInstructions } from './flag-instructions.ts'
import { interrupts } from './interrupt.ts'
import { io } from './io.ts'
import { interruptReturn } from './iret.ts'
import { msrs } from './msr.ts'
import { processorControl } from './processor-control.ts'
import { protection } from './protection.ts'
import { segmentMoves } from './segment-moves.ts'
import { systemCalls } from './syscall.ts'
import { timeStamp } from './time-stamp.ts'

/** Instructions that are executed by TypeScript. MOV, PUSH and POP only with segment, control and debug registers. */
export const microcode: Readonly<Partial<Record<Mnemonic, Microcode>>> = {
  ...segmentMoves,
  ...farTransfers,
  ...farReturns,
  ...interrupts,
  ...interruptReturn,
  ...systemCalls,
  ...flagInstructions,
  ...descriptorTables,
  ...protection,
  ...controlRegisterInstructions,
  ...baseRegisters,
  ...msrs,
  ...timeStamp,
  ...io,
  ...processorControl,
}

export { namedMicrocode } from './named.ts'
export { deliverEvent, raise } from './deliver.ts'
export { readFlags, writeFlags } from './flags.ts'
export { writeCr0, writeCr3, writeCr4, writeCr8, writeEfer } from './control-registers.ts'
export { writeDr } from './debug-registers.ts'
export { loadDescriptor, loadNull, loadSegment } from './segment.ts'
export { readMsr, writeMsr } from './msr.ts'
export { init, powerUp } from './reset.ts'
export { createCpuid, defaultModel, modelHasFeature, signature, type CpuModel } from './cpuid.ts'
export { fpuMachineOf, type NamedMicrocode } from './fpu-machine.ts'
