/** What the guest's CPUID says: what the engine supports, less what the machine's owner switches off. */
import type { KvmCpuidEntry2 } from '@guestmode/kvm-abi'
import { ConfigError } from '../errors.ts'
import { LAPIC_ID_BOOT } from './layout.ts'

type Register = 'eax' | 'ebx' | 'ecx' | 'edx'

/** Features by the names of /proc/cpuinfo: leaf, register, bit. [SDM2 "CPUID—CPU Identification"] */
const FEATURES = {
  fpu: [1, 'edx', 0],
  pse: [1, 'edx', 3],
  tsc: [1, 'edx', 4],
  msr: [1, 'edx', 5],
  pae: [1, 'edx', 6],
  cx8: [1, 'edx', 8],
  apic: [1, 'edx', 9],
  sep: [1, 'edx', 11],
  mtrr: [1, 'edx', 12],
  pge: [1, 'edx', 13],
  cmov: [1, 'edx', 15],
  pat: [1, 'edx', 16],
  mmx: [1, 'edx', 23],
  fxsr: [1, 'edx', 24],
  sse: [1, 'edx', 25],
  sse2: [1, 'edx', 26],
  pni: [1, 'ecx', 0],
  vmx: [1, 'ecx', 5],
  ssse3: [1, 'ecx', 9],
  cx16: [1, 'ecx', 13],
  sse4_1: [1, 'ecx', 19],
  sse4_2: [1, 'ecx', 20],
  x2apic: [1, 'ecx', 21],
  popcnt: [1, 'ecx', 23],
  tsc_deadline_timer: [1, 'ecx', 24],
  aes: [1, 'ecx', 25],
  xsave: [1, 'ecx', 26],
  avx: [1, 'ecx', 28],
  rdrand: [1, 'ecx', 30],
  hypervisor: [1, 'ecx', 31],
  syscall: [0x8000_0001, 'edx', 11],
  nx: [0x8000_0001, 'edx', 20],
  rdtscp: [0x8000_0001, 'edx', 27],
  lm: [0x8000_0001, 'edx', 29],
  svm: [0x8000_0001, 'ecx', 2],
} as const satisfies Record<string, readonly [number, Register, number]>

export type CpuFeature = keyof typeof FEATURES

export interface CpuModel {
  /** Features that the guest shall not see. `kvm` hides the paravirtual leaves. */
  disable?: readonly (CpuFeature | 'kvm')[]
}

export const CPU_FEATURES: readonly string[] = [...Object.keys(FEATURES), 'kvm']

export function guestCpuid(supported: readonly KvmCpuidEntry2[], model: CpuModel = {}): KvmCpuidEntry2[] {
  let entries = supported.map((entry) => ({ ...entry }))
  for (const name of model.disable ?? []) {
    if (name === 'kvm') {
      entries = entries.filter(({ function: leaf }) => leaf >>> 8 !== 0x40_0000)
      continue
    }
    const feature = FEATURES[name]
    if (!feature) throw new ConfigError(`unknown CPU feature ${String(name)}: known are ${CPU_FEATURES.join(', ')}`)
    const [leaf, register, bit] = feature
    for (const entry of entries) if (entry.function === leaf) entry[register] = (entry[register] & ~(1 << bit)) >>> 0
  }
  for (const entry of entries) setTopology(entry)
  return entries
}

export function hasFeature(entries: readonly KvmCpuidEntry2[], name: CpuFeature): boolean {
  const [leaf, register, bit] = FEATURES[name]
  return entries.some((entry) => entry.function === leaf && ((entry[register] >>> bit) & 1) !== 0)
}

/** One processor with the boot APIC ID. */
function setTopology(entry: KvmCpuidEntry2): void {
  if (entry.function === 1) entry.ebx = ((entry.ebx & 0xff00) | (1 << 16) | (LAPIC_ID_BOOT << 24)) >>> 0
  else if (entry.function === 0xb) {
    entry.eax = 0
    entry.ebx = entry.index < 2 ? 1 : 0
    entry.ecx = (entry.index & 0xff) | (entry.index < 2 ? (entry.index + 1) << 8 : 0)
    entry.edx = LAPIC_ID_BOOT
  }
}
