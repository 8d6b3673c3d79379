import {
  AR_TYPE,
  CPU_CR3_LOAD_EXITING,
  CPU_CR3_STORE_EXITING,
  CPU_INVLPG_EXITING,
  CR0_CD,
  CR0_NE,
  CR0_NW,
  CR0_PE,
  CR0_PG,
  CR0_TS,
  CR0_WP,
  CR4_DE,
  CR4_FSGSBASE,
  CR4_OSFXSR,
  CR4_OSXMMEXCPT,
  CR4_PAE,
  CR4_PCE,
  CR4_PCIDE,
  CR4_PGE,
  CR4_PVI,
  CR4_TSD,
  CR4_VMXE,
  EFER_LMA,
  EFER_LME,
  ENTRY_IA32E_MODE_GUEST,
  Exception,
  guestAccess,
  SEG_TR,
  SECONDARY_EPT,
  SECONDARY_UNRESTRICTED_GUEST,
  TYPE_TSS_BUSY,
  Vmcs,
} from '@guestmode/x86'
import type { Vcpu } from '../vcpu.ts'
import { flushGuestTranslations } from '../vmcs/translations.ts'

/** Bits that the guest changes without an exit. WP and PGE mean something to shadow tables, so only EPT gives them away. */
const CR0_GUEST_OWNED = CR0_TS
const CR4_GUEST_OWNED = CR4_PVI | CR4_TSD | CR4_DE | CR4_PCE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_FSGSBASE

const isShadowing = (vcpu: Vcpu): boolean => vcpu.mmu !== vcpu.nested
const cr0Mask = (vcpu: Vcpu): number => ~(isShadowing(vcpu) ? CR0_GUEST_OWNED : CR0_GUEST_OWNED | CR0_WP) >>> 0
const cr4Mask = (vcpu: Vcpu): number => ~(isShadowing(vcpu) ? CR4_GUEST_OWNED : CR4_GUEST_OWNED | CR4_PGE) >>> 0

/** Control registers as the guest sees them. */
export function readCr0(vcpu: Vcpu): number {
  const mask = cr0Mask(vcpu)
  return ((vcpu.processor.vmread32(Vmcs.GUEST_CR0) & ~mask) | (vcpu.cr0Shadow & mask)) >>> 0
}

export function readCr3(vcpu: Vcpu): bigint {
  return isShadowing(vcpu) ? vcpu.shadowedCr3 : vcpu.processor.vmread(Vmcs.GUEST_CR3)
}

export function readCr4(vcpu: Vcpu): number {
  const mask = cr4Mask(vcpu)
  return ((vcpu.processor.vmread32(Vmcs.GUEST_CR4) & ~mask) | (vcpu.cr4Shadow & mask)) >>> 0
}

export const isPaging = (vcpu: Vcpu): boolean => (vcpu.cr0Shadow & CR0_PG) !== 0
export const isProtected = (vcpu: Vcpu): boolean => (vcpu.cr0Shadow & CR0_PE) !== 0
export const isLongMode = (vcpu: Vcpu): boolean => (vcpu.efer & EFER_LMA) !== 0
export const isPaePaging = (vcpu: Vcpu): boolean => isPaging(vcpu) && (vcpu.cr4Shadow & CR4_PAE) !== 0 && !isLongMode(vcpu)

/**
 * The values that the processor works with: bits that VMX operation fixes, and those that shadow tables need. The processor caches
 * pages as it likes, so CD and NW are the guest's fancy.
 */
function writeRealRegisters(vcpu: Vcpu, cr0: number, cr4: number): void {
  const { processor } = vcpu
  const forced = isShadowing(vcpu) ? CR0_NE | CR0_WP : CR0_NE
  processor.vmwrite32(Vmcs.GUEST_CR0, ((cr0 & ~(CR0_CD | CR0_NW)) | forced) >>> 0)
  processor.vmwrite32(Vmcs.CR0_READ_SHADOW, cr0)
  processor.vmwrite32(
    Vmcs.GUEST_CR4,
    isShadowing(vcpu) ? ((cr4 & ~CR4_PCIDE) | CR4_VMXE | CR4_PAE) >>> 0 : (cr4 | CR4_VMXE) >>> 0,
  )
  processor.vmwrite32(Vmcs.CR4_READ_SHADOW, cr4)
  vcpu.cr0Shadow = cr0
  vcpu.cr4Shadow = cr4
}

