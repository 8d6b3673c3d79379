import { CR0_PE, CR4_VME, EFLAGS_IF, EFLAGS_IOPL, EFLAGS_OF, EFLAGS_TF, EFLAGS_VIF, Exception, SEG_CS } from '@guestmode/x86'
import type { Cpu, Microcode } from '../cpu/cpu.ts'
import { EventKind, GuestFault } from '../cpu/events.ts'
import { deliverEvent } from './deliver.ts'
import { gp } from './faults.ts'
import { changeFlags, iopl, isVirtual8086, readFlags } from './flags.ts'
import { linearAddress } from './linear.ts'
import { readAccess, readImplicit } from './mode.ts'
import { memoryOperand, effectiveAddress } from './operand.ts'
import { loadVirtual8086Segment } from './segment.ts'
import { currentStack } from './stack.ts'
import { isRedirected } from './tss.ts'
import { cr0Of, cr4Of } from './words.ts'

/** [SDM2 "INT n/INTO/INT3/INT1—Call to Interrupt Procedure"] */

/** Virtual-8086 mode extensions: the interrupt stays in the virtual machine and takes its vector table at linear address 0. */
function interruptVirtual8086(cpu: Cpu, vector: number): void {
  const { state } = cpu
  const entry = Number(cpu.read(BigInt(vector * 4), 4, readImplicit))
  const flags = readFlags(cpu)
  let image = flags & 0xffff
  if (iopl(cpu) < 3) image = (image & ~EFLAGS_IF) | EFLAGS_IOPL | ((flags & EFLAGS_VIF) !== 0 ? EFLAGS_IF : 0)
  const stack = currentStack(cpu)
  stack.push(2, BigInt(image))
  stack.push(2, BigInt(state.segSelector.get(SEG_CS)))
  stack.push(2, BigInt.asUintN(16, cpu.nextRip))
  stack.commit()
  loadVirtual8086Segment(cpu, SEG_CS, entry >>> 16)
  changeFlags(cpu, EFLAGS_TF | (iopl(cpu) === 3 ? EFLAGS_IF : EFLAGS_VIF), 0)
  cpu.nextRip = BigInt(entry & 0xffff)
  cpu.modeChanged()
}

const INT: Microcode = (cpu, insn) => {
  const operand = insn.operands[0]!
  const vector = operand.kind === 'imm' ? operand.value & 0xff : 0
  if (isVirtual8086(cpu) && (cr0Of(cpu) & CR0_PE) !== 0) {
    if ((cr4Of(cpu) & CR4_VME) !== 0 && isRedirected(cpu, vector)) {
      interruptVirtual8086(cpu, vector)
      return
    }
    if (iopl(cpu) < 3) throw gp(0)
  }
  deliverEvent(cpu, { kind: EventKind.softwareInterrupt, vector, instructionLength: insn.length })
}

/** IOPL does not matter to these two; `raise` makes software exceptions of them. */
const INT3: Microcode = () => {
  throw new GuestFault(Exception.BP)
}

const INTO: Microcode = (cpu) => {
  if ((readFlags(cpu) & EFLAGS_OF) !== 0) throw new GuestFault(Exception.OF)
}

const INT1: Microcode = (cpu, insn) => {
  cpu.nonRoot?.exception(new GuestFault(Exception.DB), undefined)
  deliverEvent(cpu, { kind: EventKind.privilegedSoftwareException, vector: Exception.DB, instructionLength: insn.length })
}

/** [SDM2 "BOUND—Check Array Index Against Bounds"] */
const BOUND: Microcode = (cpu, insn) => {
  const register = insn.operands[0]!
  if (register.kind !== 'reg') throw new Error('BOUND: no register operand')
  const memory = memoryOperand(insn, 1)
  const bits = insn.operandSize
  const size = (bits / 8) as 2 | 4
  const signed = (value: bigint): bigint => BigInt.asIntN(bits, value)
  const at = linearAddress(cpu, memory.seg, effectiveAddress(cpu, memory), size * 2, false)
  const lower = signed(cpu.read(at, size, readAccess(cpu)))
  const upper = signed(cpu.read(at + BigInt(size), size, readAccess(cpu)))
  const index = signed(cpu.state.gpr.get(register.index))
  if (index < lower || index > upper) throw new GuestFault(Exception.BR)
}

export const interrupts = { INT, INT3, INTO, INT1, BOUND }
