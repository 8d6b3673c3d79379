import {
  CR0_CD,
  CR0_DEFINED,
  CR0_ET,
  CR0_NW,
  CR0_PE,
  CR0_PG,
  CR0_TS,
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
  CR4_PSE,
  CR4_PVI,
  CR4_SMAP,
  CR4_SMEP,
  CR4_TSD,
  CR4_UMIP,
  CR4_VME,
  EFER_LMA,
  EFER_LME,
  AR_L,
  guestAccess,
  SEG_CS,
  Vmcs,
} from '@guestmode/x86'
import { KVM_EXIT_SET_TPR } from '@guestmode/kvm-abi'
import { queueGp } from '../events/exceptions.ts'
import { skipInstruction, skipOnCompletion } from '../instruction.ts'
import { isLongMode, isPaePaging, readCr0, readCr3, readCr4, setControlRegisters } from '../modes/control-registers.ts'
import { loadPdptes } from '../modes/paging.ts'
import type { Vcpu } from '../vcpu.ts'
import { flushGuestTranslations } from '../vmcs/translations.ts'

const RSP = 4
const MOV_TO = 0
const MOV_FROM = 1
const CLTS = 2
const LMSW_BITS = 0xf

/** Exit qualification for control-register accesses. [SDM3 Table 28-3] */
export function handleCr(vcpu: Vcpu): boolean {
  const qualification = vcpu.processor.vmread32(Vmcs.EXIT_QUALIFICATION)
  const cr = qualification & 15
  const gpr = (qualification >> 8) & 15
  switch ((qualification >> 4) & 3) {
    case MOV_TO:
      return moveTo(vcpu, cr, readGpr(vcpu, gpr))
    case MOV_FROM:
      return moveFrom(vcpu, cr, gpr)
    case CLTS:
      return done(vcpu, writeCr0(vcpu, readCr0(vcpu) & ~CR0_TS))
    default: {
      // LMSW sets PE but does not clear it. [SDM2 "LMSW—Load Machine Status Word"]
      const old = readCr0(vcpu)
      return done(vcpu, writeCr0(vcpu, (old & ~(LMSW_BITS & ~CR0_PE)) | ((qualification >>> 16) & LMSW_BITS)))
    }
  }
}

function readGpr(vcpu: Vcpu, gpr: number): bigint {
  const { processor } = vcpu
  const value = gpr === RSP ? processor.vmread(Vmcs.GUEST_RSP) : processor.registers.gpr(gpr)
  return isLongMode(vcpu) ? value : value & 0xffff_ffffn
}

const done = (vcpu: Vcpu, isAllowed: boolean): boolean => {
  if (isAllowed) return skipInstruction(vcpu)
  queueGp(vcpu)
  return true
}

function moveTo(vcpu: Vcpu, cr: number, value: bigint): boolean {
  vcpu.vm.trace?.({ name: 'kvm_cr', rw: 'write', cr, val: value })
  switch (cr) {
    case 0:
      return done(vcpu, value >> 32n === 0n && writeCr0(vcpu, Number(value)))
    case 3:
      return done(vcpu, writeCr3(vcpu, value))
    case 4:
      return done(vcpu, value >> 32n === 0n && writeCr4(vcpu, Number(value)))
    default:
      return writeCr8(vcpu, value)
  }
}

function moveFrom(vcpu: Vcpu, cr: number, gpr: number): boolean {
  const value = cr === 8 ? BigInt(vcpu.cr8) : readCr3(vcpu)
  vcpu.vm.trace?.({ name: 'kvm_cr', rw: 'read', cr, val: value })
  if (gpr === RSP) vcpu.processor.vmwrite(Vmcs.GUEST_RSP, value)
  else vcpu.processor.registers.setGpr(gpr, value)
  return skipInstruction(vcpu)
}

