import {
  APIC_BASE_BSP,
  APIC_BASE_ENABLE,
  APIC_BASE_EXTD,
  BBL_CR_CTL3,
  DEBUGCTL_BTF,
  DEBUGCTL_LBR,
  EBL_CR_POWERON,
  FEATURE_CONTROL_LOCKED,
  FEATURE_CONTROL_VMX_OUTSIDE_SMX,
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
  IA32_MCG_CAP,
  IA32_MCG_STATUS,
  IA32_MISC_ENABLE,
  IA32_MTRR_DEF_TYPE,
  IA32_MTRR_FIX16K_80000,
  IA32_MTRR_FIX16K_A0000,
  IA32_MTRR_FIX4K_C0000,
  IA32_MTRR_FIX4K_F8000,
  IA32_MTRR_FIX64K_00000,
  IA32_MTRR_PHYSBASE0,
  IA32_MTRRCAP,
  IA32_P5_MC_ADDR,
  IA32_P5_MC_TYPE,
  IA32_PAT,
  IA32_PLATFORM_ID,
  IA32_STAR,
  IA32_SYSENTER_CS,
  IA32_SYSENTER_EIP,
  IA32_SYSENTER_ESP,
  IA32_TIME_STAMP_COUNTER,
  IA32_TSC_AUX,
  SEG_FS,
  SEG_GS,
  type CpuidFeature,
} from '@guestmode/x86'
import type { Cpu, Microcode } from '../cpu/cpu.ts'
import { writeEfer } from './control-registers.ts'
import { gp } from './faults.ts'
import { isCanonical, requireCpl0 } from './mode.ts'
import { storedMsr, storeMsr, timeStampCounter } from './msr-bank.ts'
import { edxEax, gpr32, setEdxEax } from './words.ts'

/** Model-specific registers; an unknown one is #GP(0). [SDM4 2.1 "Architectural MSRs"] */

interface Register {
  readonly feature?: CpuidFeature
  read(cpu: Cpu): bigint
  /** Absent: read-only. */
  write?(cpu: Cpu, value: bigint): void
}

type Check = (value: bigint, cpu: Cpu) => boolean

function stored(index: number, initial: bigint, check: Check, feature?: CpuidFeature): Register {
  return {
    ...(feature === undefined ? {} : { feature }),
    read: (cpu) => storedMsr(cpu, index) ?? initial,
    write(cpu, value) {
      if (!check(value, cpu)) throw gp(0)
      storeMsr(cpu, index, value)
    },
  }
}

type StateField =
  | 'star'
  | 'lstar'
  | 'cstar'
  | 'sfmask'
  | 'kernelGsBase'
  | 'sysenterCs'
  | 'sysenterEsp'
  | 'sysenterEip'
  | 'tscAux'
  | 'pat'
  | 'apicBase'
  | 'debugctl'
  | 'miscEnable'

function field(name: StateField, check: Check, feature?: CpuidFeature): Register {
  return {
    ...(feature === undefined ? {} : { feature }),
    read: (cpu) => cpu.state[name],
    write(cpu, value) {
      if (!check(value, cpu)) throw gp(0)
      cpu.state[name] = value
    },
  }
}

const constant = (value: bigint): Register => ({ read: () => value })
const ignored = (value: bigint): Register => ({ read: () => value, write: () => undefined })

function segmentBase(seg: number): Register {
  return {
    feature: 'lm',
    read: (cpu) => cpu.state.segBase.get(seg),
    write(cpu, value) {
      if (!isCanonical(value)) throw gp(0)
      cpu.state.segBase.set(seg, value)
    },
  }
}

const any: Check = () => true
const word: Check = (value) => value >> 32n === 0n
const within =
  (mask: bigint): Check =>
  (value) =>
    (value & ~mask) === 0n

/** Each byte a memory type that exists: UC WC WT WP WB, and UC- in the PAT. */
const memoryTypes =
  (allowed: number): Check =>
  (value) => {
    for (let shift = 0n; shift < 64n; shift += 8n) {
      const type = Number((value >> shift) & 0xffn)
      if (type > 7 || ((allowed >>> type) & 1) === 0) return false
    }
    return true
  }
const MTRR_TYPES = 0b0111_0011
const PAT_TYPES = 0b1111_0011
const isMtrrType = (value: bigint): boolean => value < 8n && ((MTRR_TYPES >>> Number(value)) & 1) === 1

const physical = (value: bigint, cpu: Cpu): boolean => value >> BigInt(cpu.cpuid(0x8000_0008, 0).eax & 0xff) === 0n

const VARIABLE_MTRRS = 8

