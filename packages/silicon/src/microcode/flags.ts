import { cpuState, EFLAGS_ARITHMETIC, EFLAGS_FIXED, EFLAGS_VM } from '@guestmode/x86'
import type { Cpu } from '../cpu/cpu.ts'

/** All of RFLAGS as one number, over the split representation of `cpuState`. */

const { flagResult, flagAux, flagsSystem } = cpuState.fields

export function readFlags(cpu: Cpu): number {
  const { u32 } = cpu.mem
  const base = cpu.state.base
  const result = u32[(base + flagResult.offset) >> 2]!
  const high = u32[((base + flagResult.offset) >> 2) + 1]!
  const aux = u32[(base + flagAux.offset) >> 2]!
  const carry = aux >>> 31
  const overflow = carry ^ ((aux >>> 30) & 1)
  const zero = (result | high) === 0 ? 1 : 0
  const sign = (high >>> 31) ^ (aux & 1)
  const byte = (result ^ (aux >>> 8)) & 0xff
  const oddParity = (0x6996 >>> ((byte ^ (byte >>> 4)) & 0xf)) & 1
  const arithmetic = carry | ((oddParity ^ 1) << 2) | ((aux & 8) << 1) | (zero << 6) | (sign << 7) | (overflow << 11)
  return arithmetic | u32[(base + flagsSystem.offset) >> 2]!
}

export function writeFlags(cpu: Cpu, flags: number): void {
  const { u32 } = cpu.mem
  const base = cpu.state.base
  const carry = flags & 1
  const carries = (carry << 31) | ((carry ^ ((flags >>> 11) & 1)) << 30)
  u32[(base + flagAux.offset) >> 2] = carries | ((flags >>> 1) & 8) | ((flags >>> 7) & 1) | ((~flags & 4) << 6)
  u32[(base + flagResult.offset) >> 2] = (~flags & 0x40) << 2
  u32[((base + flagResult.offset) >> 2) + 1] = 0
  u32[(base + flagsSystem.offset) >> 2] = (flags & ~EFLAGS_ARITHMETIC) | EFLAGS_FIXED
}

/** Replaces the flags of `mask`. */
export function changeFlags(cpu: Cpu, mask: number, flags: number): void {
  writeFlags(cpu, (readFlags(cpu) & ~mask) | (flags & mask))
}

/** TF, IF, DF, IOPL, NT, RF, VM, AC, VIF, VIP, ID: without the arithmetic flags. */
export const systemFlags = (cpu: Cpu): number => cpu.mem.u32[(cpu.state.base + flagsSystem.offset) >> 2]!

export const iopl = (cpu: Cpu): number => (systemFlags(cpu) >>> 12) & 3

export const isVirtual8086 = (cpu: Cpu): boolean => (systemFlags(cpu) & EFLAGS_VM) !== 0
