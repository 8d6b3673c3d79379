import {
  AR_L,
  CR0_CD,
  CR0_DEFINED,
  CR0_ET,
  CR0_NW,
  CR0_PE,
  CR0_PG,
  CR3_NO_FLUSH,
  CR4_DE,
  CR4_FSGSBASE,
  CR4_MCE,
  CR4_OSFXSR,
  CR4_OSXMMEXCPT,
  CR4_OSXSAVE,
  CR4_PAE,
  CR4_PCE,
  CR4_PCIDE,
  CR4_PGE,
  CR4_PKE,
  CR4_PSE,
  CR4_PVI,
  CR4_SMAP,
  CR4_SMEP,
  CR4_SMXE,
  CR4_TSD,
  CR4_UMIP,
  CR4_VME,
  CR4_VMXE,
  EFER_LMA,
  EFER_LME,
  EFER_NXE,
  EFER_SCE,
  SEG_CS,
} from '@guestmode/x86'
import type { Cpu } from '../cpu/cpu.ts'
import { gp } from './faults.ts'
import { isLong, updateWidths } from './mode.ts'
import { cr0Of, cr4Of, eferOf } from './words.ts'

/** What a control register takes, and what follows from it. [SDM3 2.5 "Control Registers"; SDM2 "MOV—Move to/from Control Registers"] */

const CR4_BY_FEATURE: readonly (readonly [bit: number, feature: string])[] = [
  [CR4_VME, 'vme'],
  [CR4_PVI, 'vme'],
  [CR4_TSD, 'tsc'],
  [CR4_DE, 'de'],
  [CR4_PSE, 'pse'],
  [CR4_PAE, 'pae'],
  [CR4_MCE, 'mce'],
  [CR4_PGE, 'pge'],
  [CR4_PCE, 'base'],
  [CR4_OSFXSR, 'fxsr'],
  [CR4_OSXMMEXCPT, 'sse'],
  [CR4_UMIP, 'umip'],
  [CR4_VMXE, 'vmx'],
  [CR4_SMXE, 'smx'],
  [CR4_FSGSBASE, 'fsgsbase'],
  [CR4_PCIDE, 'pcid'],
  [CR4_OSXSAVE, 'xsave'],
  [CR4_SMEP, 'smep'],
  [CR4_SMAP, 'smap'],
  [CR4_PKE, 'pku'],
]

/** Bits whose change reloads the PDPTEs and drops all translations. */
const CR0_PAGING = CR0_PG | CR0_CD | CR0_NW
const CR4_PAGING = CR4_PAE | CR4_PGE | CR4_PSE | CR4_SMEP
const CR0_WP = 1 << 16

export function cr4Defined(cpu: Cpu): number {
  let defined = 0
  for (const [bit, feature] of CR4_BY_FEATURE) if (feature === 'base' || cpu.hasFeature(feature)) defined |= bit
  return defined
}

/**
 * PAE paging reads its four entries when CR3 is loaded. Only their reserved bits are checked here; the page walker reads them
 * from memory. Under EPT the table is at a guest-physical address, and the walk reports them.
 */
function checkPdptes(cpu: Cpu, cr0: number, cr4: number, cr3: bigint): void {
  if ((cr0 & CR0_PG) === 0 || (cr4 & CR4_PAE) === 0 || isLong(cpu) || cpu.nonRoot?.ept) return
  const { mem } = cpu
  const table = Number(cr3 & 0xffff_ffe0n)
  const reservedHigh = ~((1 << (physicalAddressBits(cpu) - 32)) - 1)
  for (let at = table; at < table + 32; at += 8) {
    if (at + 8 > mem.physSize) continue
    const low = mem.u32[(mem.physBase + at) >> 2]!
    const high = mem.u32[((mem.physBase + at) >> 2) + 1]!
    if ((low & 1) !== 0 && ((low & 0x1e6) !== 0 || (high & reservedHigh) !== 0)) throw gp(0)
  }
}

function physicalAddressBits(cpu: Cpu): number {
  return cpu.cpuid(0x8000_0008, 0).eax & 0xff
}

