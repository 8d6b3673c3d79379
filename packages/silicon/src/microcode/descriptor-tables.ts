import {
  CR4_UMIP,
  Exception,
  SEG_LDTR,
  SEG_TR,
  SELECTOR_TI,
  TSS_BUSY,
  TYPE_LDT,
  TYPE_TSS_AVAILABLE,
  TYPE_TSS16_AVAILABLE,
} from '@guestmode/x86'
import type { Cpu, Microcode } from '../cpu/cpu.ts'
import { isNull, readDescriptor, readUpperHalf, setType } from './descriptor.ts'
import { gp, np, selectorCode, ud } from './faults.ts'
import { isCanonical, isLong, isProtected, requireCpl0 } from './mode.ts'
import { memoryOperand, probeMemory, readMemory, readOperand16, writeMemory, writeWord } from './operand.ts'
import { loadDescriptor, loadNull } from './segment.ts'
import { cr4Of } from './words.ts'

/** [SDM2 "LGDT/LIDT—Load Global/Interrupt Descriptor Table Register"] */
function loadTable(name: 'LGDT' | 'LIDT'): Microcode {
  return (cpu, insn) => {
    requireCpl0(cpu)
    cpu.nonRoot?.instruction(name)
    const { state } = cpu
    const memory = memoryOperand(insn, 0)
    const is64 = state.codeWidth === 64
    const limit = Number(readMemory(cpu, memory, 2))
    let base = readMemory(cpu, memory, is64 ? 8 : 4, 2)
    if (is64 && !isCanonical(base)) throw gp(0)
    if (!is64 && insn.operandSize === 16) base &= 0xff_ffffn
    if (name === 'LGDT') {
      state.gdtrBase = base
      state.gdtrLimit = limit
    } else {
      state.idtrBase = base
      state.idtrLimit = limit
    }
  }
}

function requireNoUmip(cpu: Cpu): void {
  if (cpu.state.cpl !== 0 && (cr4Of(cpu) & CR4_UMIP) !== 0) throw gp(0)
}

function storeTable(name: 'SGDT' | 'SIDT'): Microcode {
  return (cpu, insn) => {
    requireNoUmip(cpu)
    cpu.nonRoot?.instruction(name)
    const { state } = cpu
    const memory = memoryOperand(insn, 0)
    const size = state.codeWidth === 64 ? 8 : 4
    probeMemory(cpu, memory, size + 2)
    writeMemory(cpu, memory, 2, BigInt(name === 'SGDT' ? state.gdtrLimit : state.idtrLimit))
    writeMemory(cpu, memory, size, BigInt.asUintN(size * 8, name === 'SGDT' ? state.gdtrBase : state.idtrBase), 2)
  }
}

function requireProtected(cpu: Cpu): void {
  if (!isProtected(cpu)) throw ud()
}

const LLDT: Microcode = (cpu, insn) => {
  requireProtected(cpu)
  requireCpl0(cpu)
  cpu.nonRoot?.instruction('LLDT')
  const selector = readOperand16(cpu, insn.operands[0]!)
  if (isNull(selector)) {
    loadNull(cpu, SEG_LDTR, selector)
    return
  }
  const code = selectorCode(selector)
  if ((selector & SELECTOR_TI) !== 0) throw gp(code)
  const table = readDescriptor(cpu, selector, Exception.GP)
  if (table.isSegment || table.type !== TYPE_LDT) throw gp(code)
  const upper = isLong(cpu) ? readUpperHalf(cpu, table, Exception.GP) : 0
  if (!table.isPresent) throw np(code)
  loadSystem(cpu, SEG_LDTR, selector, table, upper)
}

function loadSystem(
  cpu: Cpu,
  seg: number,
  selector: number,
  descriptor: Parameters<typeof loadDescriptor>[3],
  upper: number,
): void {
  const base = BigInt(descriptor.base) | (BigInt(upper) << 32n)
  if (!isCanonical(base)) throw gp(selectorCode(selector))
  if (seg === SEG_TR) setType(cpu, descriptor, descriptor.type | TSS_BUSY)
  loadDescriptor(cpu, seg, selector, descriptor)
  cpu.state.segBase.set(seg, base)
}

const LTR: Microcode = (cpu, insn) => {
  requireProtected(cpu)
  requireCpl0(cpu)
  cpu.nonRoot?.instruction('LTR')
  const selector = readOperand16(cpu, insn.operands[0]!)
  if (isNull(selector)) throw gp(0)
  const code = selectorCode(selector)
  if ((selector & SELECTOR_TI) !== 0) throw gp(code)
  const task = readDescriptor(cpu, selector, Exception.GP)
  const isTask = task.type === TYPE_TSS_AVAILABLE || (task.type === TYPE_TSS16_AVAILABLE && !isLong(cpu))
  if (task.isSegment || !isTask) throw gp(code)
  const upper = isLong(cpu) ? readUpperHalf(cpu, task, Exception.GP) : 0
  if (!task.isPresent) throw np(code)
  loadSystem(cpu, SEG_TR, selector, task, upper)
}

function storeSelector(name: 'SLDT' | 'STR', seg: number): Microcode {
  return (cpu, insn) => {
    requireProtected(cpu)
    requireNoUmip(cpu)
    cpu.nonRoot?.instruction(name)
    writeWord(cpu, insn.operands[0]!, cpu.state.segSelector.get(seg))
  }
}

export const descriptorTables = {
  LGDT: loadTable('LGDT'),
  LIDT: loadTable('LIDT'),
  SGDT: storeTable('SGDT'),
  SIDT: storeTable('SIDT'),
  LLDT,
  LTR,
  SLDT: storeSelector('SLDT', SEG_LDTR),
  STR: storeSelector('STR', SEG_TR),
}
