import { ExitReason, SEG_FS, type Insn, type MemOperand, type Operand, type RegOperand } from '@guestmode/x86'
import { currentInstruction } from '../microcode/current-instruction.ts'
import { effectiveAddress } from '../microcode/operand.ts'
import type { VmxHost } from './host.ts'

/** What an exit tells of the instruction's operands. [SDM3 28.2.5 "Information for VM Exits Due to Instruction Execution"] */
export interface InstructionInformation {
  readonly information: number
  /** Replaces the exit qualification: the displacement of a memory operand. */
  readonly qualification: bigint | undefined
  readonly linear: bigint | undefined
}

const addressSize = (bits: number): number => (bits === 16 ? 0 : bits === 32 ? 1 : 2) << 7

const tableRegister: Readonly<Record<string, number>> = { SGDT: 0, SIDT: 1, LGDT: 2, LIDT: 3, SLDT: 0, STR: 1, LLDT: 2, LTR: 3 }

/** Bits 1:0, 9:7, 17:15, 27:18. [SDM3 Table 28-9] */
function memoryInformation(memory: MemOperand): number {
  const index = memory.index < 0 ? 1 << 22 : (memory.scale | (memory.index << 18)) >>> 0
  const base = memory.base < 0 ? 1 << 27 : memory.base << 23
  return (index | base | addressSize(memory.addrSize) | (memory.seg << 15)) >>> 0
}

const register = (operand: Operand | undefined): RegOperand | undefined =>
  operand?.kind === 'reg' && operand.cls === 'gpr' ? operand : undefined

function memoryOf(insn: Insn): MemOperand | undefined {
  for (const operand of insn.operands) if (operand.kind === 'mem') return operand
  return undefined
}

/** RIP-relative operands report the address itself. */
function displacement(host: VmxHost, memory: MemOperand): bigint {
  const displacement = BigInt(memory.disp)
  return BigInt.asUintN(64, memory.ripRelative ? host.nextRip + displacement : displacement)
}

export function linearOf(host: VmxHost, memory: MemOperand): bigint {
  const { state } = host
  const offset = effectiveAddress(host, memory)
  if (state.codeWidth === 64) return BigInt.asUintN(64, memory.seg >= SEG_FS ? offset + state.segBase.get(memory.seg) : offset)
  return BigInt.asUintN(32, offset + state.segBase.get(memory.seg))
}

function informationOf(reason: number, insn: Insn): number {
  const memory = memoryOf(insn)
  const shape = memory === undefined ? 0 : memoryInformation(memory)
  const registers = insn.operands.filter((operand) => register(operand) !== undefined) as RegOperand[]
  switch (reason) {
    case ExitReason.IO_INSTRUCTION:
      return addressSize(insn.addressSize) | ((memory?.seg ?? 0) << 15)
    case ExitReason.GDTR_OR_IDTR_ACCESS:
      return (shape | (insn.operandSize === 16 ? 0 : 1 << 11) | (tableRegister[insn.mnemonic]! << 28)) >>> 0
    case ExitReason.LDTR_OR_TR_ACCESS:
      return (
        (shape | (memory === undefined ? (1 << 10) | (registers[0]!.index << 3) : 0) | (tableRegister[insn.mnemonic]! << 28)) >>>
        0
      )
    case ExitReason.RDRAND:
    case ExitReason.RDSEED:
      return (registers[0]!.index << 3) | ((insn.operandSize === 16 ? 0 : insn.operandSize === 32 ? 1 : 2) << 11)
    case ExitReason.INVEPT:
    case ExitReason.INVVPID:
    case ExitReason.INVPCID:
      return (shape | (registers[0]!.index << 28)) >>> 0
    case ExitReason.VMREAD:
    case ExitReason.VMWRITE: {
      // Reg2 holds the field's encoding: the source of VMREAD, the destination of VMWRITE.
      const fieldOperand = register(insn.operands[insn.mnemonic === 'VMREAD' ? 1 : 0])!.index
      const other = register(insn.operands[insn.mnemonic === 'VMREAD' ? 0 : 1])
      return (shape | (other === undefined ? 0 : (1 << 10) | (other.index << 3)) | (fieldOperand << 28)) >>> 0
    }
    default:
      return shape
  }
}

const withOperands = new Set<number>([
  ExitReason.GDTR_OR_IDTR_ACCESS,
  ExitReason.LDTR_OR_TR_ACCESS,
  ExitReason.RDRAND,
  ExitReason.RDSEED,
  ExitReason.INVEPT,
  ExitReason.INVVPID,
  ExitReason.INVPCID,
  ExitReason.VMREAD,
  ExitReason.VMWRITE,
  ExitReason.VMCLEAR,
  ExitReason.VMPTRLD,
  ExitReason.VMPTRST,
  ExitReason.VMXON,
])
const stringIo = 0x10n

export function hasInstructionInformation(reason: number, qualification: bigint): boolean {
  return reason === ExitReason.IO_INSTRUCTION ? (qualification & stringIo) !== 0n : withOperands.has(reason)
}

/** Decodes the instruction that exited; its bytes are read again. */
export function instructionInformation(host: VmxHost, reason: number): InstructionInformation {
  const { insn } = currentInstruction(host)
  const memory = memoryOf(insn)
  const isIo = reason === ExitReason.IO_INSTRUCTION
  return {
    information: informationOf(reason, insn),
    qualification: isIo || memory === undefined ? undefined : displacement(host, memory),
    linear: isIo && memory !== undefined ? linearOf(host, memory) : undefined,
  }
}
