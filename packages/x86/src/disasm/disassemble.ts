import type { Insn, MemOperand, Operand, RegOperand } from '../decode/insn.ts'
import { gprName, highByteNames, nameOf, segmentNames, sizeKeyword } from './names.ts'

/** The instruction in Intel syntax, as `objdump -M intel` writes it but for the blanks. `address` is where it stands. */
export function disassemble(insn: Insn, address: bigint | number): string {
  const next = BigInt(address) + BigInt(insn.length)
  const operands = insn.operands.map((operand) => operandText(operand, insn, next)).join(',')
  const name = prefixes(insn) + nameOf(insn)
  return (operands === '' ? name : `${name} ${operands}`) + ripComment(insn, next)
}

function prefixes(insn: Insn): string {
  let text = ''
  if (insn.lock) text += 'lock '
  if (insn.rep !== 0) {
    const compares = insn.mnemonic === 'CMPS' || insn.mnemonic === 'SCAS'
    text += insn.rep === 0xf2 ? 'repne ' : compares ? 'repe ' : 'rep '
  }
  return text
}

function operandText(operand: Operand, insn: Insn, next: bigint): string {
  switch (operand.kind) {
    case 'reg':
      return registerText(operand)
    case 'mem':
      return memoryText(operand)
    case 'imm':
      return hex(BigInt.asUintN(operand.width, operand.value64 ?? BigInt(operand.value)))
    case 'rel':
      return hex(BigInt.asUintN(insn.operandSize, next + BigInt(operand.value)))
    case 'far':
      return `${hex(operand.selector)}:${hex(operand.offset)}`
  }
}

function registerText({ cls, index, width }: RegOperand): string {
  switch (cls) {
    case 'gpr':
      return gprName(index, width)
    case 'gpr8h':
      return highByteNames[index]!
    case 'seg':
      return segmentNames[index]!
    case 'mmx':
      return `mm${index}`
    case 'st':
      return index === 0 ? 'st' : `st(${index})`
    case 'cr':
    case 'dr':
    case 'xmm':
      return `${cls}${index}`
  }
}

function memoryText(operand: MemOperand): string {
  const { base, index, addrSize } = operand
  const terms: string[] = []
  if (operand.ripRelative) terms.push(addrSize === 64 ? 'rip' : 'eip')
  if (base >= 0) terms.push(gprName(base, addrSize))
  if (index >= 0) terms.push(gprName(index, addrSize) + (addrSize === 16 ? '' : `*${1 << operand.scale}`))
  const absolute = terms.length === 0
  const place = absolute ? absoluteText(operand) : terms.join('+') + displacementText(operand.disp)
  // ES without an override is the destination of a string instruction.
  const segment = operand.segOverride || absolute || operand.seg === 0 ? `${segmentNames[operand.seg]}:` : ''
  return `${sizeKeyword(operand.width)}${segment}[${place}]`
}

function absoluteText({ disp, disp64, addrSize }: MemOperand): string {
  return hex(disp64 ?? BigInt.asUintN(addrSize, BigInt(disp)))
}

function displacementText(disp: number): string {
  if (disp === 0) return ''
  return disp < 0 ? `-${hex(-disp)}` : `+${hex(disp)}`
}

function ripComment(insn: Insn, next: bigint): string {
  for (const operand of insn.operands) {
    if (operand.kind === 'mem' && operand.ripRelative) {
      return ` # ${hex(BigInt.asUintN(operand.addrSize, next + BigInt(operand.disp)))}`
    }
  }
  return ''
}

function hex(value: bigint | number): string {
  return `0x${value.toString(16)}`
}
