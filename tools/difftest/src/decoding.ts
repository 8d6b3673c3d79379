import { decode, type Insn, type MemOperand } from '@guestmode/x86'
import type { Mode } from './case.ts'

export function decodeAt(bytes: readonly number[], mode: Mode): Insn | undefined {
  const result = decode(Uint8Array.from(bytes), 0, bytes.length, mode)
  return result.ok ? result.insn : undefined
}

export function memoryOf(insn: Insn): MemOperand | undefined {
  return insn.operands.find((operand) => operand.kind === 'mem')
}
