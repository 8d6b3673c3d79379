import {
  EFLAGS_DEFINED,
  Exception,
  SEG_CS,
  TYPE_CALL_GATE,
  TYPE_CALL_GATE16,
  TYPE_TASK_GATE,
  TYPE_TSS_AVAILABLE,
  TYPE_TSS16_AVAILABLE,
  type Insn,
} from '@guestmode/x86'
import type { Cpu, Microcode } from '../cpu/cpu.ts'
import { callThroughGate, jumpThroughGate } from './call-gate.ts'
import { isNull, markAccessed, readDescriptor, type Descriptor } from './descriptor.ts'
import { gp, np, selectorCode } from './faults.ts'
import { isVirtual8086, readFlags } from './flags.ts'
import { isLong, isProtected, updateWidths } from './mode.ts'
import { memoryOperand, readMemory } from './operand.ts'
import { isReservedCode, loadDescriptor, loadRealSegment, loadVirtual8086Segment } from './segment.ts'
import { currentStack, longStack, type Stack } from './stack.ts'
import { readTaskDescriptor, switchTask } from './task-switch.ts'
import { highWord, isCanonicalHigh, lowWord } from './words.ts'

/** Far JMP and CALL. [SDM2 "JMP—Jump", "CALL—Call Procedure"] */

interface FarPointer {
  readonly selector: number
  readonly offset: bigint
}

export function farPointer(cpu: Cpu, insn: Insn, n: number): FarPointer {
  const operand = insn.operands[n]!
  if (operand.kind === 'far') return { selector: operand.selector, offset: BigInt(operand.offset) }
  const memory = memoryOperand(insn, n)
  const size = (insn.operandSize / 8) as 2 | 4 | 8
  const offset = readMemory(cpu, memory, size)
  return { selector: Number(readMemory(cpu, memory, 2, size)), offset }
}

/** Real-address and virtual-8086 mode: CS by its selector alone. */
function loadPlainCode(cpu: Cpu, selector: number, offset: bigint): void {
  if (isVirtual8086(cpu)) loadVirtual8086Segment(cpu, SEG_CS, selector)
  else loadRealSegment(cpu, SEG_CS, selector)
  cpu.nextRip = offset
  updateWidths(cpu)
  cpu.modeChanged()
}

/** Checks of a code segment named by the instruction itself. */
function checkCode(cpu: Cpu, code: Descriptor, offset: bigint): void {
  const { cpl } = cpu.state
  const error = selectorCode(code.selector)
  if (isReservedCode(cpu, code)) throw gp(error)
  if (code.isConforming ? code.dpl > cpl : code.rpl > cpl || code.dpl !== cpl) throw gp(error)
  if (!code.isPresent) throw np(error)
  checkTarget(cpu, code, highWord(offset), lowWord(offset))
}

/** The first instruction must be reachable. */
export function checkTarget(cpu: Cpu, code: Descriptor, high: number, low: number): void {
  if (code.isLong && isLong(cpu) ? !isCanonicalHigh(high) : high !== 0 || low > code.limit) throw gp(0)
}

function enterCode(cpu: Cpu, code: Descriptor, offset: bigint): void {
  loadDescriptor(cpu, SEG_CS, selectorCode(code.selector) | cpu.state.cpl, code)
  cpu.nextRip = offset
  updateWidths(cpu)
  cpu.modeChanged()
}

/** Call gates, task gates and TSSs. */
function throughSystemDescriptor(cpu: Cpu, descriptor: Descriptor, source: 'jmp' | 'call'): void {
  const { cpl } = cpu.state
  const error = selectorCode(descriptor.selector)
  const { type } = descriptor
  if (type === TYPE_CALL_GATE || (type === TYPE_CALL_GATE16 && !isLong(cpu))) {
    if (source === 'jmp') jumpThroughGate(cpu, descriptor)
    else callThroughGate(cpu, descriptor)
    return
  }
  const isTss = type === TYPE_TSS_AVAILABLE || type === TYPE_TSS16_AVAILABLE
  if (isLong(cpu) || (!isTss && type !== TYPE_TASK_GATE)) throw gp(error)
  if (descriptor.dpl < cpl || descriptor.dpl < descriptor.rpl) throw gp(error)
  if (!descriptor.isPresent) throw np(error)
  const task = isTss ? descriptor : readTaskDescriptor(cpu, descriptor.low >>> 16, 0)
  cpu.nextRip = switchTask(cpu, task, source, Number(BigInt.asUintN(32, cpu.nextRip)), readFlags(cpu) & EFLAGS_DEFINED)
}

function targetOf(cpu: Cpu, selector: number): Descriptor {
  if (isNull(selector)) throw gp(0)
  return readDescriptor(cpu, selector, Exception.GP)
}

const JMPF: Microcode = (cpu, insn) => {
  const { selector, offset } = farPointer(cpu, insn, 0)
  if (!isProtected(cpu)) {
    if (offset > BigInt(cpu.state.segLimit.get(SEG_CS))) throw gp(0)
    loadPlainCode(cpu, selector, offset)
    return
  }
  const descriptor = targetOf(cpu, selector)
  if (!descriptor.isSegment) {
    throughSystemDescriptor(cpu, descriptor, 'jmp')
    return
  }
  if (!descriptor.isCode) throw gp(selectorCode(selector))
  checkCode(cpu, descriptor, offset)
  markAccessed(cpu, descriptor)
  enterCode(cpu, descriptor, offset)
}

function pushReturn(cpu: Cpu, stack: Stack, size: 2 | 4 | 8): void {
  stack.push(size, BigInt(cpu.state.segSelector.get(SEG_CS)))
  stack.push(size, BigInt.asUintN(size * 8, cpu.nextRip))
}

const CALLF: Microcode = (cpu, insn) => {
  const { selector, offset } = farPointer(cpu, insn, 0)
  const size = (insn.operandSize / 8) as 2 | 4 | 8
  if (!isProtected(cpu)) {
    if (offset > BigInt(cpu.state.segLimit.get(SEG_CS))) throw gp(0)
    const stack = currentStack(cpu)
    pushReturn(cpu, stack, size)
    stack.commit()
    loadPlainCode(cpu, selector, offset)
    return
  }
  const descriptor = targetOf(cpu, selector)
  if (!descriptor.isSegment) {
    throughSystemDescriptor(cpu, descriptor, 'call')
    return
  }
  if (!descriptor.isCode) throw gp(selectorCode(selector))
  checkCode(cpu, descriptor, offset)
  const current = currentStack(cpu)
  const stack =
    descriptor.isLong && isLong(cpu) && current.width !== 64 ? longStack(cpu, 0, current.low, cpu.state.cpl, 0) : current
  pushReturn(cpu, stack, size)
  markAccessed(cpu, descriptor)
  stack.commit()
  enterCode(cpu, descriptor, offset)
}

export const farTransfers = { JMPF, CALLF }
