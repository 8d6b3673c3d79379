import {
  EFER_LMA,
  EFER_LME,
  EFER_NXE,
  EFER_SCE,
  IA32_APIC_BASE,
  IA32_BIOS_SIGN_ID,
  IA32_BIOS_UPDT_TRIG,
  IA32_CSTAR,
  IA32_DEBUGCTL,
  IA32_EFER,
  IA32_FEATURE_CONTROL,
  IA32_FMASK,
  IA32_FS_BASE,
  IA32_GS_BASE,
  IA32_KERNEL_GS_BASE,
  IA32_LSTAR,
  IA32_MC0_CTL,
  IA32_MCG_CAP,
  IA32_MCG_CTL,
  IA32_MCG_STATUS,
  IA32_MISC_ENABLE,
  IA32_MTRRCAP,
  IA32_MTRR_DEF_TYPE,
  IA32_MTRR_FIX16K_80000,
  IA32_MTRR_FIX16K_A0000,
  IA32_MTRR_FIX4K_C0000,
  IA32_MTRR_FIX4K_F8000,
  IA32_MTRR_FIX64K_00000,
  IA32_MTRR_PHYSBASE0,
  IA32_P5_MC_ADDR,
  IA32_P5_MC_TYPE,
  IA32_PAT,
  IA32_PLATFORM_ID,
  IA32_STAR,
  IA32_SYSENTER_CS,
  IA32_SYSENTER_EIP,
  IA32_SYSENTER_ESP,
  IA32_TIME_STAMP_COUNTER,
  IA32_TSC_ADJUST,
  IA32_TSC_AUX,
  IA32_TSC_DEADLINE,
  MISC_ENABLE_BTS_UNAVAILABLE,
  MISC_ENABLE_FAST_STRING,
  MISC_ENABLE_PEBS_UNAVAILABLE,
  guestBase,
  SEG_FS,
  SEG_GS,
  Vmcs,
  EBL_CR_POWERON,
  MSR_SMI_COUNT,
  BBL_CR_CTL3,
  MSR_PLATFORM_INFO,
} from '@guestmode/x86'
import { isPaging, setControlRegisters } from './modes/control-registers.ts'
import type { Vcpu } from './vcpu.ts'

/** One MSR of a guest. `byHost`: for the VMM, which may do what the guest may not. */
interface Msr {
  read(vcpu: Vcpu, byHost: boolean): bigint | undefined
  /** False: #GP. */
  write(vcpu: Vcpu, value: bigint, byHost: boolean): boolean
}

const LOW = 0xffff_ffffn
const isCanonical = (value: bigint): boolean => BigInt.asUintN(64, BigInt.asIntN(48, value)) === value
const isWord = (value: bigint): boolean => value >> 32n === 0n
const anything = (): boolean => true

/** The processor's own register, which nothing switches. */
function processors(index: number, check: (value: bigint) => boolean): Msr {
  return {
    read: ({ processor }) => processor.rdmsr(index),
    write({ processor }, value) {
      if (!check(value)) return false
      processor.wrmsr(index, value)
      return true
    },
  }
}

function field(encoding: number, check: (value: bigint) => boolean = anything): Msr {
  return {
    read: ({ processor }) => processor.vmread(encoding),
    write({ processor }, value) {
      if (!check(value)) return false
      processor.vmwrite(encoding, value)
      return true
    },
  }
}

function stored(index: number, initial: bigint, check: (value: bigint, vcpu: Vcpu) => boolean = anything): Msr {
  return {
    read: ({ msrs }) => msrs.get(index) ?? initial,
    write(vcpu, value) {
      if (!check(value, vcpu)) return false
      vcpu.msrs.set(index, value)
      return true
    },
  }
}

/** Reads as a constant; writes have no effect. */
const fixed = (value: bigint): Msr => ({ read: () => value, write: () => true })
const readOnly = (index: number, initial: bigint): Msr => ({
  read: ({ msrs }) => msrs.get(index) ?? initial,
  write(vcpu, value, byHost) {
    if (byHost) vcpu.msrs.set(index, value)
    return byHost
  },
})

/** [SDM3 12.12.2 "IA32_PAT MSR"]: UC WC WT WP WB UC-. */
const isPat = (value: bigint): boolean => {
  for (let shift = 0n; shift < 64n; shift += 8n) if (![0n, 1n, 4n, 5n, 6n, 7n].includes((value >> shift) & 0xffn)) return false
  return true
}

const apicBase: Msr = {
  read: (vcpu) => vcpu.apicBase,
  write(vcpu, value) {
    if ((value & (vcpu.reservedAddressBits | 0x2ffn | (0xfffn << 52n))) !== 0n) return false
    if (vcpu.lapic === undefined) {
      vcpu.userApicBase = value
      return true
    }
    if (value === vcpu.lapic.apicBase) return true
    const isAllowed = vcpu.lapic.writeApicBase(value)
    vcpu.apicBaseChanged()
    vcpu.vm.timersChanged()
    return isAllowed
  },
}

