import { AR_TYPE, Exception, SEG_TR, TYPE_TSS_BUSY } from '@guestmode/x86'
import type { Cpu } from '../cpu/cpu.ts'
import { isNull, readDescriptor, type Descriptor } from './descriptor.ts'
import { selectorCode, ss, ts } from './faults.ts'
import { readImplicit } from './mode.ts'
import { readPair, readWord, segBase32, segBaseHigh } from './words.ts'

/** The current TSS. [SDM3 7.2 "Task Management Data Structures", 7.7 "Task Management in 64-bit Mode"] */

export const is32BitTss = (cpu: Cpu): boolean => (cpu.state.segAccess.get(SEG_TR) & AR_TYPE) === TYPE_TSS_BUSY

function checkTss(cpu: Cpu, offset: number, size: number, ext: number): void {
  const { state } = cpu
  if (offset + size - 1 > state.segLimit.get(SEG_TR)) throw ts(selectorCode(state.segSelector.get(SEG_TR)) | ext)
}

function readTss(cpu: Cpu, offset: number, size: 2 | 4, ext: number): number {
  checkTss(cpu, offset, size, ext)
  const low = segBase32(cpu, SEG_TR) + offset
  return readWord(cpu, segBaseHigh(cpu, SEG_TR), low >>> 0, size, readImplicit)
}

/** Reads a stack pointer of a 64-bit TSS as `readPair` does. */
function readRsp(cpu: Cpu, offset: number, ext: number): number {
  checkTss(cpu, offset, 8, ext)
  const low = segBase32(cpu, SEG_TR) + offset
  return readPair(cpu, segBaseHigh(cpu, SEG_TR) + (low > 0xffff_ffff ? 1 : 0), low >>> 0, readImplicit)
}

/** SSn and ESPn. */
export function innerStack(cpu: Cpu, level: number, ext: number): { selector: number; esp: number } {
  if (is32BitTss(cpu)) {
    const at = 4 + level * 8
    const selector = readTss(cpu, at + 4, 2, ext)
    return { selector, esp: readTss(cpu, at, 4, ext) }
  }
  const at = 2 + level * 4
  const selector = readTss(cpu, at + 2, 2, ext)
  return { selector, esp: readTss(cpu, at, 2, ext) }
}

/** New stack segment of an inner level, by the TSS. */
export function innerStackSegment(cpu: Cpu, selector: number, level: number, ext: number): Descriptor {
  if (isNull(selector)) throw ts(ext)
  const code = selectorCode(selector) | ext
  const segment = readDescriptor(cpu, selector, Exception.TS, ext)
  if (segment.rpl !== level || segment.dpl !== level || !segment.isWritableData) throw ts(code)
  if (!segment.isPresent) throw ss(code)
  return segment
}

/** RSPn of a 64-bit TSS; its upper half is in `pairHigh`. */
export const innerRsp = (cpu: Cpu, level: number, ext: number): number => readRsp(cpu, 4 + level * 8, ext)

/** ISTn, n from 1; its upper half is in `pairHigh`. */
export const interruptStack = (cpu: Cpu, n: number, ext: number): number => readRsp(cpu, 0x1c + n * 8, ext)

/** I/O permission bitmap. [SDM1 19.5.2 "I/O Permission Bit Map"] */
export function portsPermitted(cpu: Cpu, port: number, size: number): boolean {
  const { state } = cpu
  const limit = state.segLimit.get(SEG_TR)
  if (!is32BitTss(cpu) || limit < 103) return false
  const base = state.segBase.get(SEG_TR)
  const at = Number(cpu.read(base + 0x66n, 2, readImplicit)) + (port >>> 3)
  if (at + 1 > limit) return false
  const bits = Number(cpu.read(base + BigInt(at), 2, readImplicit)) >>> (port & 7)
  return (bits & ((1 << size) - 1)) === 0
}

/** Interrupt redirection bitmap of virtual-8086 mode extensions: set bits go to the monitor. [SDM3 20.3.3 "Class 3—Software Interrupt Handling in Virtual-8086 Mode"] */
export function isRedirected(cpu: Cpu, vector: number): boolean {
  const { state } = cpu
  const limit = state.segLimit.get(SEG_TR)
  if (!is32BitTss(cpu) || limit < 103) return false
  const base = state.segBase.get(SEG_TR)
  const at = Number(cpu.read(base + 0x66n, 2, readImplicit)) - 32 + (vector >>> 3)
  if (at < 0 || at > limit) return false
  return ((Number(cpu.read(base + BigInt(at), 1, readImplicit)) >>> (vector & 7)) & 1) === 0
}
