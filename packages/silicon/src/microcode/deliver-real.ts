import { EFLAGS_AC, EFLAGS_IF, EFLAGS_RF, EFLAGS_TF, Exception, SEG_CS } from '@guestmode/x86'
import type { Cpu } from '../cpu/cpu.ts'
import { gp } from './faults.ts'
import { changeFlags, readFlags } from './flags.ts'
import { readImplicit } from './mode.ts'
import { loadRealSegment } from './segment.ts'
import { currentStack } from './stack.ts'

/** Through the interrupt vector table; no error code is pushed. [SDM3 20.1.4 "Interrupt and Exception Handling"] */
export function deliverReal(cpu: Cpu, vector: number, returnIp: number, ext: number): bigint {
  const { state } = cpu
  if (vector * 4 + 3 > state.idtrLimit) throw gp(vector * 8 + Exception.ERROR_IDT + ext)
  const entry = Number(cpu.read(state.idtrBase + BigInt(vector * 4), 4, readImplicit))
  const stack = currentStack(cpu, ext)
  stack.push(2, BigInt(readFlags(cpu) & 0xffff))
  stack.push(2, BigInt(state.segSelector.get(SEG_CS)))
  stack.push(2, BigInt(returnIp & 0xffff))
  stack.commit()
  loadRealSegment(cpu, SEG_CS, entry >>> 16)
  changeFlags(cpu, EFLAGS_IF | EFLAGS_TF | EFLAGS_AC | EFLAGS_RF, 0)
  return BigInt(entry & 0xffff)
}