const efer: Msr = {
  read: (vcpu) => BigInt(vcpu.efer),
  write(vcpu, value, byHost) {
    const lm = vcpu.vm.hasLongMode
    const allowed = EFER_SCE | EFER_NXE | (lm ? EFER_LME | EFER_LMA : 0)
    if ((value & ~BigInt(allowed)) !== 0n) return false
    const next = Number(value)
    if (!byHost && isPaging(vcpu) && ((next ^ vcpu.efer) & EFER_LME) !== 0) return false
    // LMA is the processor's to change. [SDM3 2.2.1 "Extended Feature Enable Register"]
    setControlRegisters(vcpu, { efer: byHost ? next : (next & ~EFER_LMA) | (vcpu.efer & EFER_LMA) })
    return true
  },
}

const timeStampCounter: Msr = {
  read: (vcpu) => vcpu.tsc,
  write(vcpu, value, byHost) {
    if (!byHost) vcpu.tscAdjust = BigInt.asUintN(64, vcpu.tscAdjust + value - vcpu.tsc)
    vcpu.setTsc(value)
    vcpu.vm.timersChanged()
    return true
  },
}

/** [SDM3 18.17.3 "Time-Stamp Counter Adjustment"] */
const tscAdjust: Msr = {
  read: (vcpu) => vcpu.tscAdjust,
  write(vcpu, value, byHost) {
    const change = value - vcpu.tscAdjust
    vcpu.tscAdjust = value
    // A VMM that restores a snapshot sets the counter itself.
    if (byHost || change === 0n) return true
    vcpu.setTsc(BigInt.asUintN(64, vcpu.tsc + change))
    vcpu.vm.timersChanged()
    return true
  },
}

const tscDeadline: Msr = {
  read: ({ lapic }) => lapic?.tscDeadline ?? 0n,
  write({ lapic, vm }, value) {
    if (lapic !== undefined) lapic.tscDeadline = value
    vm.timersChanged()
    return true
  },
}

const VARIABLE_MTRRS = 8
const MC_BANKS = 32

function mtrrs(): [number, Msr][] {
  const indices: number[] = [IA32_MTRR_DEF_TYPE, IA32_MTRR_FIX64K_00000, IA32_MTRR_FIX16K_80000, IA32_MTRR_FIX16K_A0000]
  for (let i = 0; i < 2 * VARIABLE_MTRRS; i++) indices.push(IA32_MTRR_PHYSBASE0 + i)
  for (let i = IA32_MTRR_FIX4K_C0000; i <= IA32_MTRR_FIX4K_F8000; i++) indices.push(i)
  return indices.map((index) => [index, stored(index, 0n)])
}

function machineChecks(): [number, Msr][] {
  const banks = (vcpu: Vcpu): number => Number((vcpu.msrs.get(IA32_MCG_CAP) ?? 0n) & 0xffn)
  return Array.from({ length: 4 * MC_BANKS }, (_, i) => {
    const index = IA32_MC0_CTL + i
    const isThere = (_value: bigint, vcpu: Vcpu): boolean => i >> 2 < banks(vcpu)
    const register = stored(index, (i & 3) === 0 ? 0xffff_ffff_ffff_ffffn : 0n, isThere)
    return [index, { ...register, read: (vcpu, byHost) => (isThere(0n, vcpu) ? register.read(vcpu, byHost) : undefined) }]
  })
}

const MISC_ENABLE = BigInt(MISC_ENABLE_FAST_STRING | MISC_ENABLE_BTS_UNAVAILABLE | MISC_ENABLE_PEBS_UNAVAILABLE)