export function writeCr0(cpu: Cpu, value: bigint): void {
  const { state } = cpu
  if (value >> 32n !== 0n) throw gp(0)
  const old = cr0Of(cpu)
  const cr4 = cr4Of(cpu)
  const next = ((Number(value) & CR0_DEFINED) | CR0_ET) >>> 0
  if ((next & CR0_PG) !== 0 && (next & CR0_PE) === 0) throw gp(0)
  if ((next & CR0_NW) !== 0 && (next & CR0_CD) === 0) throw gp(0)
  let efer = eferOf(cpu)
  const isPagingToggled = ((old ^ next) & CR0_PG) !== 0
  if (isPagingToggled && (next & CR0_PG) !== 0 && (efer & EFER_LME) !== 0) {
    if ((cr4 & CR4_PAE) === 0 || (state.segAccess.get(SEG_CS) & AR_L) !== 0) throw gp(0)
    efer |= EFER_LMA
  } else if (isPagingToggled && (next & CR0_PG) === 0) {
    if (state.codeWidth === 64 || (cr4 & CR4_PCIDE) !== 0) throw gp(0)
    efer &= ~EFER_LMA
  }
  if (((old ^ next) & CR0_PAGING) !== 0 && (efer & EFER_LMA) === 0) checkPdptes(cpu, next, cr4, state.cr3)

  state.cr0 = BigInt(next)
  if (isPagingToggled) {
    state.efer = BigInt(efer)
    updateWidths(cpu)
  }
  if (((old ^ next) & (CR0_PAGING | CR0_PE | CR0_WP)) !== 0) cpu.flushTlb(true)
  cpu.modeChanged()
}

export function writeCr3(cpu: Cpu, value: bigint): void {
  const { state } = cpu
  const cr4 = cr4Of(cpu)
  let next = value
  let keeps = false
  if ((cr4 & CR4_PCIDE) !== 0 && next >= CR3_NO_FLUSH) {
    keeps = true
    next &= ~CR3_NO_FLUSH
  }
  if (next > 0xffff_ffffn && next >> BigInt(physicalAddressBits(cpu)) !== 0n) throw gp(0)
  checkPdptes(cpu, cr0Of(cpu), cr4, next)
  state.cr3 = next
  if (!keeps) cpu.flushTlb(false)
  cpu.modeChanged()
}

export function writeCr4(cpu: Cpu, value: bigint): void {
  const { state } = cpu
  const old = cr4Of(cpu)
  if (value >> 32n !== 0n) throw gp(0)
  const next = Number(value)
  const added = next & ~old
  if (added !== 0 && (added & ~cr4Defined(cpu)) !== 0) throw gp(0)
  if (isLong(cpu) && (next & CR4_PAE) === 0) throw gp(0)
  if ((added & CR4_PCIDE) !== 0 && (!isLong(cpu) || (state.cr3 & 0xfffn) !== 0n)) throw gp(0)
  const isPagingChanged = ((old ^ next) & CR4_PAGING) !== 0
  if (isPagingChanged) checkPdptes(cpu, cr0Of(cpu), next, state.cr3)
  state.cr4 = BigInt(next)
  if (isPagingChanged || ((old ^ next) & (CR4_PCIDE | CR4_SMAP | CR4_PKE)) !== 0) cpu.flushTlb(true)
  cpu.modeChanged()
}

/** TPR bits 7:4. */
export function writeCr8(cpu: Cpu, value: bigint): void {
  if (value > 0xfn) throw gp(0)
  cpu.state.cr8 = value
}

/** LMA is the processor's own. */
export function writeEfer(cpu: Cpu, value: bigint): void {
  const { state } = cpu
  const old = eferOf(cpu)
  let defined = EFER_LMA
  if (cpu.hasFeature('syscall')) defined |= EFER_SCE
  if (cpu.hasFeature('lm')) defined |= EFER_LME
  if (cpu.hasFeature('nx')) defined |= EFER_NXE
  if (value >> 32n !== 0n || (Number(value) & ~defined) !== 0) throw gp(0)
  const next = (Number(value) & ~EFER_LMA) | (old & EFER_LMA)
  if (((old ^ next) & EFER_LME) !== 0 && (cr0Of(cpu) & CR0_PG) !== 0) throw gp(0)
  state.efer = BigInt(next)
  if (((old ^ next) & EFER_NXE) !== 0) cpu.flushTlb(true)
  cpu.modeChanged()
}
