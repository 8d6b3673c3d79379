import type { Insn } from '../decode/insn.ts'
import type { Mnemonic } from '../decode/mnemonics.ts'

/** [SDM1 Appendix B "EFLAGS Condition Codes"] */
export const conditionNames = ['o', 'no', 'b', 'ae', 'e', 'ne', 'be', 'a', 's', 'ns', 'p', 'np', 'l', 'ge', 'le', 'g'] as const

/** Names for operand sizes 16, 32, 64. */
const byOperandSize: Partial<Record<Mnemonic, readonly [string, string, string]>> = {
  CBW: ['cbw', 'cwde', 'cdqe'],
  CWD: ['cwd', 'cdq', 'cqo'],
  PUSHA: ['pusha', 'pushad', ''],
  POPA: ['popa', 'popad', ''],
  PUSHF: ['pushf', 'pushfd', 'pushfq'],
  POPF: ['popf', 'popfd', 'popfq'],
  IRET: ['iret', 'iretd', 'iretq'],
  FXSAVE: ['fxsave', 'fxsave', 'fxsave64'],
  FXRSTOR: ['fxrstor', 'fxrstor', 'fxrstor64'],
  XSAVE: ['xsave', 'xsave', 'xsave64'],
  XSAVEC: ['xsavec', 'xsavec', 'xsavec64'],
  XSAVEOPT: ['xsaveopt', 'xsaveopt', 'xsaveopt64'],
  XSAVES: ['xsaves', 'xsaves', 'xsaves64'],
  XRSTOR: ['xrstor', 'xrstor', 'xrstor64'],
  XRSTORS: ['xrstors', 'xrstors', 'xrstors64'],
  SYSRET: ['sysret', 'sysret', 'sysretq'],
  SYSEXIT: ['sysexit', 'sysexit', 'sysexitq'],
  MOVD: ['movd', 'movd', 'movq'],
  PINSRD: ['pinsrd', 'pinsrd', 'pinsrq'],
  PEXTRD: ['pextrd', 'pextrd', 'pextrq'],
}

const counterJumps = { 16: 'jcxz', 32: 'jecxz', 64: 'jrcxz' } as const

const others: Partial<Record<Mnemonic, string>> = { CALLF: 'call', JMPF: 'jmp' }

/** The name in a listing, without LOCK and REP. */
export function nameOf(insn: Insn): string {
  const { mnemonic, operandSize, row } = insn
  if (row.shown !== undefined) return row.shown.toLowerCase()
  if (insn.cc >= 0) return mnemonic.slice(0, -2).toLowerCase() + conditionNames[insn.cc]!
  const sized = byOperandSize[mnemonic]
  if (sized) return sized[operandSize === 64 ? 2 : operandSize === 32 ? 1 : 0]
  if (mnemonic === 'JCXZ') return counterJumps[insn.addressSize]
  return others[mnemonic] ?? mnemonic.toLowerCase()
}

const bytes = ['al', 'cl', 'dl', 'bl', 'spl', 'bpl', 'sil', 'dil']
const words = ['ax', 'cx', 'dx', 'bx', 'sp', 'bp', 'si', 'di']

export function gprName(index: number, width: number): string {
  if (index >= 8) return `r${index}${width === 8 ? 'b' : width === 16 ? 'w' : width === 32 ? 'd' : ''}`
  if (width === 8) return bytes[index]!
  return (width === 16 ? '' : width === 32 ? 'e' : 'r') + words[index]!
}

export const highByteNames = ['ah', 'ch', 'dh', 'bh'] as const
export const segmentNames = ['es', 'cs', 'ss', 'ds', 'fs', 'gs'] as const

/** The size in front of a memory operand; '' where the mnemonic says it all. */
export function sizeKeyword(width: number): string {
  return keywords[width] ?? ''
}

const keywords: Readonly<Record<number, string>> = {
  8: 'BYTE PTR ',
  16: 'WORD PTR ',
  32: 'DWORD PTR ',
  48: 'FWORD PTR ',
  64: 'QWORD PTR ',
  80: 'TBYTE PTR ',
  128: 'XMMWORD PTR ',
}
