import * as x86 from '@guestmode/x86'
import type { VmxOptions } from './host.ts'
import { VMCS_REVISION, vmcsRegion } from './vmcs-layout.ts'

/** What a group of controls may be: bits that must be 1, bits that may be 1. */
export interface AllowedControls {
  readonly required: number
  readonly allowed: number
}

/** [SDM3 Appendix A "VMX Capability Reporting Facility"] */
export interface VmxCapabilities {
  readonly pin: AllowedControls
  readonly cpu: AllowedControls
  readonly secondary: AllowedControls
  readonly exit: AllowedControls
  readonly entry: AllowedControls
  readonly longMode: boolean
  readonly physicalAddressBits: number
  readonly cr0Fixed0: number
  readonly cr4Fixed0: number
  readonly cr4Fixed1: number
  /** IA32_VMX_* by index, undefined for one that does not exist. */
  msr(index: number): bigint | undefined
}

/** Bits of the default1 class; those in the second number may be 0 by the TRUE capability MSRs. [SDM3 A.2 "Reserved Controls and Default Settings"] */
const default1 = {
  pin: [0x16, 0],
  cpu: [0x0401_e172, x86.CPU_CR3_LOAD_EXITING | x86.CPU_CR3_STORE_EXITING],
  exit: [0x0003_6dff, x86.EXIT_SAVE_DEBUG_CONTROLS],
  entry: [0x0000_11ff, x86.ENTRY_LOAD_DEBUG_CONTROLS],
} as const

/** The host's interrupts must not go to guests: there is no host IDT to fall back on. */
const pinRequired = x86.PIN_EXTERNAL_INTERRUPT_EXITING
const pin = x86.PIN_EXTERNAL_INTERRUPT_EXITING | x86.PIN_NMI_EXITING | x86.PIN_VIRTUAL_NMIS | x86.PIN_PREEMPTION_TIMER

const cpu =
  x86.CPU_INTERRUPT_WINDOW_EXITING |
  x86.CPU_USE_TSC_OFFSETTING |
  x86.CPU_HLT_EXITING |
  x86.CPU_INVLPG_EXITING |
  x86.CPU_MWAIT_EXITING |
  x86.CPU_RDPMC_EXITING |
  x86.CPU_RDTSC_EXITING |
  x86.CPU_CR8_LOAD_EXITING |
  x86.CPU_CR8_STORE_EXITING |
  x86.CPU_USE_TPR_SHADOW |
  x86.CPU_NMI_WINDOW_EXITING |
  x86.CPU_MOV_DR_EXITING |
  x86.CPU_UNCONDITIONAL_IO_EXITING |
  x86.CPU_USE_IO_BITMAPS |
  x86.CPU_MONITOR_TRAP_FLAG |
  x86.CPU_USE_MSR_BITMAPS |
  x86.CPU_MONITOR_EXITING |
  x86.CPU_PAUSE_EXITING |
  x86.CPU_ACTIVATE_SECONDARY

const secondary =
  x86.SECONDARY_EPT |
  x86.SECONDARY_DESCRIPTOR_TABLE_EXITING |
  x86.SECONDARY_RDTSCP |
  x86.SECONDARY_VPID |
  x86.SECONDARY_WBINVD_EXITING |
  x86.SECONDARY_UNRESTRICTED_GUEST |
  x86.SECONDARY_RDRAND_EXITING |
  x86.SECONDARY_INVPCID |
  x86.SECONDARY_RDSEED_EXITING

const exit =
  x86.EXIT_SAVE_DEBUG_CONTROLS |
  x86.EXIT_ACK_INTERRUPT |
  x86.EXIT_SAVE_PAT |
  x86.EXIT_LOAD_PAT |
  x86.EXIT_SAVE_EFER |
  x86.EXIT_LOAD_EFER |
  x86.EXIT_SAVE_PREEMPTION_TIMER

const entry = x86.ENTRY_LOAD_DEBUG_CONTROLS | x86.ENTRY_LOAD_PAT | x86.ENTRY_LOAD_EFER

/** Ticks of the preemption timer are time-stamp counter ticks shifted right by this. */
export const preemptionTimerShift = 5

const cr4Supported =
  0x7ff | x86.CR4_UMIP | x86.CR4_VMXE | x86.CR4_FSGSBASE | x86.CR4_PCIDE | x86.CR4_OSXSAVE | x86.CR4_SMEP | x86.CR4_SMAP

