import { cpuState } from '@guestmode/x86'
import type { Cpu } from '../cpu/cpu.ts'

/** Low 32-bit halves of 64-bit fields of the CPU state, as numbers: no bigint is made. */

const { gpr, cr0, cr4, efer, segBase } = cpuState.fields

function low(cpu: Cpu, offset: number): number {
  return cpu.mem.u32[(cpu.state.base + offset) >> 2]!
}

export const cr0Of = (cpu: Cpu): number => low(cpu, cr0.offset)
export const cr4Of = (cpu: Cpu): number => low(cpu, cr4.offset)
export const eferOf = (cpu: Cpu): number => low(cpu, efer.offset)

export const gpr32 = (cpu: Cpu, index: number): number => low(cpu, gpr.offset + index * 8)
export const gpr16 = (cpu: Cpu, index: number): number => low(cpu, gpr.offset + index * 8) & 0xffff

/** Clears the upper half. */
export function setGpr32(cpu: Cpu, index: number, value: number): void {
  const at = (cpu.state.base + gpr.offset + index * 8) >> 2
  cpu.mem.u32[at] = value
  cpu.mem.u32[at + 1] = 0
}

export function setGpr16(cpu: Cpu, index: number, value: number): void {
  cpu.mem.u16[(cpu.state.base + gpr.offset + index * 8) >> 1] = value
}

export function setGpr8(cpu: Cpu, index: number, value: number): void {
  cpu.mem.u8[cpu.state.base + gpr.offset + index * 8] = value
}

export function setSegBase32(cpu: Cpu, seg: number, base: number): void {
  const at = (cpu.state.base + segBase.offset + seg * 8) >> 2
  cpu.mem.u32[at] = base
  cpu.mem.u32[at + 1] = 0
}

/** EDX:EAX. */
export function edxEax(cpu: Cpu): bigint {
  return (BigInt(gpr32(cpu, 2)) << 32n) | BigInt(gpr32(cpu, 0))
}

export function setEdxEax(cpu: Cpu, value: bigint): void {
  setGpr32(cpu, 0, Number(value & 0xffff_ffffn))
  setGpr32(cpu, 2, Number((value >> 32n) & 0xffff_ffffn))
}

export const lowWord = (value: bigint): number => Number(BigInt.asUintN(32, value))
export const highWord = (value: bigint): number => Number(BigInt.asUintN(32, value >> 32n))
