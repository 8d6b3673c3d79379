import {
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
import { Access } from '../cpu/cpu.ts'
import { isNull, markAccessed, readDescriptor } from './descriptor.ts'
import { gp, np, selectorCode, ss } from './faults.ts'
import { readFlags, writeFlags } from './flags.ts'
import { isCanonical, readImplicit } from './mode.ts'
import { loadDescriptor, loadSegment } from './segment.ts'
import { innerRsp, interruptStack } from './tss.ts'
import { highWord, lowWord } from './words.ts'

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
  const at = state.idtrBase + BigInt(vector * 16)
  const gate = cpu.read(at, 8, readImplicit)
  const upper = cpu.read(at + 8n, 8, readImplicit)
  const low = lowWord(gate)
  const high = highWord(gate)
  const type = (high >>> 8) & 0x1f
  if ((type | 1) !== (TYPE_INTERRUPT_GATE | 1) || (highWord(upper) & 0x1f00) !== 0) throw gp(entryCode)
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
  const oldSp = state.stackWidth === 64 ? state.gpr.get(4) : BigInt.asUintN(32, state.gpr.get(4))
  let sp = ist !== 0 ? interruptStack(cpu, ist, ext) : cpl !== oldCpl ? innerRsp(cpu, cpl, ext) : oldSp
  if (!isCanonical(sp)) throw ss(ext)
  sp &= 0xffff_ffff_ffff_fff0n
  const target = BigInt(gateOffset(low, high)) | (BigInt(lowWord(upper)) << 32n)
  if (!isCanonical(target)) throw gp(ext)

  const kind = cpl === 3 ? Access.write | Access.user : Access.write
  const bytes = errorCode === undefined ? 40n : 48n
  const bottom = BigInt.asUintN(64, sp - bytes)
  if (!isCanonical(bottom)) throw ss(ext)
  cpu.write(sp - 8n, 8, BigInt(state.segSelector.get(SEG_SS)), kind)
  cpu.write(sp - 16n, 8, oldSp, kind)
  cpu.write(sp - 24n, 8, BigInt(flagsImage), kind)
  cpu.write(sp - 32n, 8, BigInt(state.segSelector.get(SEG_CS)), kind)
  cpu.write(sp - 40n, 8, returnIp, kind)
  if (errorCode !== undefined) cpu.write(sp - 48n, 8, BigInt(errorCode), kind)
  markAccessed(cpu, code)

  state.gpr.set(4, bottom)
  loadDescriptor(cpu, SEG_CS, (selector & ~3) | cpl, code)
  if (cpl !== oldCpl) {
    loadSegment(cpu, SEG_SS, cpl, 0, 0, AR_UNUSABLE | (cpl << AR_DPL_SHIFT))
    state.cpl = cpl
  }
  state.codeWidth = 64
  state.stackWidth = 64
  const cleared = EFLAGS_TF | EFLAGS_NT | EFLAGS_RF | ((type & 1) === 0 ? EFLAGS_IF : 0)
  writeFlags(cpu, readFlags(cpu) & ~cleared)
  return target
}
