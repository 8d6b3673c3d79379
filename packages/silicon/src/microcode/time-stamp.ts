import { CR4_PCE, CR4_TSD } from '@guestmode/x86'
import type { Cpu, Microcode } from '../cpu/cpu.ts'
import { gp } from './faults.ts'
import { timeStampCounter } from './msr-bank.ts'
import { registerOperand } from './operand.ts'
import { cr4Of, lowWord, setEdxEax, setGpr32 } from './words.ts'

function requireTimeStamp(cpu: Cpu): void {
  if (cpu.state.cpl !== 0 && (cr4Of(cpu) & CR4_TSD) !== 0) throw gp(0)
}

const RDTSC: Microcode = (cpu) => {
  requireTimeStamp(cpu)
  cpu.nonRoot?.instruction('RDTSC')
  setEdxEax(cpu, timeStampCounter(cpu))
}

const RDTSCP: Microcode = (cpu) => {
  requireTimeStamp(cpu)
  cpu.nonRoot?.instruction('RDTSCP')
  setEdxEax(cpu, timeStampCounter(cpu))
  setGpr32(cpu, 1, lowWord(cpu.state.tscAux))
}

const RDPID: Microcode = (cpu, insn) => {
  setGpr32(cpu, registerOperand(insn, 0), lowWord(cpu.state.tscAux))
}

/** There are no counters: every index is out of range. */
const RDPMC: Microcode = (cpu) => {
  if (cpu.state.cpl !== 0 && (cr4Of(cpu) & CR4_PCE) === 0) throw gp(0)
  cpu.nonRoot?.instruction('RDPMC')
  throw gp(0)
}

export const timeStamp = { RDTSC, RDTSCP, RDPID, RDPMC }
