import {
  cpuState,
  AR_DPL_SHIFT,
  AR_UNUSABLE,
  EFLAGS_IF,
  EFLAGS_NT,
  EFLAGS_RF,
  EFLAGS_TF,
  Exception,
  gateOffset,
  SEG_CS,
  SEG_SS,
  TYPE_INTERRUPT_GATE,
} from '@guestmode/x86'
import type { Cpu } from '../cpu/cpu.ts'
import { isNull, markAccessed, readDescriptor } from './descriptor.ts'
import { gp, np, selectorCode, ss } from './faults.ts'
import { readFlags, writeFlags } from './flags.ts'
import { readImplicit } from './mode.ts'
import { loadDescriptor, loadSegment } from './segment.ts'
import { innerRsp, interruptStack } from './tss.ts'
import { longStack } from './stack.ts'
import { fieldIndex, gpr32, gprHigh32, isCanonicalHigh, join, pairHigh, readPair } from './words.ts'

const { idtrBase } = cpuState.fields

/** [SDM3 6.14 "Exception and Interrupt Handling in 64-bit Mode"; SDM2 "INT n/INTO/INT3/INT1—Call to Interrupt Procedure", operation] */
export function deliverLong(
  cpu: Cpu,
  vector: number,
  isSoftware: boolean,
  returnIp: bigint,
  flagsImage: number,
  errorCode: number | undefined,
  ext: number,
): bigint {
  const { state } = cpu
  const entryCode = vector * 8 + Exception.ERROR_IDT + ext
  if (vector * 16 + 15 > state.idtrLimit) throw gp(entryCode)
  const idt = fieldIndex(cpu, idtrBase.offset)
  const entry = cpu.mem.u32[idt]! + vector * 16
  const entryHigh = cpu.mem.u32[idt + 1]! + (entry > 0xffff_ffff ? 1 : 0)
  const low = readPair(cpu, entryHigh, entry >>> 0, readImplicit)
  const high = pairHigh
  const targetHigh = readPair(cpu, entryHigh, (entry >>> 0) + 8, readImplicit)
  const type = (high >>> 8) & 0x1f
  if ((type | 1) !== (TYPE_INTERRUPT_GATE | 1) || (pairHigh & 0x1f00) !== 0) throw gp(entryCode)
  if (isSoftware && ((high >>> 13) & 3) < state.cpl) throw gp(entryCode)
  if ((high & 0x8000) === 0) throw np(entryCode)

  const selector = low >>> 16
  if (isNull(selector)) throw gp(ext)
  const code = readDescriptor(cpu, selector, Exception.GP, ext)
  const selectorError = selectorCode(selector) | ext
  if (!code.isCode || code.dpl > state.cpl || !code.isLong || code.isBig) throw gp(selectorError)
  if (!code.isPresent) throw np(selectorError)

  const oldCpl = state.cpl
  const cpl = code.isConforming ? oldCpl : code.dpl
  const ist = high & 7
  const oldLow = gpr32(cpu, 4)
  const oldHigh = state.stackWidth === 64 ? gprHigh32(cpu, 4) : 0
  let spLow = oldLow
  let spHigh = oldHigh
  if (ist !== 0 || cpl !== oldCpl) {
    spLow = ist !== 0 ? interruptStack(cpu, ist, ext) : innerRsp(cpu, cpl, ext)
    spHigh = pairHigh
  }
  if (!isCanonicalHigh(spHigh)) throw ss(ext)
  if (!isCanonicalHigh(targetHigh)) throw gp(ext)

  const stack = longStack(cpu, spHigh, (spLow & ~0xf) >>> 0, cpl, ext)
  stack.pushWord(8, state.segSelector.get(SEG_SS))
  stack.pushWord(8, oldLow, oldHigh)
  stack.pushWord(8, flagsImage)
  stack.pushWord(8, state.segSelector.get(SEG_CS))
  stack.push(8, returnIp)
  if (errorCode !== undefined) stack.pushWord(8, errorCode)
  markAccessed(cpu, code)

  stack.commit()
  loadDescriptor(cpu, SEG_CS, (selector & ~3) | cpl, code)
  if (cpl !== oldCpl) {
    loadSegment(cpu, SEG_SS, cpl, 0, 0, AR_UNUSABLE | (cpl << AR_DPL_SHIFT))
    state.cpl = cpl
  }
  state.codeWidth = 64
  state.stackWidth = 64
  const cleared = EFLAGS_TF | EFLAGS_NT | EFLAGS_RF | ((type & 1) === 0 ? EFLAGS_IF : 0)
  writeFlags(cpu, readFlags(cpu) & ~cleared)
  return join(targetHigh, gateOffset(low, high))
}
