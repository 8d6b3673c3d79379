import { CR0_EM, CR0_MP, CR0_PE, CR0_TS, CR4_UMIP, type RegOperand } from '@guestmode/x86'
import type { Cpu, Microcode } from '../cpu/cpu.ts'
import { gp, ud } from './faults.ts'
import { writeCr0, writeCr3, writeCr4, writeCr8 } from './control-registers.ts'
import { requireCpl0 } from './mode.ts'
import { readOperand16, writeWord } from './operand.ts'
import { cr0Of, cr4Of, setGpr32 } from './words.ts'

/** MOV CRn, CLTS, LMSW, SMSW. */

/** Number of the general register in the information of an exit that has none (LMSW, CLTS, SMSW). */
const NO_GPR = 0

export function controlRegisterMove(cpu: Cpu, to: RegOperand, from: RegOperand): void {
  requireCpl0(cpu)
  if (to.cls === 'cr') write(cpu, to.index, from.index)
  else read(cpu, from.index, to)
}

function write(cpu: Cpu, cr: number, gpr: number): void {
  const { state, nonRoot } = cpu
  let value = state.gpr.get(gpr)
  if (state.codeWidth !== 64) value = BigInt.asUintN(32, value)
  switch (cr) {
    case 0:
      if (nonRoot !== undefined) value = nonRoot.writeCr(0, value, gpr, 'mov', state.cr0)
      return writeCr0(cpu, value)
    case 2:
      state.cr2 = value
      return
    case 3:
      if (nonRoot !== undefined) value = nonRoot.writeCr(3, value, gpr, 'mov', state.cr3)
      return writeCr3(cpu, value)
    case 4:
      if (nonRoot !== undefined) value = nonRoot.writeCr(4, value, gpr, 'mov', state.cr4)
      return writeCr4(cpu, value)
    case 8:
      if (value > 0xfn) throw gp(0)
      if (nonRoot !== undefined) value = nonRoot.writeCr(8, value, gpr, 'mov', state.cr8)
      return writeCr8(cpu, value)
    default:
      throw ud()
  }
}

function read(cpu: Cpu, cr: number, to: RegOperand): void {
  const { state, nonRoot } = cpu
  let value: bigint
  switch (cr) {
    case 0:
      value = state.cr0
      break
    case 2:
      value = state.cr2
      break
    case 3:
      value = state.cr3
      break
    case 4:
      value = state.cr4
      break
    case 8:
      value = state.cr8
      break
    default:
      throw ud()
  }
  if (nonRoot !== undefined && cr !== 2) value = nonRoot.readCr(cr as 0 | 3 | 4 | 8, to.index, value)
  if (to.width === 64) state.gpr.set(to.index, value)
  else setGpr32(cpu, to.index, Number(BigInt.asUintN(32, value)))
}

const CLTS: Microcode = (cpu) => {
  requireCpl0(cpu)
  const { state, nonRoot } = cpu
  let value = state.cr0 & ~BigInt(CR0_TS)
  if (nonRoot !== undefined) value = nonRoot.writeCr(0, value, NO_GPR, 'clts', state.cr0)
  state.cr0 = value
  cpu.modeChanged()
}

/** PE MP EM TS; PE can be set but not cleared. */
const LMSW: Microcode = (cpu, insn) => {
  requireCpl0(cpu)
  const { state, nonRoot } = cpu
  const source = readOperand16(cpu, insn.operands[0]!)
  const writable = CR0_PE | CR0_MP | CR0_EM | CR0_TS
  const old = cr0Of(cpu)
  let value = BigInt(((old & ~writable) | (source & writable) | (old & CR0_PE)) >>> 0)
  if (nonRoot !== undefined) value = nonRoot.writeCr(0, value, NO_GPR, 'lmsw', state.cr0)
  writeCr0(cpu, value)
}

const SMSW: Microcode = (cpu, insn) => {
  const { state, nonRoot } = cpu
  if (state.cpl !== 0 && (cr4Of(cpu) & CR4_UMIP) !== 0) throw gp(0)
  const value = nonRoot === undefined ? state.cr0 : nonRoot.readCr(0, NO_GPR, state.cr0)
  writeWord(cpu, insn.operands[0]!, Number(BigInt.asUintN(32, value)))
}

export const controlRegisterInstructions = { CLTS, LMSW, SMSW }
