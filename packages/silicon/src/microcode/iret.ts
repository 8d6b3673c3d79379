import {
  CR4_VME,
  EFLAGS_AC,
  EFLAGS_ARITHMETIC,
  EFLAGS_DF,
  EFLAGS_ID,
  EFLAGS_IF,
  EFLAGS_IOPL,
  EFLAGS_NT,
  EFLAGS_RF,
  EFLAGS_TF,
  EFLAGS_VIF,
  EFLAGS_VIP,
  EFLAGS_VM,
  Exception,
  SEG_CS,
  SEG_DS,
  SEG_ES,
  SEG_FS,
  SEG_GS,
  SEG_SS,
  SEG_TR,
  SELECTOR_TI,
  TYPE_TSS_BUSY,
  TYPE_TSS16_BUSY,
} from '@guestmode/x86'
import type { Cpu, Microcode } from '../cpu/cpu.ts'
import { GuestFault } from '../cpu/events.ts'
import { markAccessed, readDescriptor } from './descriptor.ts'
import { gp, np, selectorCode, ts } from './faults.ts'
import { checkTarget } from './far-transfer.ts'
import { enterOuter, returnCode, returnStack } from './far-return.ts'
import { changeFlags, iopl, isVirtual8086, readFlags, systemFlags } from './flags.ts'
import { isLong, isProtected, readImplicit, updateWidths } from './mode.ts'
import { loadDescriptor, loadRealSegment, loadVirtual8086Segment } from './segment.ts'
import { currentStack, type Stack } from './stack.ts'
import { switchTask } from './task-switch.ts'
import { cr4Of, join, setGpr32 } from './words.ts'

/** [SDM2 "IRET/IRETD/IRETQ—Interrupt Return"] */

type Size = 2 | 4 | 8

const FLAGS16 = EFLAGS_ARITHMETIC | EFLAGS_TF | EFLAGS_DF | EFLAGS_NT
const FLAGS32 = FLAGS16 | EFLAGS_RF | EFLAGS_AC | EFLAGS_ID

/** The flags that IRET at this privilege may change. */
function changeable(cpu: Cpu, size: Size): number {
  const { cpl } = cpu.state
  let mask = size === 2 ? FLAGS16 : FLAGS32
  if (cpl <= iopl(cpu)) mask |= EFLAGS_IF
  if (cpl === 0) mask |= size === 2 ? EFLAGS_IOPL : EFLAGS_IOPL | EFLAGS_VIF | EFLAGS_VIP
  return mask
}

function fromReal(cpu: Cpu, stack: Stack, size: Size): void {
  const offset = stack.pop(size)
  const selector = stack.popSelector(size)
  const flags = stack.popWord(size)
  if (offset > BigInt(cpu.state.segLimit.get(SEG_CS))) throw gp(0)
  stack.commit()
  loadRealSegment(cpu, SEG_CS, selector)
  changeFlags(cpu, (size === 2 ? FLAGS16 : FLAGS32) | EFLAGS_IF | EFLAGS_IOPL, flags)
  cpu.nextRip = offset
}

function fromVirtual8086(cpu: Cpu, stack: Stack, size: Size): void {
  const isVme = iopl(cpu) < 3
  if (isVme && (size !== 2 || (cr4Of(cpu) & CR4_VME) === 0)) throw gp(0)
  const offset = stack.pop(size)
  const selector = stack.popSelector(size)
  const flags = stack.popWord(size)
  if (offset > 0xffffn) throw gp(0)
  if (isVme && ((flags & EFLAGS_TF) !== 0 || ((flags & EFLAGS_IF) !== 0 && (systemFlags(cpu) & EFLAGS_VIP) !== 0))) throw gp(0)
  stack.commit()
  loadVirtual8086Segment(cpu, SEG_CS, selector)
  if (isVme) changeFlags(cpu, FLAGS16 | EFLAGS_VIF, (flags & ~EFLAGS_VIF) | ((flags & EFLAGS_IF) !== 0 ? EFLAGS_VIF : 0))
  else changeFlags(cpu, (size === 2 ? FLAGS16 : FLAGS32) | EFLAGS_IF, flags)
  cpu.nextRip = offset
}

