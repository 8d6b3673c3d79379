import { cpuidBits, type CpuidBit } from '../decode/features.ts'

export type { CpuidBit }

function at(leaf: number, register: CpuidBit['register'], bit: number, subleaf = 0): CpuidBit {
  return { leaf, subleaf, register, bit }
}

/** Features that no instruction's existence depends on, beside those of the decode rows. [SDM2 "CPUID—CPU Identification"] */
const systemBits = {
  vme: at(1, 'edx', 1),
  de: at(1, 'edx', 2),
  pse: at(1, 'edx', 3),
  pae: at(1, 'edx', 6),
  mce: at(1, 'edx', 7),
  apic: at(1, 'edx', 9),
  mtrr: at(1, 'edx', 12),
  pge: at(1, 'edx', 13),
  mca: at(1, 'edx', 14),
  pat: at(1, 'edx', 16),
  pse36: at(1, 'edx', 17),
  acpi: at(1, 'edx', 22),
  ss: at(1, 'edx', 27),
  htt: at(1, 'edx', 28),
  pdcm: at(1, 'ecx', 15),
  pcid: at(1, 'ecx', 17),
  x2apic: at(1, 'ecx', 21),
  tsc_deadline: at(1, 'ecx', 24),
  osxsave: at(1, 'ecx', 27),
  avx: at(1, 'ecx', 28),
  hypervisor: at(1, 'ecx', 31),
  arat: at(6, 'eax', 2),
  tsc_adjust: at(7, 'ebx', 1),
  smep: at(7, 'ebx', 7),
  bmi2: at(7, 'ebx', 8),
  erms: at(7, 'ebx', 9),
  fpcsds: at(7, 'ebx', 13),
  umip: at(7, 'ecx', 2),
  ospke: at(7, 'ecx', 4),
  la57: at(7, 'ecx', 16),
  fsrm: at(7, 'edx', 4),
  arch_capabilities: at(7, 'edx', 29),
  nx: at(0x80000001, 'edx', 20),
  pdpe1gb: at(0x80000001, 'edx', 26),
  lm: at(0x80000001, 'edx', 29),
  invariant_tsc: at(0x80000007, 'edx', 8),
} as const satisfies Record<string, CpuidBit>

/** Every feature by name: where CPUID announces it. */
export const cpuidFeatures = { ...cpuidBits, ...systemBits } as const

export type CpuidFeature = keyof typeof cpuidFeatures