/** Whether leaf 1 or 0x80000001 announces long mode's registers is the VMM's affair; whether they are there is the processor's. */
const msrs = new Map<number, Msr>([
  [IA32_P5_MC_ADDR, fixed(0n)],
  [IA32_P5_MC_TYPE, fixed(0n)],
  [IA32_TIME_STAMP_COUNTER, timeStampCounter],
  [IA32_TSC_ADJUST, tscAdjust],
  [IA32_PLATFORM_ID, fixed(0n)],
  [IA32_APIC_BASE, apicBase],
  [EBL_CR_POWERON, fixed(0n)],
  [MSR_SMI_COUNT, readOnly(MSR_SMI_COUNT, 0n)],
  [IA32_FEATURE_CONTROL, stored(IA32_FEATURE_CONTROL, 1n)],
  [IA32_BIOS_UPDT_TRIG, fixed(0n)],
  [IA32_BIOS_SIGN_ID, { ...readOnly(IA32_BIOS_SIGN_ID, 0x1_0000_0000n), write: () => true }],
  [MSR_PLATFORM_INFO, readOnly(MSR_PLATFORM_INFO, 1n << 31n)],
  [IA32_MTRRCAP, readOnly(IA32_MTRRCAP, BigInt(VARIABLE_MTRRS | 0x500))],
  [BBL_CR_CTL3, fixed(0xbe70_2111n)],
  [IA32_SYSENTER_CS, field(Vmcs.GUEST_SYSENTER_CS, isWord)],
  [IA32_SYSENTER_ESP, field(Vmcs.GUEST_SYSENTER_ESP, isCanonical)],
  [IA32_SYSENTER_EIP, field(Vmcs.GUEST_SYSENTER_EIP, isCanonical)],
  [IA32_MCG_CAP, readOnly(IA32_MCG_CAP, 0n)],
  [IA32_MCG_STATUS, stored(IA32_MCG_STATUS, 0n)],
  [IA32_MCG_CTL, stored(IA32_MCG_CTL, 0n)],
  [IA32_MISC_ENABLE, stored(IA32_MISC_ENABLE, MISC_ENABLE)],
  [IA32_DEBUGCTL, field(Vmcs.GUEST_IA32_DEBUGCTL, (value) => (value & ~3n) === 0n)],
  [IA32_PAT, field(Vmcs.GUEST_IA32_PAT, isPat)],
  [IA32_TSC_DEADLINE, tscDeadline],
  [IA32_EFER, efer],
  [IA32_STAR, processors(IA32_STAR, anything)],
  [IA32_LSTAR, processors(IA32_LSTAR, isCanonical)],
  [IA32_CSTAR, processors(IA32_CSTAR, isCanonical)],
  [IA32_FMASK, processors(IA32_FMASK, isWord)],
  [IA32_FS_BASE, field(guestBase(SEG_FS), isCanonical)],
  [IA32_GS_BASE, field(guestBase(SEG_GS), isCanonical)],
  [IA32_KERNEL_GS_BASE, processors(IA32_KERNEL_GS_BASE, isCanonical)],
  [IA32_TSC_AUX, processors(IA32_TSC_AUX, isWord)],
  ...mtrrs(),
  ...machineChecks(),
])

const LONG_MODE_ONLY = new Set([IA32_LSTAR, IA32_CSTAR, IA32_FMASK, IA32_STAR, IA32_FS_BASE, IA32_GS_BASE, IA32_KERNEL_GS_BASE])
const X2APIC_FIRST = 0x800
const X2APIC_LAST = 0x8ff

const isX2apic = (index: number): boolean => index >= X2APIC_FIRST && index <= X2APIC_LAST

function find(vcpu: Vcpu, index: number): Msr | undefined {
  return LONG_MODE_ONLY.has(index) && !vcpu.vm.hasLongMode ? undefined : msrs.get(index)
}

/** Whether there is such an MSR at all. */
export function isKnownMsr(vcpu: Vcpu, index: number): boolean {
  return isX2apic(index) || find(vcpu, index) !== undefined
}

/** Undefined: #GP. */
export function readMsr(vcpu: Vcpu, index: number, byHost: boolean): bigint | undefined {
  if (isX2apic(index)) return vcpu.lapic?.readMsr(index)
  return find(vcpu, index)?.read(vcpu, byHost)
}

/** False: #GP. */
export function writeMsr(vcpu: Vcpu, index: number, value: bigint, byHost: boolean): boolean {
  if (isX2apic(index)) {
    if (vcpu.lapic === undefined || !vcpu.lapic.writeMsr(index, value)) return false
    // EOI and TPR come with every interrupt, and don't touch the timer.
    if (index !== 0x80b && index !== 0x808) vcpu.vm.timersChanged()
    return true
  }
  return find(vcpu, index)?.write(vcpu, value, byHost) ?? false
}

/** KVM_GET_MSR_INDEX_LIST: what a snapshot carries. */
export function savedMsrs(hasLongMode: boolean): number[] {
  const skipped = new Set([
    IA32_P5_MC_ADDR,
    IA32_P5_MC_TYPE,
    IA32_PLATFORM_ID,
    EBL_CR_POWERON,
    IA32_BIOS_UPDT_TRIG,
    BBL_CR_CTL3,
    IA32_MTRRCAP,
    IA32_APIC_BASE,
  ])
  return [...msrs.keys()].filter(
    (index) =>
      !skipped.has(index) &&
      !(index >= IA32_MC0_CTL && index < IA32_MC0_CTL + 4 * MC_BANKS) &&
      (hasLongMode || !LONG_MODE_ONLY.has(index)),
  )
}

export const lowWord = (value: bigint): number => Number(value & LOW)
export { MC_BANKS }
