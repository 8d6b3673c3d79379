import {
  AR_L,
  CR0_PE,
  CR4_OSXSAVE,
  CR4_PCIDE,
  EFLAGS_ARITHMETIC,
  EFLAGS_CF,
  SEG_CS,
  XCR0_SSE,
  XCR0_X87,
  type Mnemonic,
} from '@guestmode/x86'
import type { Cpu, Microcode } from '../cpu/cpu.ts'
import { gp, ud } from './faults.ts'
import { changeFlags, isVirtual8086 } from './flags.ts'
import { linearAddress } from './linear.ts'
import { isCanonical, isLong, readAccess, requireCpl0 } from './mode.ts'
import { effectiveAddress, memoryOperand, registerOperand, writeRegister } from './operand.ts'
import { cr0Of, cr4Of, edxEax, gpr32, setEdxEax, setGpr32 } from './words.ts'

const HALTED = 1

const HLT: Microcode = (cpu) => {
  requireCpl0(cpu)
  cpu.nonRoot?.instruction('HLT')
  cpu.state.activity = HALTED
}

const CPUID: Microcode = (cpu) => {
  cpu.nonRoot?.instruction('CPUID')
  const { eax, ebx, ecx, edx } = cpu.cpuid(gpr32(cpu, 0), gpr32(cpu, 1))
  setGpr32(cpu, 0, eax)
  setGpr32(cpu, 3, ebx)
  setGpr32(cpu, 1, ecx)
  setGpr32(cpu, 2, edx)
}

/** [SDM2 "RDRAND—Read Random Number"] Randomness never runs out here: CF is always set. */
function random(name: 'RDRAND' | 'RDSEED'): Microcode {
  return (cpu, insn) => {
    cpu.nonRoot?.instruction(name)
    const value = cpu.environment.random()
    const register = registerOperand(insn, 0)
    if (insn.operandSize === 64) cpu.state.gpr.set(register, value)
    else writeRegister(cpu, register, insn.operandSize, Number(BigInt.asUintN(insn.operandSize, value)))
    changeFlags(cpu, EFLAGS_ARITHMETIC, EFLAGS_CF)
  }
}

/** Caches are coherent: nothing to write back. */
function cacheControl(name: 'INVD' | 'WBINVD'): Microcode {
  return (cpu) => {
    requireCpl0(cpu)
    cpu.nonRoot?.instruction(name)
  }
}

const INVLPG: Microcode = (cpu, insn) => {
  requireCpl0(cpu)
  const memory = memoryOperand(insn, 0)
  const { state } = cpu
  const offset = effectiveAddress(cpu, memory)
  const is64 = state.codeWidth === 64
  const base = is64 && memory.seg < 4 ? 0n : state.segBase.get(memory.seg)
  const linear = BigInt.asUintN(is64 ? 64 : 32, base + offset)
  cpu.nonRoot?.instruction('INVLPG', linear)
  if (isCanonical(linear)) cpu.invalidatePage(linear)
}

/** [SDM2 "INVPCID—Invalidate Process-Context Identifier"] */
const INVPCID: Microcode = (cpu, insn) => {
  if ((cr0Of(cpu) & CR0_PE) !== 0) requireCpl0(cpu)
  cpu.nonRoot?.instruction('INVPCID')
  const type = cpu.state.gpr.get(registerOperand(insn, 0))
  const memory = memoryOperand(insn, 1)
  const at = linearAddress(cpu, memory.seg, effectiveAddress(cpu, memory), 16, false)
  const pcid = cpu.read(at, 8, readAccess(cpu))
  const linear = cpu.read(at + 8n, 8, readAccess(cpu))
  if (type > 3n || pcid >> 12n !== 0n) throw gp(0)
  if (type < 2n && pcid !== 0n && (cr4Of(cpu) & CR4_PCIDE) === 0) throw gp(0)
  if (type === 0n) {
    if (!isCanonical(linear)) throw gp(0)
    cpu.invalidatePage(linear)
  } else cpu.flushTlb(type === 2n)
}

const MONITOR: Microcode = (cpu, insn) => {
  if (cpu.state.cpl !== 0) throw ud()
  cpu.nonRoot?.instruction('MONITOR')
  if (gpr32(cpu, 1) !== 0) throw gp(0)
  const memory = memoryOperand(insn, 0)
  cpu.read(linearAddress(cpu, memory.seg, effectiveAddress(cpu, memory), 1, false), 1, readAccess(cpu))
}

/** May end at any time, so it ends at once. */
const MWAIT: Microcode = (cpu) => {
  if (cpu.state.cpl !== 0) throw ud()
  cpu.nonRoot?.instruction('MWAIT')
  if ((gpr32(cpu, 1) & ~1) !== 0) throw gp(0)
}

const XGETBV: Microcode = (cpu) => {
  if ((cr4Of(cpu) & CR4_OSXSAVE) === 0) throw ud()
  if (gpr32(cpu, 1) !== 0) throw gp(0)
  setEdxEax(cpu, cpu.state.xcr0)
}

const XSETBV: Microcode = (cpu) => {
  if ((cr4Of(cpu) & CR4_OSXSAVE) === 0) throw ud()
  requireCpl0(cpu)
  cpu.nonRoot?.instruction('XSETBV')
  const value = edxEax(cpu)
  if (gpr32(cpu, 1) !== 0 || (value & BigInt(XCR0_X87)) === 0n || (value & ~BigInt(XCR0_X87 | XCR0_SSE)) !== 0n) throw gp(0)
  cpu.state.xcr0 = value
  cpu.modeChanged()
}

const SERIALIZE: Microcode = () => undefined

/** System management mode does not exist. */
const RSM: Microcode = (cpu) => {
  cpu.nonRoot?.instruction('RSM')
  throw ud()
}

const GETSEC: Microcode = (cpu) => {
  cpu.nonRoot?.instruction('GETSEC')
  throw ud()
}

/** [SDM3 26.1.2 "Instructions That Cause VM Exits Unconditionally"] Software in root operation is the host, which calls them as methods. */
function vmxInstruction(name: Mnemonic): Microcode {
  return (cpu) => {
    if (name !== 'VMCALL' && !inVmxMode(cpu)) throw ud()
    cpu.nonRoot?.instruction(name)
    throw ud()
  }
}

function inVmxMode(cpu: Cpu): boolean {
  if ((cr0Of(cpu) & CR0_PE) === 0 || isVirtual8086(cpu)) return false
  return !isLong(cpu) || (cpu.state.segAccess.get(SEG_CS) & AR_L) !== 0
}

const VMX_INSTRUCTIONS = [
  'VMCALL',
  'VMCLEAR',
  'VMLAUNCH',
  'VMPTRLD',
  'VMPTRST',
  'VMREAD',
  'VMRESUME',
  'VMWRITE',
  'VMXOFF',
  'VMXON',
  'INVEPT',
  'INVVPID',
] as const

/** There is no VM function to call. */
const VMFUNC: Microcode = () => {
  throw ud()
}

export const processorControl: Partial<Record<Mnemonic, Microcode>> = {
  HLT,
  CPUID,
  RDRAND: random('RDRAND'),
  RDSEED: random('RDSEED'),
  INVD: cacheControl('INVD'),
  WBINVD: cacheControl('WBINVD'),
  WBNOINVD: cacheControl('WBINVD'),
  INVLPG,
  INVPCID,
  MONITOR,
  MWAIT,
  XGETBV,
  XSETBV,
  SERIALIZE,
  RSM,
  GETSEC,
  VMFUNC,
  ...Object.fromEntries(VMX_INSTRUCTIONS.map((name) => [name, vmxInstruction(name)])),
}