/** Sets CR0, CR3, CR4 and EFER together; the combination has been found allowed. LMA follows from the others. */
export function setControlRegisters(vcpu: Vcpu, next: { cr0?: number; cr3?: bigint; cr4?: number; efer?: number }): void {
  const cr0 = next.cr0 ?? readCr0(vcpu)
  const cr4 = next.cr4 ?? readCr4(vcpu)
  const cr3 = next.cr3 ?? readCr3(vcpu)
  const wanted = next.efer ?? vcpu.efer
  const isLong = (cr0 & CR0_PG) !== 0 && (wanted & EFER_LME) !== 0
  const efer = (isLong ? wanted | EFER_LMA : wanted & ~EFER_LMA) >>> 0

  selectMmu(vcpu, (cr0 & CR0_PG) !== 0)
  writeRealRegisters(vcpu, cr0, cr4)
  vcpu.efer = efer
  writeEfer(vcpu)
  if (isShadowing(vcpu)) vcpu.shadowedCr3 = cr3
  else vcpu.processor.vmwrite(Vmcs.GUEST_CR3, cr3)
  vcpu.mmu.load()
  vcpu.mmu.flush()
  flushGuestTranslations(vcpu)
}

function writeEfer(vcpu: Vcpu): void {
  const { processor, controls, efer } = vcpu
  const isLong = (efer & EFER_LMA) !== 0
  if (controls.hasLoadEfer) processor.vmwrite32(Vmcs.GUEST_IA32_EFER, efer)
  controls.setEntry(ENTRY_IA32E_MODE_GUEST, isLong)
  // A guest turns long mode on with the TSS of its 32-bit days; VM entry wants a 64-bit one. [SDM3 27.3.1.2 "Checks on Guest Segment Registers"]
  if (!isLong) return
  const access = processor.vmread32(guestAccess(SEG_TR))
  if ((access & AR_TYPE) !== TYPE_TSS_BUSY) processor.vmwrite32(guestAccess(SEG_TR), (access & ~AR_TYPE) | TYPE_TSS_BUSY)
}

/**
 * Shadow tables serve a guest with paging on. Without paging the processor runs it as an unrestricted guest, which only EPT allows.
 */
function selectMmu(vcpu: Vcpu, paging: boolean): void {
  const mmu = vcpu.shadow !== undefined && paging ? vcpu.shadow : vcpu.nested
  if (mmu === vcpu.mmu) return
  vcpu.mmu.unload()
  vcpu.mmu = mmu
  writeMmuControls(vcpu)
}

function writeMmuControls(vcpu: Vcpu): void {
  const { controls, processor } = vcpu
  const shadowing = isShadowing(vcpu)
  controls.setSecondary(SECONDARY_EPT | SECONDARY_UNRESTRICTED_GUEST, !shadowing)
  controls.setCpu(CPU_CR3_LOAD_EXITING | CPU_CR3_STORE_EXITING | CPU_INVLPG_EXITING, shadowing)
  controls.setException(Exception.PF, shadowing)
  processor.vmwrite32(Vmcs.CR0_GUEST_HOST_MASK, cr0Mask(vcpu))
  processor.vmwrite32(Vmcs.CR4_GUEST_HOST_MASK, cr4Mask(vcpu))
}

export function resetControlRegisters(vcpu: Vcpu, cr0: number): void {
  vcpu.mmu.unload()
  vcpu.mmu = vcpu.nested
  vcpu.efer = 0
  vcpu.cr4Shadow = 0
  vcpu.cr0Shadow = cr0
  writeMmuControls(vcpu)
  setControlRegisters(vcpu, { cr0, cr3: 0n, cr4: 0, efer: 0 })
}
