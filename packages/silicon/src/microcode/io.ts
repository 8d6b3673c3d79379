import { CR0_PE, EFLAGS_DF, type Insn, type MemOperand, type Operand } from '@guestmode/x86'
import type { Cpu, Microcode } from '../cpu/cpu.ts'
import type { VmExit } from '../cpu/events.ts'
import { gp } from './faults.ts'
import { iopl, isVirtual8086, systemFlags } from './flags.ts'
import { linearAddress } from './linear.ts'
import { readAccess, writeAccess } from './mode.ts'
import { effectiveAddress, memoryOperand, writeRegister } from './operand.ts'
import { portsPermitted } from './tss.ts'
import { cr0Of, gpr16, gpr32 } from './words.ts'

/** [SDM1 19.5 "Protected-Mode I/O"] */

type Size = 1 | 2 | 4

function requirePorts(cpu: Cpu, port: number, size: Size): void {
  if ((cr0Of(cpu) & CR0_PE) === 0) return
  if ((cpu.state.cpl > iopl(cpu) || isVirtual8086(cpu)) && !portsPermitted(cpu, port, size)) throw gp(0)
}

function portOf(cpu: Cpu, operand: Operand): number {
  return operand.kind === 'imm' ? operand.value & 0xff : gpr16(cpu, 2)
}

/** A bus without a device reads as ones. */
function portIn(cpu: Cpu, port: number, size: Size): number {
  const { environment } = cpu
  return environment.portIn === undefined ? 0xffff_ffff >>> (32 - size * 8) : environment.portIn(port, size)
}

const IN: Microcode = (cpu, insn) => {
  const [to, from] = [insn.operands[0]!, insn.operands[1]!]
  const port = portOf(cpu, from)
  const size = (to.width / 8) as Size
  requirePorts(cpu, port, size)
  const exit = cpu.nonRoot?.io(port, size, 'in', false, false, from.kind === 'imm')
  if (exit !== undefined) return exit
  writeRegister(cpu, 0, to.width, portIn(cpu, port, size))
  return undefined
}

const OUT: Microcode = (cpu, insn) => {
  const [to, from] = [insn.operands[0]!, insn.operands[1]!]
  const port = portOf(cpu, to)
  const size = (from.width / 8) as Size
  requirePorts(cpu, port, size)
  const exit = cpu.nonRoot?.io(port, size, 'out', false, false, to.kind === 'imm')
  if (exit !== undefined) return exit
  cpu.environment.portOut?.(port, size, (gpr32(cpu, 0) & (0xffff_ffff >>> (32 - size * 8))) >>> 0)
  return undefined
}

/** A register by the address size: 32 bits clear the upper half. */
function addToRegister(cpu: Cpu, index: number, width: 16 | 32 | 64, amount: bigint): bigint {
  const { gpr } = cpu.state
  const old = gpr.get(index)
  const value = BigInt.asUintN(width, old + amount)
  gpr.set(index, width === 16 ? (old & ~0xffffn) | value : value)
  return value
}

/** One iteration. REP: the instruction is executed again until its count is zero. */
function stringIo(cpu: Cpu, insn: Insn, memory: MemOperand, direction: 'in' | 'out'): VmExit | undefined {
  const { state } = cpu
  const isRepeated = insn.rep !== 0
  const width = insn.addressSize
  const port = gpr16(cpu, 2)
  const size = (memory.width / 8) as Size
  // Permission is asked even for no iteration.
  requirePorts(cpu, port, size)
  if (isRepeated && BigInt.asUintN(width, state.gpr.get(1)) === 0n) return undefined
  const exit = cpu.nonRoot?.io(port, size, direction, true, isRepeated, false)
  if (exit !== undefined) return exit

  const linear = linearAddress(cpu, memory.seg, effectiveAddress(cpu, memory), size, direction === 'in')
  if (direction === 'in') {
    cpu.probeWrite(linear, size, writeAccess(cpu))
    cpu.write(linear, size, BigInt(portIn(cpu, port, size)), writeAccess(cpu))
  } else {
    const value = Number(cpu.read(linear, size, readAccess(cpu)))
    cpu.environment.portOut?.(port, size, value)
  }
  const step = BigInt((systemFlags(cpu) & EFLAGS_DF) === 0 ? size : -size)
  addToRegister(cpu, direction === 'in' ? 7 : 6, width, step)
  if (isRepeated && addToRegister(cpu, 1, width, -1n) !== 0n) cpu.nextRip = state.rip
  return undefined
}

const INS: Microcode = (cpu, insn) => stringIo(cpu, insn, memoryOperand(insn, 0), 'in')
const OUTS: Microcode = (cpu, insn) => stringIo(cpu, insn, memoryOperand(insn, 1), 'out')

export const io = { IN, OUT, INS, OUTS }
