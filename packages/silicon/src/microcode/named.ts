import { div128, Exception, idiv128, type QuotientAndRemainder } from '@guestmode/x86'
import { GuestFault } from '../cpu/events.ts'
import { currentInstruction } from './current-instruction.ts'
import { enterNested } from './enter.ts'
import { popFlags, pushFlags } from './flag-instructions.ts'
import { fpuNamedMicrocode, type NamedMicrocode } from './fpu-machine.ts'
import { segmentMoves } from './segment-moves.ts'

const NONE: readonly bigint[] = []

function quotient(divide: (high: bigint, low: bigint, divisor: bigint) => QuotientAndRemainder | undefined): NamedMicrocode {
  return (_cpu, args) => {
    const result = divide(args[0]!, args[1]!, args[2]!)
    if (result === undefined) throw new GuestFault(Exception.DE)
    return [result.quotient, result.remainder]
  }
}

export const namedMicrocode: Readonly<Record<string, NamedMicrocode>> = {
  ...fpuNamedMicrocode,
  /** [operandSize] */
  popf(cpu, args) {
    popFlags(cpu, Number(args[0]))
    return NONE
  },
  /** [operandSize] */
  pushf(cpu, args) {
    pushFlags(cpu, Number(args[0]))
    return NONE
  },
  /** [bytes, level] */
  enter(cpu, args) {
    enterNested(cpu, currentInstruction(cpu).insn.operandSize, Number(args[0]), Number(args[1]))
    return NONE
  },
  into() {
    throw new GuestFault(Exception.OF)
  },
  mov(cpu) {
    segmentMoves.MOV(cpu, currentInstruction(cpu).insn)
    return NONE
  },
  pop(cpu) {
    segmentMoves.POP(cpu, currentInstruction(cpu).insn)
    return NONE
  },
  div128: quotient(div128),
  idiv128: quotient(idiv128),
}
