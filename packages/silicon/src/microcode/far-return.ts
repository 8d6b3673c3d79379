import { Exception, SEG_CS, SEG_SS } from '@guestmode/x86'
import type { Cpu, Microcode } from '../cpu/cpu.ts'
import { isNull, markAccessed, readDescriptor, type Descriptor } from './descriptor.ts'
import { gp, np, selectorCode } from './faults.ts'
import { checkTarget } from './far-transfer.ts'
import { isVirtual8086 } from './flags.ts'
import { isLong, isProtected, updateWidths } from './mode.ts'
import {
  checkStackSegment,
  dropPrivilegedSegments,
  isReservedCode,
  loadDescriptor,
  loadNull,
  loadRealSegment,
  loadVirtual8086Segment,
} from './segment.ts'
import { currentStack, writeStackPointer, type Stack } from './stack.ts'
import { join } from './words.ts'

/** Checks of the code segment that IRET and far RET return to. */
export function returnCode(cpu: Cpu, selector: number): Descriptor {
  if (isNull(selector)) throw gp(0)
  const code = readDescriptor(cpu, selector, Exception.GP)
  const error = selectorCode(selector)
  const { rpl } = code
  if (!code.isCode || rpl < cpu.state.cpl) throw gp(error)
  if (code.isConforming ? code.dpl > rpl : code.dpl !== rpl) throw gp(error)
  if (isReservedCode(cpu, code)) throw gp(error)
  if (!code.isPresent) throw np(error)
  return code
}

/** The stack segment that goes with it; undefined for a null selector, which 64-bit code of levels 0 to 2 may have. */
export function returnStack(cpu: Cpu, selector: number, code: Descriptor): Descriptor | undefined {
  const cpl = code.rpl
  if (isNull(selector)) {
    if (!code.isLong || !isLong(cpu) || cpl === 3 || (selector & 3) !== cpl) throw gp(0)
    return undefined
  }
  return checkStackSegment(cpu, selector, cpl)
}

/** Enters the outer level: CS, SS, RSP and CPL together. */
export function enterOuter(
  cpu: Cpu,
  code: Descriptor,
  ssSelector: number,
  segment: Descriptor | undefined,
  spHigh: number,
  spLow: number,
): void {
  const { state } = cpu
  const cpl = code.rpl
  const isOuter = cpl !== state.cpl
  markAccessed(cpu, code)
  if (segment !== undefined) markAccessed(cpu, segment)
  loadDescriptor(cpu, SEG_CS, code.selector, code)
  if (segment !== undefined) loadDescriptor(cpu, SEG_SS, ssSelector, segment)
  else loadNull(cpu, SEG_SS, ssSelector, cpl)
  state.cpl = cpl
  updateWidths(cpu)
  writeStackPointer(cpu, state.stackWidth, spHigh, spLow)
  if (isOuter) dropPrivilegedSegments(cpu, cpl)
}

function returnPlain(cpu: Cpu, stack: Stack, size: 2 | 4 | 8, release: number): void {
  const offset = stack.pop(size)
  const selector = stack.popSelector(size)
  if (offset > BigInt(cpu.state.segLimit.get(SEG_CS))) throw gp(0)
  stack.skip(release)
  stack.commit()
  if (isVirtual8086(cpu)) loadVirtual8086Segment(cpu, SEG_CS, selector)
  else loadRealSegment(cpu, SEG_CS, selector)
  cpu.nextRip = offset
  updateWidths(cpu)
  cpu.modeChanged()
}

/** [SDM2 "RET—Return From Procedure", operation] */
const RETF: Microcode = (cpu, insn) => {
  const { state } = cpu
  const size = (insn.operandSize / 8) as 2 | 4 | 8
  const operand = insn.operands[0]
  const release = operand?.kind === 'imm' ? operand.value & 0xffff : 0
  const stack = currentStack(cpu)
  if (!isProtected(cpu)) {
    returnPlain(cpu, stack, size, release)
    return
  }
  const low = stack.popWord(size)
  const high = stack.poppedHigh
  const selector = stack.popSelector(size)
  const code = returnCode(cpu, selector)
  checkTarget(cpu, code, high, low)
  stack.skip(release)
  if (code.rpl === state.cpl) {
    markAccessed(cpu, code)
    stack.commit()
    loadDescriptor(cpu, SEG_CS, selector, code)
    updateWidths(cpu)
  } else {
    const spLow = stack.popWord(size)
    const spHigh = stack.poppedHigh
    const ssSelector = stack.popSelector(size)
    enterOuter(cpu, code, ssSelector, returnStack(cpu, ssSelector, code), spHigh, spLow)
    const outer = currentStack(cpu)
    outer.skip(release)
    outer.commit()
  }
  cpu.nextRip = join(high, low)
  cpu.modeChanged()
}

export const farReturns = { RETF }
