import type { FpuMicrocodeTable } from './machine.ts'
import { aesMicrocode } from './aes.ts'
import { sseMicrocode } from './sse-microcode.ts'
import { vectorMicrocode } from './vector-microcode.ts'
import { basicMicrocode } from './x87-basic.ts'
import { decimalMicrocode } from './x87-decimal.ts'
import { environmentMicrocode } from './x87-environment.ts'
import { remainderMicrocode } from './x87-remainder.ts'
import { transcendentalMicrocode } from './x87-transcendental.ts'

export type { FpuElements, FpuInstruction, FpuMachine, FpuMicrocode, FpuMicrocodeTable, FpuRegisters } from './machine.ts'

/** Microcode that x87, MMX and SSE semantics call by name. */
export const fpuMicrocode: FpuMicrocodeTable = {
  ...basicMicrocode,
  ...decimalMicrocode,
  ...environmentMicrocode,
  ...remainderMicrocode,
  ...transcendentalMicrocode,
  ...sseMicrocode,
  ...vectorMicrocode,
  ...aesMicrocode,
}
