import { CR4_FSGSBASE, SEG_FS, SEG_GS } from '@guestmode/x86'
import type { Microcode } from '../cpu/cpu.ts'
import { gp, ud } from './faults.ts'
import { isCanonical, requireCpl0 } from './mode.ts'
import { registerOperand } from './operand.ts'
import { cr4Of, setGpr32 } from './words.ts'

/** Bases of FS and GS in 64-bit code. They are read at each use: no `modeChanged`. */

const SWAPGS: Microcode = (cpu) => {
  requireCpl0(cpu)
  const { state } = cpu
  const base = state.segBase.get(SEG_GS)
  state.segBase.set(SEG_GS, state.kernelGsBase)
  state.kernelGsBase = base
}

const readBase =
  (seg: number): Microcode =>
  (cpu, insn) => {
    if ((cr4Of(cpu) & CR4_FSGSBASE) === 0) throw ud()
    const base = cpu.state.segBase.get(seg)
    const register = registerOperand(insn, 0)
    if (insn.operandSize === 64) cpu.state.gpr.set(register, base)
    else setGpr32(cpu, register, Number(BigInt.asUintN(32, base)))
  }

const writeBase =
  (seg: number): Microcode =>
  (cpu, insn) => {
    if ((cr4Of(cpu) & CR4_FSGSBASE) === 0) throw ud()
    const value = cpu.state.gpr.get(registerOperand(insn, 0))
    const base = insn.operandSize === 64 ? value : BigInt.asUintN(32, value)
    if (!isCanonical(base)) throw gp(0)
    cpu.state.segBase.set(seg, base)
  }

export const baseRegisters = {
  SWAPGS,
  RDFSBASE: readBase(SEG_FS),
  RDGSBASE: readBase(SEG_GS),
  WRFSBASE: writeBase(SEG_FS),
  WRGSBASE: writeBase(SEG_GS),
}
