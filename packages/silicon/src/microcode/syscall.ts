import {
  AR_DB,
  AR_DPL_SHIFT,
  AR_G,
  AR_L,
  AR_P,
  AR_S,
  CR0_PE,
  EFER_SCE,
  EFLAGS_DEFINED,
  EFLAGS_FIXED,
  EFLAGS_IF,
  EFLAGS_RF,
  EFLAGS_VM,
  SEG_CS,
  SEG_SS,
} from '@guestmode/x86'
import type { Cpu, Microcode } from '../cpu/cpu.ts'
import { gp, ud } from './faults.ts'
import { readFlags, writeFlags } from './flags.ts'
import { isCanonical, isLong, requireCpl0 } from './mode.ts'
import { loadFlat } from './segment.ts'
import { cr0Of, eferOf, gpr32, highWord, lowWord, setGpr32 } from './words.ts'

/** Fast system calls. [SDM3 5.8.7 "Performing Fast Calls to System Procedures", 5.8.8 "Fast System Calls in 64-Bit Mode"] */

const FLAT = AR_G | AR_P | AR_S
const CODE = FLAT | 0xb
const CODE64 = CODE | AR_L
const CODE32 = CODE | AR_DB
const STACK = FLAT | AR_DB | 3

function enter(cpu: Cpu, cpl: number, csSelector: number, cs: number, ssSelector: number, width: 32 | 64): void {
  const { state } = cpu
  const dpl = cpl << AR_DPL_SHIFT
  loadFlat(cpu, SEG_CS, csSelector & 0xffff, cs | dpl)
  loadFlat(cpu, SEG_SS, ssSelector & 0xffff, STACK | dpl)
  state.cpl = cpl
  state.codeWidth = width
  state.stackWidth = width
}

const SYSCALL: Microcode = (cpu) => {
  const { state } = cpu
  if (state.codeWidth !== 64 || (eferOf(cpu) & EFER_SCE) === 0) throw ud()
  const flags = readFlags(cpu)
  state.gpr.set(1, cpu.nextRip)
  setGpr32(cpu, 11, flags & ~EFLAGS_RF)
  const selector = highWord(state.star) & 0xfffc
  writeFlags(cpu, flags & ~(lowWord(state.sfmask) | EFLAGS_RF))
  enter(cpu, 0, selector, CODE64, selector + 8, 64)
  cpu.nextRip = state.lstar
  cpu.modeChanged()
}

const SYSRET: Microcode = (cpu, insn) => {
  const { state } = cpu
  if (state.codeWidth !== 64 || (eferOf(cpu) & EFER_SCE) === 0) throw ud()
  requireCpl0(cpu)
  const is64 = insn.operandSize === 64
  const rcx = state.gpr.get(1)
  if (is64 && !isCanonical(rcx)) throw gp(0)
  const selector = highWord(state.star) >>> 16
  writeFlags(cpu, (gpr32(cpu, 11) & EFLAGS_DEFINED & ~(EFLAGS_RF | EFLAGS_VM)) | EFLAGS_FIXED)
  if (is64) enter(cpu, 3, (selector + 16) | 3, CODE64, (selector + 8) | 3, 64)
  else enter(cpu, 3, selector | 3, CODE32, (selector + 8) | 3, 32)
  cpu.nextRip = is64 ? rcx : BigInt.asUintN(32, rcx)
  cpu.modeChanged()
}

const SYSENTER: Microcode = (cpu) => {
  const { state } = cpu
  const selector = lowWord(state.sysenterCs) & 0xfffc
  if ((cr0Of(cpu) & CR0_PE) === 0 || selector === 0) throw gp(0)
  writeFlags(cpu, readFlags(cpu) & ~(EFLAGS_VM | EFLAGS_IF | EFLAGS_RF))
  const long = isLong(cpu)
  state.gpr.set(4, long ? state.sysenterEsp : BigInt.asUintN(32, state.sysenterEsp))
  cpu.nextRip = long ? state.sysenterEip : BigInt.asUintN(32, state.sysenterEip)
  enter(cpu, 0, selector, long ? CODE64 : CODE32, selector + 8, long ? 64 : 32)
  cpu.modeChanged()
}

const SYSEXIT: Microcode = (cpu, insn) => {
  const { state } = cpu
  const selector = lowWord(state.sysenterCs) & 0xfffc
  if ((cr0Of(cpu) & CR0_PE) === 0 || selector === 0 || state.cpl !== 0) throw gp(0)
  const is64 = insn.operandSize === 64
  const rcx = state.gpr.get(1)
  const rdx = state.gpr.get(2)
  if (is64 && (!isCanonical(rcx) || !isCanonical(rdx))) throw gp(0)
  state.gpr.set(4, is64 ? rcx : BigInt.asUintN(32, rcx))
  cpu.nextRip = is64 ? rdx : BigInt.asUintN(32, rdx)
  const cs = (selector + (is64 ? 32 : 16)) | 3
  enter(cpu, 3, cs, is64 ? CODE64 : CODE32, cs + 8, is64 ? 64 : 32)
  cpu.modeChanged()
}

export const systemCalls = { SYSCALL, SYSRET, SYSENTER, SYSEXIT }
