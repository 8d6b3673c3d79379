import { IA32_TIME_STAMP_COUNTER } from '@guestmode/x86'
import type { Cpu } from '../cpu/cpu.ts'

/** Registers that are no part of `cpuState`, because nothing but RDMSR sees them. */
const banks = new WeakMap<Cpu, Map<number, bigint>>()

export function storedMsr(cpu: Cpu, index: number): bigint | undefined {
  return banks.get(cpu)?.get(index)
}

export function storeMsr(cpu: Cpu, index: number, value: bigint): void {
  let bank = banks.get(cpu)
  if (bank === undefined) banks.set(cpu, (bank = new Map()))
  bank.set(index, value)
}

export function resetMsrBank(cpu: Cpu): void {
  banks.delete(cpu)
}

/** The time-stamp counter is stored as its distance from the environment's. */
export function timeStampCounter(cpu: Cpu): bigint {
  const raw = cpu.environment.tsc() + (storedMsr(cpu, IA32_TIME_STAMP_COUNTER) ?? 0n)
  return BigInt.asUintN(64, cpu.nonRoot === undefined ? raw : raw + cpu.nonRoot.tscOffset)
}
