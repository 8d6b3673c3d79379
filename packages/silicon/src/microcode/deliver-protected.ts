import {
  cpuState,
  EFLAGS_IF,
  EFLAGS_NT,
  EFLAGS_RF,
  EFLAGS_TF,
  EFLAGS_VM,
  Exception,
  gateOffset,
  SEG_CS,
  SEG_DS,
  SEG_ES,
  SEG_FS,
  SEG_GS,
  SEG_SS,
  TYPE_INTERRUPT_GATE,
  TYPE_INTERRUPT_GATE16,
  TYPE_TASK_GATE,
  TYPE_TRAP_GATE,
  TYPE_TRAP_GATE16,
} from '@guestmode/x86'
import type { Cpu } from '../cpu/cpu.ts'
import { isNull, markAccessed, readDescriptor, type Descriptor } from './descriptor.ts'
import { gp, np, selectorCode } from './faults.ts'
import { readFlags, writeFlags } from './flags.ts'
import { readImplicit, updateWidths } from './mode.ts'
import { loadDescriptor, loadNull } from './segment.ts'
import { currentStack, stackOf, type Stack } from './stack.ts'
import { readTaskDescriptor, switchTask } from './task-switch.ts'
import { innerStack, innerStackSegment } from './tss.ts'
import { fieldIndex, gpr32, join, pairHigh, readPair } from './words.ts'

const { idtrBase } = cpuState.fields

/** [SDM3 6.12 "Exception and Interrupt Handling"; SDM2 "INT n/INTO/INT3/INT1—Call to Interrupt Procedure", operation] */
export function deliverProtected(
  cpu: Cpu,
  vector: number,
  isSoftware: boolean,
  returnIp: number,
  flagsImage: number,
  errorCode: number | undefined,
  ext: number,
): bigint {
  const { state } = cpu
  const entryCode = vector * 8 + Exception.ERROR_IDT + ext
  if (vector * 8 + 7 > state.idtrLimit) throw gp(entryCode)
  const idt = fieldIndex(cpu, idtrBase.offset)
  const low = readPair(cpu, cpu.mem.u32[idt + 1]!, (cpu.mem.u32[idt]! + vector * 8) >>> 0, readImplicit)
  const high = pairHigh
  const type = (high >>> 8) & 0x1f
  if (
    type !== TYPE_INTERRUPT_GATE &&
    type !== TYPE_TRAP_GATE &&
    type !== TYPE_INTERRUPT_GATE16 &&
    type !== TYPE_TRAP_GATE16 &&
    type !== TYPE_TASK_GATE
  ) {
    throw gp(entryCode)
  }
  if (isSoftware && ((high >>> 13) & 3) < state.cpl) throw gp(entryCode)
  if ((high & 0x8000) === 0) throw np(entryCode)
  const selector = low >>> 16
  if (type === TYPE_TASK_GATE) {
    const task = readTaskDescriptor(cpu, selector, ext)
    return switchTask(cpu, task, 'gate', returnIp, flagsImage, errorCode, ext)
  }

  if (isNull(selector)) throw gp(ext)
  const code = readDescriptor(cpu, selector, Exception.GP, ext)
  const codeError = selectorCode(selector) | ext
  if (!code.isCode || code.dpl > state.cpl) throw gp(codeError)
  if (!code.isPresent) throw np(codeError)
  const size = (type & 8) !== 0 ? 4 : 2
  const target = size === 4 ? gateOffset(low, high) : low & 0xffff
  const fromVirtual8086 = (readFlags(cpu) & EFLAGS_VM) !== 0
  const isInner = !code.isConforming && code.dpl < state.cpl
  if (fromVirtual8086 && (!isInner || code.dpl !== 0)) throw gp(codeError)
  const cpl = isInner ? code.dpl : state.cpl

  let stack: Stack
  let segment: Descriptor | undefined
  if (isInner) {
    const { selector: stackSelector, esp } = innerStack(cpu, cpl, ext)
    segment = innerStackSegment(cpu, stackSelector, cpl, ext)
    stack = stackOf(cpu, segment.base, segment.limit, segment.access, esp, cpl, selectorCode(stackSelector) | ext)
  } else {
    stack = currentStack(cpu, ext)
  }
  if (target > code.limit) throw gp(ext)

  if (isInner) {
    if (fromVirtual8086) {
      for (const seg of [SEG_GS, SEG_FS, SEG_DS, SEG_ES]) stack.pushWord(size, state.segSelector.get(seg))
    }
    stack.pushWord(size, state.segSelector.get(SEG_SS))
    stack.pushWord(size, gpr32(cpu, 4))
  }
  stack.pushWord(size, flagsImage)
  stack.pushWord(size, state.segSelector.get(SEG_CS))
  stack.pushWord(size, returnIp)
  if (errorCode !== undefined) stack.pushWord(size, errorCode)
  markAccessed(cpu, code)
  if (segment !== undefined) markAccessed(cpu, segment)

  const cleared = EFLAGS_TF | EFLAGS_VM | EFLAGS_RF | EFLAGS_NT | ((type & 1) === 0 ? EFLAGS_IF : 0)
  writeFlags(cpu, readFlags(cpu) & ~cleared)
  if (segment !== undefined) {
    if (fromVirtual8086) for (const seg of [SEG_GS, SEG_FS, SEG_DS, SEG_ES]) loadNull(cpu, seg, 0)
    loadDescriptor(cpu, SEG_SS, segment.selector, segment)
    state.cpl = cpl
  }
  stack.commit()
  loadDescriptor(cpu, SEG_CS, (selector & ~3) | cpl, code)
  updateWidths(cpu)
  return join(0, target)
}
