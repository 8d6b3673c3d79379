import { cpuState } from '@guestmode/x86'
import type { Cpu } from '../cpu/cpu.ts'

/** 64-bit values as pairs of 32-bit words: the fields of the CPU state and linear memory, without arithmetic on bigints. */

const { gpr, cr0, cr4, efer, segBase } = cpuState.fields

const quad = new BigUint64Array(1)
const halves = new Uint32Array(quad.buffer)

export function join(high: number, low: number): bigint {
  halves[0] = low
  halves[1] = high
  return quad[0]!
}

export function lowWord(value: bigint): number {
  quad[0] = value
  return halves[0]!
}

export function highWord(value: bigint): number {
  quad[0] = value
  return halves[1]!
}

/** Upper half of what `readPair` has read last. */
export let pairHigh = 0

/** Reads eight bytes: returns the lower half, leaves the upper one in `pairHigh`. */
export function readPair(cpu: Cpu, high: number, low: number, access: number): number {
  quad[0] = cpu.read(join(high, low), 8, access)
  pairHigh = halves[1]!
  return halves[0]!
}

export function readWord(cpu: Cpu, high: number, low: number, size: 2 | 4, access: number): number {
  return Number(cpu.read(join(high, low), size, access))
}

export function writePair(cpu: Cpu, high: number, low: number, valueHigh: number, valueLow: number, access: number): void {
  cpu.write(join(high, low), 8, join(valueHigh, valueLow), access)
}

export function writeWord32(cpu: Cpu, high: number, low: number, size: 2 | 4, value: number, access: number): void {
  cpu.write(join(high, low), size, join(0, value), access)
}

/** Whether the upper half belongs to a canonical address. */
export function isCanonicalHigh(high: number): boolean {
  const top = high >>> 15
  return top === 0 || top === 0x1ffff
}

/** Index of a field's low word in `mem.u32`. */
export function fieldIndex(cpu: Cpu, offset: number): number {
  return (cpu.state.base + offset) >> 2
}

export function cr0Of(cpu: Cpu): number {
  return cpu.mem.u32[fieldIndex(cpu, cr0.offset)]!
}
export function cr4Of(cpu: Cpu): number {
  return cpu.mem.u32[fieldIndex(cpu, cr4.offset)]!
}
export function eferOf(cpu: Cpu): number {
  return cpu.mem.u32[fieldIndex(cpu, efer.offset)]!
}

export function gpr32(cpu: Cpu, index: number): number {
  return cpu.mem.u32[fieldIndex(cpu, gpr.offset + index * 8)]!
}
export function gprHigh32(cpu: Cpu, index: number): number {
  return cpu.mem.u32[fieldIndex(cpu, gpr.offset + index * 8) + 1]!
}
export function gpr16(cpu: Cpu, index: number): number {
  return gpr32(cpu, index) & 0xffff
}

export function setGpr64(cpu: Cpu, index: number, high: number, low: number): void {
  const at = fieldIndex(cpu, gpr.offset + index * 8)
  cpu.mem.u32[at] = low
  cpu.mem.u32[at + 1] = high
}

/** Clears the upper half. */
export function setGpr32(cpu: Cpu, index: number, value: number): void {
  setGpr64(cpu, index, 0, value)
}

export function setGpr16(cpu: Cpu, index: number, value: number): void {
  cpu.mem.u16[(cpu.state.base + gpr.offset + index * 8) >> 1] = value
}

export function setGpr8(cpu: Cpu, index: number, value: number): void {
  cpu.mem.u8[cpu.state.base + gpr.offset + index * 8] = value
}

export function segBase32(cpu: Cpu, seg: number): number {
  return cpu.mem.u32[fieldIndex(cpu, segBase.offset + seg * 8)]!
}
export function segBaseHigh(cpu: Cpu, seg: number): number {
  return cpu.mem.u32[fieldIndex(cpu, segBase.offset + seg * 8) + 1]!
}

export function setSegBase32(cpu: Cpu, seg: number, base: number): void {
  const at = fieldIndex(cpu, segBase.offset + seg * 8)
  cpu.mem.u32[at] = base
  cpu.mem.u32[at + 1] = 0
}

/** EDX:EAX. */
export function edxEax(cpu: Cpu): bigint {
  return join(gpr32(cpu, 2), gpr32(cpu, 0))
}

export function setEdxEax(cpu: Cpu, value: bigint): void {
  setGpr32(cpu, 0, lowWord(value))
  setGpr32(cpu, 2, highWord(value))
}