const ones = 0xffff_ffff
const pack = (low: number, high: number): bigint => (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0)

export function vmxCapabilities(options: VmxOptions = {}): VmxCapabilities {
  const longMode = options.longMode ?? true
  const physicalAddressBits = options.physicalAddressBits ?? (longMode ? 40 : 36)
  const group = (required: number, allowed: number): AllowedControls => ({
    required: required >>> 0,
    allowed: (required | allowed) >>> 0,
  })
  const relaxed = ([fixed, flexible]: readonly [number, number], allowed: number): AllowedControls =>
    group(fixed & ~flexible, fixed | allowed)

  const groups = {
    pin: group(default1.pin[0] | pinRequired, pin),
    cpu: relaxed(default1.cpu, cpu),
    secondary: group(0, secondary),
    exit: relaxed(default1.exit, exit | (longMode ? x86.EXIT_HOST_ADDRESS_SPACE_SIZE : 0)),
    entry: relaxed(default1.entry, entry | (longMode ? x86.ENTRY_IA32E_MODE_GUEST : 0)),
  }
  const cr0Fixed0 = x86.CR0_PE | x86.CR0_NE | x86.CR0_PG
  const strict = (allowed: AllowedControls, fixed: number): bigint => pack(allowed.required | fixed, allowed.allowed)
  const relaxedMsr = (allowed: AllowedControls): bigint => pack(allowed.required, allowed.allowed)

  // Write-back VMCS, INS and OUTS report instruction information, TRUE capability MSRs exist.
  const basicHigh = vmcsRegion.bytes | (longMode ? 0 : 1 << 16) | (x86.MEMORY_TYPE_WB << 18) | (1 << 22) | (1 << 23)
  // Stores EFER.LMA on exits; HLT and shutdown states; 4 CR3 targets; events of length 0 may be injected.
  const misc = preemptionTimerShift | (1 << 5) | (1 << 6) | (1 << 7) | (4 << 16) | (1 << 30)
  // Execute-only, 4 levels, UC, WB, 2 MiB, 1 GiB, INVEPT (both types), accessed and dirty flags.
  const ept = 1 | (1 << 6) | (1 << 8) | (1 << 14) | (1 << 16) | (1 << 17) | (1 << 20) | (1 << 21) | (1 << 25) | (1 << 26)
  const vpid = 1 | (0xf << 8)

  const msrs = new Map<number, bigint>([
    [x86.IA32_VMX_BASIC, pack(VMCS_REVISION, basicHigh)],
    [x86.IA32_VMX_PINBASED_CTLS, strict(groups.pin, default1.pin[0])],
    [x86.IA32_VMX_PROCBASED_CTLS, strict(groups.cpu, default1.cpu[0])],
    [x86.IA32_VMX_EXIT_CTLS, strict(groups.exit, default1.exit[0])],
    [x86.IA32_VMX_ENTRY_CTLS, strict(groups.entry, default1.entry[0])],
    [x86.IA32_VMX_MISC, pack(misc, 0)],
    [x86.IA32_VMX_CR0_FIXED0, pack(cr0Fixed0, 0)],
    [x86.IA32_VMX_CR0_FIXED1, pack(ones, 0)],
    [x86.IA32_VMX_CR4_FIXED0, pack(x86.CR4_VMXE, 0)],
    [x86.IA32_VMX_CR4_FIXED1, pack(cr4Supported, 0)],
    [x86.IA32_VMX_VMCS_ENUM, pack(0x2e, 0)],
    [x86.IA32_VMX_PROCBASED_CTLS2, relaxedMsr(groups.secondary)],
    [x86.IA32_VMX_EPT_VPID_CAP, pack(ept, vpid)],
    [x86.IA32_VMX_TRUE_PINBASED_CTLS, relaxedMsr(groups.pin)],
    [x86.IA32_VMX_TRUE_PROCBASED_CTLS, relaxedMsr(groups.cpu)],
    [x86.IA32_VMX_TRUE_EXIT_CTLS, relaxedMsr(groups.exit)],
    [x86.IA32_VMX_TRUE_ENTRY_CTLS, relaxedMsr(groups.entry)],
  ])
  return {
    ...groups,
    longMode,
    physicalAddressBits,
    cr0Fixed0: cr0Fixed0 >>> 0,
    cr4Fixed0: x86.CR4_VMXE,
    cr4Fixed1: cr4Supported,
    msr: (index) => msrs.get(index),
  }
}
