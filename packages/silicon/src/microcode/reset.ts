import {
  APIC_BASE_BSP,
  APIC_BASE_DEFAULT,
  APIC_BASE_ENABLE,
  CR0_CD,
  CR0_ET,
  CR0_NW,
  DR6_FIXED,
  DR7_FIXED,
  EFLAGS_FIXED,
  MISC_ENABLE_BTS_UNAVAILABLE,
  MISC_ENABLE_FAST_STRING,
  MISC_ENABLE_PEBS_UNAVAILABLE,
  PAT_DEFAULT,
  SEG_CS,
  SEG_GS,
  SEG_LDTR,
  SEG_TR,
  XCR0_X87,
} from '@guestmode/x86'
import type { Cpu } from '../cpu/cpu.ts'
import { writeFlags } from './flags.ts'
import { resetMsrBank } from './msr-bank.ts'
import { loadSegment } from './segment.ts'

/** [SDM3 Table 10-1 "IA-32 and Intel 64 Processor States Following Power-up, Reset, or INIT"] */

const DATA = 0x93
const LDT = 0x82
const BUSY_TSS = 0x8b

/** What power-up and INIT have in common. */
function initialize(cpu: Cpu, cr0: number): void {
  const { state } = cpu
  for (let i = 0; i < 16; i++) state.gpr.set(i, 0n)
  state.gpr.set(2, BigInt(cpu.cpuid(1, 0).eax))
  for (let seg = 0; seg <= SEG_GS; seg++) loadSegment(cpu, seg, 0, 0, 0xffff, DATA)
  loadSegment(cpu, SEG_CS, 0xf000, 0xffff_0000, 0xffff, DATA)
  loadSegment(cpu, SEG_LDTR, 0, 0, 0xffff, LDT)
  loadSegment(cpu, SEG_TR, 0, 0, 0xffff, BUSY_TSS)
  state.gdtrBase = 0n
  state.gdtrLimit = 0xffff
  state.idtrBase = 0n
  state.idtrLimit = 0xffff
  writeFlags(cpu, EFLAGS_FIXED)
  state.cr0 = BigInt(cr0)
  state.cr2 = 0n
  state.cr3 = 0n
  state.cr4 = 0n
  state.cr8 = 0n
  state.efer = 0n
  for (let i = 0; i < 4; i++) state.dr.set(i, 0n)
  state.dr.set(6, BigInt(DR6_FIXED))
  state.dr.set(7, BigInt(DR7_FIXED))
  state.cpl = 0
  state.codeWidth = 16
  state.stackWidth = 16
  state.interruptibility = 0
  state.activity = 0
  state.pendingDebug = 0n
  state.rip = 0xfff0n
  cpu.nextRip = 0xfff0n
  cpu.flushTlb(true)
}

/** Power-up and reset. */
export function powerUp(cpu: Cpu): void {
  const { state } = cpu
  initialize(cpu, CR0_CD | CR0_NW | CR0_ET)
  resetMsrBank(cpu)
  state.xcr0 = BigInt(XCR0_X87)
  state.star = 0n
  state.lstar = 0n
  state.cstar = 0n
  state.sfmask = 0n
  state.kernelGsBase = 0n
  state.sysenterCs = 0n
  state.sysenterEsp = 0n
  state.sysenterEip = 0n
  state.tscAux = 0n
  state.pat = PAT_DEFAULT
  state.apicBase = BigInt(APIC_BASE_DEFAULT | APIC_BASE_BSP | APIC_BASE_ENABLE) & 0xffff_ffffn
  state.debugctl = 0n
  state.miscEnable = BigInt(MISC_ENABLE_FAST_STRING | MISC_ENABLE_BTS_UNAVAILABLE | MISC_ENABLE_PEBS_UNAVAILABLE)
  for (let i = 0; i < 8; i++) {
    state.fpMant.set(i, 0n)
    state.fpExp.set(i, 0)
  }
  state.fpControl = 0x40
  state.fpStatus = 0
  state.fpTop = 0
  state.fpEmpty = 0
  state.fpOpcode = 0
  state.fpIp = 0n
  state.fpDp = 0n
  state.mxcsr = 0x1f80
  for (let i = 0; i < 16; i++) state.xmm.set(i, 0n)
  cpu.modeChanged()
}

/** INIT: caches' mode, floating point, and model-specific registers keep their values. */
export function init(cpu: Cpu): void {
  const kept = Number(cpu.state.cr0 & BigInt(CR0_CD | CR0_NW))
  initialize(cpu, kept | CR0_ET)
  cpu.modeChanged()
}