/** False: #GP. [SDM2 "MOV—Move to/from Control Registers", Protected Mode Exceptions] */
export function writeCr0(vcpu: Vcpu, wanted: number): boolean {
  const cr0 = ((wanted & CR0_DEFINED) | CR0_ET) >>> 0
  if ((cr0 & CR0_PG) !== 0 && (cr0 & CR0_PE) === 0) return false
  if ((cr0 & CR0_NW) !== 0 && (cr0 & CR0_CD) === 0) return false
  const old = readCr0(vcpu)
  const turnsPagingOn = (cr0 & ~old & CR0_PG) !== 0
  const cr4 = readCr4(vcpu)
  if ((cr0 & CR0_PG) === 0 && (cr4 & CR4_PCIDE) !== 0) return false
  if (turnsPagingOn) {
    if ((vcpu.efer & EFER_LME) !== 0) {
      if ((cr4 & CR4_PAE) === 0 || (vcpu.processor.vmread32(guestAccess(SEG_CS)) & AR_L) !== 0) return false
    } else if ((cr4 & CR4_PAE) !== 0 && !loadPdptes(vcpu, readCr3(vcpu))) return false
  }
  // In 64-bit code paging cannot go off: CS.L with paging off is no mode.
  if ((old & ~cr0 & CR0_PG) !== 0 && isLongMode(vcpu) && (vcpu.processor.vmread32(guestAccess(SEG_CS)) & AR_L) !== 0) return false
  setControlRegisters(vcpu, { cr0 })
  return true
}

function writeCr3(vcpu: Vcpu, value: bigint): boolean {
  const isLong = isLongMode(vcpu)
  const cr3 = isLong ? value & ~CR3_NO_FLUSH : value
  if (isLong && (cr3 & (vcpu.reservedAddressBits | (0xfffn << 52n))) !== 0n) return false
  if (isPaePaging(vcpu) && !loadPdptes(vcpu, cr3)) return false
  if (vcpu.mmu === vcpu.nested) vcpu.processor.vmwrite(Vmcs.GUEST_CR3, cr3)
  else vcpu.shadowedCr3 = cr3
  flushGuestTranslations(vcpu)
  vcpu.mmu.cr3Loaded()
  return true
}

/** Bits that the processor of this machine has; its own check has refused the others before the exit, unless the VMM hides them. */
const CR4_KNOWN =
  CR4_VME |
  CR4_PVI |
  CR4_TSD |
  CR4_DE |
  CR4_PSE |
  CR4_PAE |
  CR4_MCE |
  CR4_PGE |
  CR4_PCE |
  CR4_OSFXSR |
  CR4_OSXMMEXCPT |
  CR4_UMIP |
  CR4_FSGSBASE |
  CR4_PCIDE |
  CR4_OSXSAVE |
  CR4_SMEP |
  CR4_SMAP

/** A feature and the bit of CR4 that turns it on. */
const CR4_FEATURES = [
  [CR4_OSXSAVE, 'xsave'],
  [CR4_SMEP, 'smep'],
  [CR4_SMAP, 'smap'],
  [CR4_FSGSBASE, 'fsgsbase'],
  [CR4_PCIDE, 'pcid'],
  [CR4_UMIP, 'umip'],
] as const

export function isValidCr4(vcpu: Vcpu, cr4: number): boolean {
  if ((cr4 & ~CR4_KNOWN) !== 0) return false
  return CR4_FEATURES.every(([bit, feature]) => (cr4 & bit) === 0 || vcpu.cpuid.has(feature))
}

export function writeCr4(vcpu: Vcpu, cr4: number): boolean {
  const old = readCr4(vcpu)
  if (!isValidCr4(vcpu, cr4)) return false
  if ((vcpu.efer & EFER_LMA) !== 0) {
    if ((cr4 & CR4_PAE) === 0) return false
  } else {
    if ((cr4 & CR4_PCIDE) !== 0) return false
    const reloads = (old ^ cr4) & (CR4_PAE | CR4_PGE | CR4_PSE | CR4_SMEP)
    const isPae = (cr4 & CR4_PAE) !== 0 && (readCr0(vcpu) & CR0_PG) !== 0
    if (isPae && reloads !== 0 && !loadPdptes(vcpu, readCr3(vcpu))) return false
  }
  setControlRegisters(vcpu, { cr4 })
  return true
}

function writeCr8(vcpu: Vcpu, value: bigint): boolean {
  if (value > 15n) return done(vcpu, false)
  const old = vcpu.cr8
  vcpu.cr8 = Number(value)
  // The VMM's APIC only has something to do when more interrupts may come through.
  if (vcpu.lapic !== undefined || old <= vcpu.cr8) return skipInstruction(vcpu)
  vcpu.completion = skipOnCompletion(vcpu)
  vcpu.run.exitReason = KVM_EXIT_SET_TPR
  return false
}
