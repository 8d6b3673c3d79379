import {
  CR0_PE,
  CR4_PVI,
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
} from '@guestmode/x86'
import type { Cpu, Microcode } from '../cpu/cpu.ts'
import { gp, ud } from './faults.ts'
import { changeFlags, iopl, isVirtual8086, readFlags, systemFlags } from './flags.ts'
import { currentStack } from './stack.ts'
import { cr0Of, cr4Of } from './words.ts'

const BLOCKING_BY_STI = 1

/** Which flag CLI and STI change: IF, or VIF where the extensions stand in for it. [SDM2 Table 3-7 "Decision Table for CLI Results"] */
function interruptFlag(cpu: Cpu): number {
  const { cpl } = cpu.state
  if ((cr0Of(cpu) & CR0_PE) === 0 || iopl(cpu) >= cpl) return EFLAGS_IF
  if (cpl === 3 && (cr4Of(cpu) & (isVirtual8086(cpu) ? CR4_VME : CR4_PVI)) !== 0) return EFLAGS_VIF
  throw gp(0)
}

const CLI: Microcode = (cpu) => {
  const { state } = cpu
  state.flagsSystem &= ~interruptFlag(cpu)
}

const STI: Microcode = (cpu) => {
  const { state } = cpu
  const flag = interruptFlag(cpu)
  const flags = state.flagsSystem
  if (flag === EFLAGS_VIF && (flags & EFLAGS_VIP) !== 0) throw gp(0)
  if (flag === EFLAGS_IF && (flags & EFLAGS_IF) === 0) state.interruptibility |= BLOCKING_BY_STI
  state.flagsSystem = flags | flag
}

/** [SDM2 "CLAC—Clear AC Flag in EFLAGS Register"] */
const setAc =
  (value: number): Microcode =>
  (cpu) => {
    const { state } = cpu
    if (state.cpl !== 0) throw ud()
    state.flagsSystem = (state.flagsSystem & ~EFLAGS_AC) | value
    cpu.modeChanged()
  }

/** [SDM2 "POPF/POPFD/POPFQ—Pop Stack Into EFLAGS Register", Table 4-21 "Effect of POPF/POPFD on the EFLAGS Register"] */
export function popFlags(cpu: Cpu, operandSize: number): void {
  const { state } = cpu
  const stack = currentStack(cpu)
  const size = (operandSize / 8) as 2 | 4 | 8
  let mask = EFLAGS_ARITHMETIC | EFLAGS_TF | EFLAGS_DF | EFLAGS_NT
  if (size !== 2) mask |= EFLAGS_AC | EFLAGS_ID | EFLAGS_RF
  let image: number
  if (isVirtual8086(cpu) && iopl(cpu) < 3) {
    if (size !== 2 || (cr4Of(cpu) & CR4_VME) === 0) throw gp(0)
    image = stack.popWord(2)
    const wantsInterrupts = (image & EFLAGS_IF) !== 0
    if ((image & EFLAGS_TF) !== 0 || (wantsInterrupts && (systemFlags(cpu) & EFLAGS_VIP) !== 0)) throw gp(0)
    mask |= EFLAGS_VIF
    image = wantsInterrupts ? image | EFLAGS_VIF : image
  } else {
    image = stack.popWord(size)
    if (state.cpl <= iopl(cpu)) mask |= EFLAGS_IF
    if (state.cpl === 0) mask |= EFLAGS_IOPL
  }
  const before = systemFlags(cpu)
  stack.commit()
  changeFlags(cpu, mask, image & ~EFLAGS_RF)
  if (((before ^ image) & mask & EFLAGS_AC) !== 0) cpu.modeChanged()
}

/** [SDM2 "PUSHF/PUSHFD/PUSHFQ—Push EFLAGS Register Onto the Stack"] */
export function pushFlags(cpu: Cpu, operandSize: number): void {
  let image = readFlags(cpu) & ~(EFLAGS_VM | EFLAGS_RF)
  if (isVirtual8086(cpu) && iopl(cpu) < 3) {
    if (operandSize !== 16 || (cr4Of(cpu) & CR4_VME) === 0) throw gp(0)
    image = (image & ~EFLAGS_IF) | EFLAGS_IOPL | ((image & EFLAGS_VIF) !== 0 ? EFLAGS_IF : 0)
  }
  const stack = currentStack(cpu)
  stack.pushWord((operandSize / 8) as 2 | 4 | 8, image)
  stack.commit()
}

const PUSHF: Microcode = (cpu, insn) => pushFlags(cpu, insn.operandSize)
const POPF: Microcode = (cpu, insn) => popFlags(cpu, insn.operandSize)

export const flagInstructions = { CLI, STI, CLAC: setAc(0), STAC: setAc(EFLAGS_AC), PUSHF, POPF }