function mtrrs(): [number, Register][] {
  const list: [number, Register][] = [[IA32_MTRRCAP, { feature: 'mtrr', read: () => BigInt(VARIABLE_MTRRS | 0x500) }]]
  for (let n = 0; n < VARIABLE_MTRRS; n++) {
    const base = IA32_MTRR_PHYSBASE0 + 2 * n
    list.push([
      base,
      stored(base, 0n, (value, cpu) => (value & 0xf00n) === 0n && isMtrrType(value & 0xffn) && physical(value, cpu), 'mtrr'),
    ])
    list.push([base + 1, stored(base + 1, 0n, (value, cpu) => (value & 0x7ffn) === 0n && physical(value, cpu), 'mtrr')])
  }
  const fixed = [IA32_MTRR_FIX64K_00000, IA32_MTRR_FIX16K_80000, IA32_MTRR_FIX16K_A0000]
  for (let index = IA32_MTRR_FIX4K_C0000; index <= IA32_MTRR_FIX4K_F8000; index++) fixed.push(index)
  for (const index of fixed) list.push([index, stored(index, 0n, memoryTypes(MTRR_TYPES), 'mtrr')])
  const defaultType = stored(IA32_MTRR_DEF_TYPE, 0n, (value) => (value & ~0xcffn) === 0n && isMtrrType(value & 0xffn), 'mtrr')
  list.push([IA32_MTRR_DEF_TYPE, defaultType])
  return list
}

const APIC_BASE_BITS = BigInt(APIC_BASE_BSP | APIC_BASE_EXTD | APIC_BASE_ENABLE)

const registers = new Map<number, Register>([
  [IA32_P5_MC_ADDR, ignored(0n)],
  [IA32_P5_MC_TYPE, ignored(0n)],
  [
    IA32_TIME_STAMP_COUNTER,
    {
      feature: 'tsc',
      read: timeStampCounter,
      write(cpu, value) {
        storeMsr(cpu, IA32_TIME_STAMP_COUNTER, BigInt.asUintN(64, value - cpu.environment.tsc()))
      },
    },
  ],
  [IA32_PLATFORM_ID, constant(0n)],
  [EBL_CR_POWERON, ignored(0n)],
  [IA32_APIC_BASE, field('apicBase', (value, cpu) => (value & 0xfffn & ~APIC_BASE_BITS) === 0n && physical(value, cpu), 'apic')],
  [IA32_FEATURE_CONTROL, { feature: 'vmx', read: () => BigInt(FEATURE_CONTROL_LOCKED | FEATURE_CONTROL_VMX_OUTSIDE_SMX) }],
  [IA32_BIOS_UPDT_TRIG, ignored(0n)],
  [IA32_BIOS_SIGN_ID, { read: () => 1n << 32n, write: () => undefined }],
  [BBL_CR_CTL3, ignored(0n)],
  [IA32_SYSENTER_CS, field('sysenterCs', any, 'sep')],
  [IA32_SYSENTER_ESP, field('sysenterEsp', isCanonical, 'sep')],
  [IA32_SYSENTER_EIP, field('sysenterEip', isCanonical, 'sep')],
  [IA32_MCG_CAP, { feature: 'mca', read: () => 0n }],
  [IA32_MCG_STATUS, stored(IA32_MCG_STATUS, 0n, within(7n), 'mca')],
  [IA32_MISC_ENABLE, field('miscEnable', any)],
  [IA32_DEBUGCTL, field('debugctl', within(BigInt(DEBUGCTL_LBR | DEBUGCTL_BTF)))],
  [IA32_PAT, field('pat', memoryTypes(PAT_TYPES), 'pat')],
  ...mtrrs(),
  [IA32_EFER, { feature: 'nx', read: (cpu) => cpu.state.efer, write: writeEfer }],
  [IA32_STAR, field('star', any, 'syscall')],
  [IA32_LSTAR, field('lstar', isCanonical, 'lm')],
  [IA32_CSTAR, field('cstar', isCanonical, 'lm')],
  [IA32_FMASK, field('sfmask', word, 'lm')],
  [IA32_FS_BASE, segmentBase(SEG_FS)],
  [IA32_GS_BASE, segmentBase(SEG_GS)],
  [IA32_KERNEL_GS_BASE, field('kernelGsBase', isCanonical, 'lm')],
  [IA32_TSC_AUX, field('tscAux', word, 'rdtscp')],
])

function registerOf(cpu: Cpu, index: number): Register {
  const register = registers.get(index)
  if (register === undefined || (register.feature !== undefined && !cpu.hasFeature(register.feature))) throw gp(0)
  return register
}

/** The registers by themselves, without privilege and intercepts. */
export function readMsr(cpu: Cpu, index: number): bigint {
  return registerOf(cpu, index).read(cpu)
}

export function writeMsr(cpu: Cpu, index: number, value: bigint): void {
  const register = registerOf(cpu, index)
  if (register.write === undefined) throw gp(0)
  register.write(cpu, value)
}

const RDMSR: Microcode = (cpu) => {
  requireCpl0(cpu)
  const index = gpr32(cpu, 1)
  cpu.nonRoot?.readMsr(index)
  setEdxEax(cpu, readMsr(cpu, index))
}

const WRMSR: Microcode = (cpu) => {
  requireCpl0(cpu)
  const index = gpr32(cpu, 1)
  cpu.nonRoot?.writeMsr(index)
  writeMsr(cpu, index, edxEax(cpu))
}

export const msrs = { RDMSR, WRMSR }