function toVirtual8086(cpu: Cpu, stack: Stack, ip: number, selector: number, flags: number): void {
  const { state } = cpu
  const sp = stack.popWord(4)
  const selectors = [SEG_SS, SEG_ES, SEG_DS, SEG_FS, SEG_GS].map((seg) => ({ seg, value: stack.popSelector(4) }))
  changeFlags(cpu, FLAGS32 | EFLAGS_IF | EFLAGS_IOPL | EFLAGS_VM | EFLAGS_VIF | EFLAGS_VIP, flags)
  for (const { seg, value } of selectors) loadVirtual8086Segment(cpu, seg, value)
  loadVirtual8086Segment(cpu, SEG_CS, selector)
  setGpr32(cpu, 4, sp)
  state.cpl = 3
  cpu.nextRip = BigInt(ip & 0xffff)
}

function returnFromTask(cpu: Cpu): void {
  const { state } = cpu
  const link = Number(cpu.read(state.segBase.get(SEG_TR), 2, readImplicit))
  const code = selectorCode(link)
  if ((link & SELECTOR_TI) !== 0) throw ts(code)
  const task = readDescriptor(cpu, link, Exception.TS)
  if (task.isSegment || (task.type !== TYPE_TSS_BUSY && task.type !== TYPE_TSS16_BUSY)) throw ts(code)
  if (!task.isPresent) throw np(code)
  cpu.nextRip = switchTask(cpu, task, 'iret', Number(BigInt.asUintN(32, cpu.nextRip)), readFlags(cpu))
}

function fromProtected(cpu: Cpu, stack: Stack, size: Size): void {
  const { state } = cpu
  const isIn64 = state.codeWidth === 64
  const low = stack.popWord(size)
  const high = stack.poppedHigh
  const selector = stack.popSelector(size)
  const flags = stack.popWord(size)
  if (size === 4 && (flags & EFLAGS_VM) !== 0 && state.cpl === 0 && !isLong(cpu)) {
    toVirtual8086(cpu, stack, low, selector, flags)
    return
  }
  const code = returnCode(cpu, selector)
  const mask = changeable(cpu, size)
  if (isIn64 || code.rpl !== state.cpl) {
    const spLow = stack.popWord(size)
    const spHigh = stack.poppedHigh
    const ssSelector = stack.popSelector(size)
    checkTarget(cpu, code, high, low)
    enterOuter(cpu, code, ssSelector, returnStack(cpu, ssSelector, code), spHigh, spLow)
  } else {
    checkTarget(cpu, code, high, low)
    markAccessed(cpu, code)
    stack.commit()
    loadDescriptor(cpu, SEG_CS, selector, code)
  }
  changeFlags(cpu, mask, flags)
  cpu.nextRip = join(high, low)
}

function transfer(cpu: Cpu, size: Size): void {
  if (isProtected(cpu)) {
    if ((systemFlags(cpu) & EFLAGS_NT) !== 0) {
      if (isLong(cpu)) throw gp(0)
      returnFromTask(cpu)
      return
    }
    fromProtected(cpu, currentStack(cpu), size)
  } else if (isVirtual8086(cpu)) fromVirtual8086(cpu, currentStack(cpu), size)
  else fromReal(cpu, currentStack(cpu), size)
  updateWidths(cpu)
  cpu.modeChanged()
}

/** NMIs are unblocked even when the return faults. [SDM3 6.7.1 "Handling Multiple NMIs"] */
const IRET: Microcode = (cpu, insn) => {
  const { state } = cpu
  try {
    transfer(cpu, (insn.operandSize / 8) as Size)
  } catch (error) {
    if (error instanceof GuestFault) state.interruptibility &= ~8
    throw error
  }
  state.interruptibility &= ~8
}

export const interruptReturn = { IRET }
