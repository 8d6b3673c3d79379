import {
  CR4_DE,
  DR6_BD,
  DR6_FIXED,
  DR6_WRITABLE,
  DR7_FIXED,
  DR7_GD,
  DR7_WRITABLE,
  Exception,
  type RegOperand,
} from '@guestmode/x86'
import type { Cpu } from '../cpu/cpu.ts'
import { GuestFault } from '../cpu/events.ts'
import { gp, ud } from './faults.ts'
import { requireCpl0 } from './mode.ts'
import { cr4Of, setGpr32 } from './words.ts'

/** [SDM2 "MOV—Move to/from Debug Registers"; SDM3 18.2 "Debug Registers"] */
export function debugRegisterMove(cpu: Cpu, to: RegOperand, from: RegOperand): void {
  const { state } = cpu
  const isWrite = to.cls === 'dr'
  let dr = isWrite ? to.index : from.index
  if (dr === 4 || dr === 5) {
    if ((cr4Of(cpu) & CR4_DE) !== 0) throw ud()
    dr += 2
  }
  requireCpl0(cpu)
  cpu.nonRoot?.movDr(dr, isWrite ? 'to' : 'from', isWrite ? from.index : to.index)
  if ((Number(BigInt.asUintN(32, state.dr.get(7))) & DR7_GD) !== 0) {
    state.dr.set(6, state.dr.get(6) | BigInt(DR6_BD))
    throw new GuestFault(Exception.DB)
  }
  if (isWrite) {
    const value = state.gpr.get(from.index)
    writeDr(cpu, dr, to.width === 64 ? value : BigInt.asUintN(32, value))
  } else if (to.width === 64) state.gpr.set(to.index, state.dr.get(dr))
  else setGpr32(cpu, to.index, Number(BigInt.asUintN(32, state.dr.get(dr))))
}

export function writeDr(cpu: Cpu, dr: number, value: bigint): void {
  const { state } = cpu
  if (dr < 6) {
    state.dr.set(dr, value)
  } else {
    if (value >> 32n !== 0n) throw gp(0)
    const word = Number(value)
    const next = dr === 6 ? (word & DR6_WRITABLE) | DR6_FIXED : (word & DR7_WRITABLE) | DR7_FIXED
    state.dr.set(dr, BigInt(next >>> 0))
  }
  cpu.modeChanged()
}
