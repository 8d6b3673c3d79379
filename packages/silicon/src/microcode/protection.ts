import { EFLAGS_ZF } from '@guestmode/x86'
import type { Cpu, Microcode } from '../cpu/cpu.ts'
import { findDescriptor, isNull, type Descriptor } from './descriptor.ts'
import { ud } from './faults.ts'
import { changeFlags } from './flags.ts'
import { isLong, isProtected } from './mode.ts'
import { readOperand16, registerOperand, writeMemory, writeRegister } from './operand.ts'

/** Instructions by which software checks a selector: they answer in ZF. [SDM3 5.10 "Pointer Validation"] */

const bits = (...types: number[]): number => types.reduce((mask, type) => mask | (1 << type), 0)

/** System descriptor types that have access rights to show, and those that have a limit. [SDM2 Table 3-53 "Segment and Gate Types"] */
const LAR_TYPES = bits(1, 2, 3, 4, 5, 9, 11, 12)
const LAR_TYPES_LONG = bits(2, 9, 11, 12)
const LSL_TYPES = bits(1, 2, 3, 9, 11)
const LSL_TYPES_LONG = bits(2, 9, 11)

function setZf(cpu: Cpu, value: boolean): void {
  changeFlags(cpu, EFLAGS_ZF, value ? EFLAGS_ZF : 0)
}

/** The descriptor, when it exists and is visible at this privilege. */
function visible(cpu: Cpu, selector: number): Descriptor | undefined {
  if (!isProtected(cpu)) throw ud()
  if (isNull(selector)) return undefined
  const descriptor = findDescriptor(cpu, selector)
  if (descriptor === undefined) return undefined
  if (!descriptor.isConforming && (descriptor.dpl < cpu.state.cpl || descriptor.dpl < descriptor.rpl)) return undefined
  return descriptor
}

const isOneOf = (cpu: Cpu, descriptor: Descriptor, legacy: number, long: number): boolean =>
  descriptor.isSegment || (((isLong(cpu) ? long : legacy) >>> descriptor.type) & 1) !== 0

function requireProtected(cpu: Cpu): void {
  if (!isProtected(cpu)) throw ud()
}

/** Bits 19:16, undefined in the manual, are those of the limit. */
const LAR: Microcode = (cpu, insn) => {
  requireProtected(cpu)
  const descriptor = visible(cpu, readOperand16(cpu, insn.operands[1]!))
  const isValid = descriptor !== undefined && isOneOf(cpu, descriptor, LAR_TYPES, LAR_TYPES_LONG)
  if (isValid) writeRegister(cpu, registerOperand(insn, 0), insn.operandSize, descriptor.high & 0xff_ff00)
  setZf(cpu, isValid)
}

const LSL: Microcode = (cpu, insn) => {
  requireProtected(cpu)
  const descriptor = visible(cpu, readOperand16(cpu, insn.operands[1]!))
  const isValid = descriptor !== undefined && isOneOf(cpu, descriptor, LSL_TYPES, LSL_TYPES_LONG)
  if (isValid) writeRegister(cpu, registerOperand(insn, 0), insn.operandSize, descriptor.limit)
  setZf(cpu, isValid)
}

const VERR: Microcode = (cpu, insn) => {
  requireProtected(cpu)
  setZf(cpu, visible(cpu, readOperand16(cpu, insn.operands[0]!))?.isReadable === true)
}

const VERW: Microcode = (cpu, insn) => {
  requireProtected(cpu)
  setZf(cpu, visible(cpu, readOperand16(cpu, insn.operands[0]!))?.isWritableData === true)
}

const ARPL: Microcode = (cpu, insn) => {
  requireProtected(cpu)
  const destination = insn.operands[0]!
  const selector = readOperand16(cpu, destination)
  const rpl = readOperand16(cpu, insn.operands[1]!) & 3
  const isRaised = (selector & 3) < rpl
  if (isRaised) {
    const value = (selector & ~3) | rpl
    if (destination.kind === 'mem') writeMemory(cpu, destination, 2, BigInt(value))
    else if (destination.kind === 'reg') writeRegister(cpu, destination.index, 16, value)
  }
  setZf(cpu, isRaised)
}

export const protection = { LAR, LSL, VERR, VERW, ARPL }
