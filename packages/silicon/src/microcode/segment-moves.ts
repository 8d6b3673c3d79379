import { SEG_DS, SEG_ES, SEG_FS, SEG_GS, SEG_SS } from '@guestmode/x86'
import type { Cpu, Microcode } from '../cpu/cpu.ts'
import { controlRegisterMove } from './control-register-moves.ts'
import { debugRegisterMove } from './debug-registers.ts'
import { farPointer } from './far-transfer.ts'
import { memoryOperand, readOperand16, registerOperand, writeMemory, writeRegister } from './operand.ts'
import { loadSegmentRegister } from './segment.ts'
import { currentStack } from './stack.ts'

const BLOCKING_BY_MOV_SS = 2

/** The instruction after a load of SS is not interrupted. [SDM3 6.8.3 "Masking Exceptions and Interrupts When Switching Stacks"] */
function blockAfterSs(cpu: Cpu, seg: number): void {
  if (seg === SEG_SS) cpu.state.interruptibility |= BLOCKING_BY_MOV_SS
}

/** MOV with a segment, control or debug register. */
const MOV: Microcode = (cpu, insn) => {
  const [to, from] = [insn.operands[0]!, insn.operands[1]!]
  if (to.kind === 'reg' && to.cls === 'seg') {
    loadSegmentRegister(cpu, to.index, readOperand16(cpu, from))
    blockAfterSs(cpu, to.index)
    return
  }
  if (from.kind === 'reg' && from.cls === 'seg') {
    const selector = cpu.state.segSelector.get(from.index)
    if (to.kind === 'mem') writeMemory(cpu, to, 2, BigInt(selector))
    else if (to.kind === 'reg') writeRegister(cpu, to.index, to.width, selector)
    return
  }
  if (to.kind === 'reg' && from.kind === 'reg') {
    if (to.cls === 'cr' || from.cls === 'cr') controlRegisterMove(cpu, to, from)
    else debugRegisterMove(cpu, to, from)
    return
  }
  throw new Error('MOV without a privileged register is no microcode')
}

/** PUSH of a segment register. */
const PUSH: Microcode = (cpu, insn) => {
  const stack = currentStack(cpu)
  stack.push((insn.operandSize / 8) as 2 | 4 | 8, BigInt(cpu.state.segSelector.get(registerOperand(insn, 0))))
  stack.commit()
}

/** POP of a segment register: 16 bits are read, whatever the operand size. */
const POP: Microcode = (cpu, insn) => {
  const seg = registerOperand(insn, 0)
  const stack = currentStack(cpu)
  const selector = stack.popWord(2)
  stack.skip(insn.operandSize / 8 - 2)
  loadSegmentRegister(cpu, seg, selector)
  // POP SS moves the stack pointer by the width of the stack it popped from.
  stack.commit()
  blockAfterSs(cpu, seg)
}

/** [SDM2 "LDS/LES/LFS/LGS/LSS—Load Far Pointer"] */
function loadFarPointer(seg: number): Microcode {
  return (cpu, insn) => {
    memoryOperand(insn, 1)
    const { selector, offset } = farPointer(cpu, insn, 1)
    loadSegmentRegister(cpu, seg, selector)
    const register = registerOperand(insn, 0)
    if (insn.operandSize === 64) cpu.state.gpr.set(register, offset)
    else writeRegister(cpu, register, insn.operandSize, Number(offset))
  }
}

export const segmentMoves = {
  MOV,
  PUSH,
  POP,
  LDS: loadFarPointer(SEG_DS),
  LES: loadFarPointer(SEG_ES),
  LFS: loadFarPointer(SEG_FS),
  LGS: loadFarPointer(SEG_GS),
  LSS: loadFarPointer(SEG_SS),
}
