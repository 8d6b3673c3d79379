import type { Insn, MemOperand, Operand } from '@guestmode/x86'
import type { Cpu } from '../cpu/cpu.ts'
import { linearAddress } from './linear.ts'
import { readAccess, writeAccess } from './mode.ts'
import { setGpr16, setGpr32, setGpr8 } from './words.ts'

/** Operands of an instruction in execution. */

export function effectiveAddress(cpu: Cpu, operand: MemOperand): bigint {
  const { gpr } = cpu.state
  let address = operand.disp64 ?? BigInt(operand.disp)
  if (operand.ripRelative) address += cpu.nextRip
  if (operand.base >= 0) address += gpr.get(operand.base)
  if (operand.index >= 0) address += gpr.get(operand.index) << BigInt(operand.scale)
  return BigInt.asUintN(operand.addrSize, address)
}

/** Memory operand, displaced by `plus` bytes: its linear address with all checks. */
function address(cpu: Cpu, operand: MemOperand, plus: number, size: number, write: boolean): bigint {
  const offset = BigInt.asUintN(operand.addrSize, effectiveAddress(cpu, operand) + BigInt(plus))
  return linearAddress(cpu, operand.seg, offset, size, write)
}

export function readMemory(cpu: Cpu, operand: MemOperand, size: 1 | 2 | 4 | 8, plus = 0): bigint {
  return cpu.read(address(cpu, operand, plus, size, false), size, readAccess(cpu))
}

export function writeMemory(cpu: Cpu, operand: MemOperand, size: 1 | 2 | 4 | 8, value: bigint, plus = 0): void {
  cpu.write(address(cpu, operand, plus, size, true), size, value, writeAccess(cpu))
}

/** Checks that `size` bytes can be written. */
export function probeMemory(cpu: Cpu, operand: MemOperand, size: number): void {
  cpu.probeWrite(address(cpu, operand, 0, size, true), size, writeAccess(cpu))
}

export function memoryOperand(insn: Insn, n: number): MemOperand {
  const operand = insn.operands[n]!
  if (operand.kind !== 'mem') throw new Error(`${insn.mnemonic}: operand ${n} is not memory`)
  return operand
}

export function registerOperand(insn: Insn, n: number): number {
  const operand = insn.operands[n]!
  if (operand.kind !== 'reg') throw new Error(`${insn.mnemonic}: operand ${n} is not a register`)
  return operand.index
}

/** A selector: r/m16. */
export function readOperand16(cpu: Cpu, operand: Operand): number {
  if (operand.kind === 'reg') return Number(cpu.state.gpr.get(operand.index) & 0xffffn)
  if (operand.kind !== 'mem') throw new Error('neither register nor memory')
  return Number(readMemory(cpu, operand, 2))
}

/** Writes a general register as the operand's width demands: 32 bits clear the upper half. */
export function writeRegister(cpu: Cpu, index: number, width: number, value: number): void {
  if (width === 8) setGpr8(cpu, index, value)
  else if (width === 16) setGpr16(cpu, index, value)
  else setGpr32(cpu, index, value)
}

/** SLDT, STR, SMSW: a register takes the whole operand size, memory always a word. `value` has no more than 32 bits. */
export function writeWord(cpu: Cpu, operand: Operand, value: number): void {
  if (operand.kind === 'mem') writeMemory(cpu, operand, 2, BigInt(value & 0xffff))
  else if (operand.kind === 'reg') writeRegister(cpu, operand.index, operand.width, value)
}
