import { AR_DB, AR_L, CR0_PE, EFER_LMA, SEG_CS, SEG_SS } from '@guestmode/x86'
import type { Cpu } from '../cpu/cpu.ts'
import { Access } from '../cpu/cpu.ts'
import { gp } from './faults.ts'
import { isVirtual8086 } from './flags.ts'
import { cr0Of, eferOf } from './words.ts'

/** Protected mode proper: CR0.PE and not virtual-8086; long mode included. */
export const isProtected = (cpu: Cpu): boolean => (cr0Of(cpu) & CR0_PE) !== 0 && !isVirtual8086(cpu)

export const isLong = (cpu: Cpu): boolean => (eferOf(cpu) & EFER_LMA) !== 0

export function isCanonical(address: bigint): boolean {
  return BigInt.asUintN(64, BigInt.asIntN(48, address)) === address
}

/** Most system instructions are for CPL 0 alone. */
export function requireCpl0(cpu: Cpu): void {
  if (cpu.state.cpl !== 0) throw gp(0)
}

/** Kind of an access that the instruction itself makes. */
export const readAccess = (cpu: Cpu): number => (cpu.state.cpl === 3 ? Access.read | Access.user : Access.read)
export const writeAccess = (cpu: Cpu): number => (cpu.state.cpl === 3 ? Access.write | Access.user : Access.write)

export const readImplicit = Access.read | Access.implicit
export const writeImplicit = Access.write | Access.implicit

/** After CS, SS or EFER.LMA changed. */
export function updateWidths(cpu: Cpu): void {
  const { state } = cpu
  const cs = state.segAccess.get(SEG_CS)
  if ((cs & AR_L) !== 0 && isLong(cpu)) {
    state.codeWidth = 64
    state.stackWidth = 64
    return
  }
  state.codeWidth = (cs & AR_DB) !== 0 ? 32 : 16
  state.stackWidth = (state.segAccess.get(SEG_SS) & AR_DB) !== 0 ? 32 : 16
}
