import { KVM_CPUID_FLAG_SIGNIFCANT_INDEX, type KvmCpuidEntry2 } from '@guestmode/kvm-abi'
import { CR4_OSXSAVE, cpuidFeatures } from '@guestmode/x86'
import type { CpuidLeaf, VirtualizingProcessor } from './machine.ts'

const KVM_SIGNATURE = 0x4000_0000
const KVM_FEATURES = 0x4000_0001
const EXTENDED = 0x8000_0000
/** "KVMKVMKVM" in EBX, ECX, EDX. [Linux Documentation/virt/kvm/x86/cpuid.rst] */
const SIGNATURE = { ebx: 0x4b4d564b, ecx: 0x564b4d56, edx: 0x4d }

/** Leaves with subleaves: how many, at most. */
const SUBLEAVES: Readonly<Record<number, number>> = { 4: 8, 7: 1, 0xb: 2, 0xd: 2 }

/** What the hypervisor itself gives, whatever the processor has: a local APIC with x2APIC mode and TSC deadline. */
const EMULATED = bits('hypervisor', 'x2apic', 'tsc_deadline')
const EMULATED_7 = bits('tsc_adjust')
const HIDDEN = bits('vmx', 'osxsave')

function bits(...names: (keyof typeof cpuidFeatures)[]): number {
  return names.reduce((all, name) => all | (1 << cpuidFeatures[name].bit), 0)
}

/** Time stamp counter and its crystal: a tick is a nanosecond of the engine's clock, as is one of the local APIC's timer. */
const TSC_LEAF = 0x15
const TSC_RATIO: CpuidLeaf = { eax: 1, ebx: 1, ecx: 1_000_000_000, edx: 0 }

/** KVM_GET_SUPPORTED_CPUID. */
export function supportedCpuid(processor: VirtualizingProcessor): KvmCpuidEntry2[] {
  const entries: KvmCpuidEntry2[] = []
  const processorsLast = processor.cpuid(0, 0).eax
  const answer = (leaf: number, subleaf: number): CpuidLeaf => {
    if (leaf === 0) return { ...processor.cpuid(0, 0), eax: Math.max(processorsLast, TSC_LEAF) }
    if (leaf === TSC_LEAF) return TSC_RATIO
    return leaf > processorsLast && leaf < KVM_SIGNATURE ? NOTHING : processor.cpuid(leaf, subleaf)
  }
  const add = (leaf: number, subleaf = 0, flags = 0) => {
    entries.push({ function: leaf, index: subleaf, flags, ...adapted(leaf, answer(leaf, subleaf)) })
  }
  const addRange = (first: number) => {
    const last = answer(first, 0).eax >>> 0
    for (let leaf = first; leaf <= last; leaf++) {
      const count = SUBLEAVES[leaf]
      if (count === undefined) add(leaf)
      else
        for (let i = 0; i < count && (leaf !== 4 || i === 0 || (processor.cpuid(4, i - 1).eax & 31) !== 0); i++)
          add(leaf, i, KVM_CPUID_FLAG_SIGNIFCANT_INDEX)
    }
  }
  addRange(0)
  entries.push({ function: KVM_SIGNATURE, index: 0, flags: 0, eax: KVM_FEATURES, ...SIGNATURE })
  entries.push({ function: KVM_FEATURES, index: 0, flags: 0, eax: 0, ebx: 0, ecx: 0, edx: 0 })
  addRange(EXTENDED)
  return entries
}

function adapted(leaf: number, { eax, ebx, ecx, edx }: CpuidLeaf): CpuidLeaf {
  if (leaf === 7) return { eax, ebx: (ebx | EMULATED_7) >>> 0, ecx, edx }
  if (leaf !== 1) return { eax, ebx, ecx, edx }
  return { eax, ebx: ebx & 0x00ff_ffff, ecx: ((ecx & ~HIDDEN) | EMULATED) >>> 0, edx }
}

const NOTHING: CpuidLeaf = { eax: 0, ebx: 0, ecx: 0, edx: 0 }

/** What CPUID answers in a vCPU: the table of KVM_SET_CPUID2. */
export class GuestCpuid {
  entries: readonly KvmCpuidEntry2[] = []

  #find(leaf: number, subleaf: number): KvmCpuidEntry2 | undefined {
    return this.entries.find(
      (entry) => entry.function === leaf && ((entry.flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) === 0 || entry.index === subleaf),
    )
  }

  /** Bits that follow the guest's state are put in: OSXSAVE from CR4, APIC from IA32_APIC_BASE. */
  answer(leaf: number, subleaf: number, state: { cr4: number; apicEnabled: boolean }): { leaf: CpuidLeaf; found: boolean } {
    const entry = this.#find(leaf, subleaf) ?? this.#beyond(leaf, subleaf)
    if (entry === undefined) return { leaf: NOTHING, found: false }
    const { eax, ebx, ecx, edx } = entry
    if (entry.function !== 1) return { leaf: { eax, ebx, ecx, edx }, found: true }
    const osxsave = 1 << cpuidFeatures.osxsave.bit
    const apic = 1 << cpuidFeatures.apic.bit
    return {
      leaf: {
        eax,
        ebx,
        ecx: (state.cr4 & CR4_OSXSAVE) !== 0 ? ecx | osxsave : ecx & ~osxsave,
        edx: state.apicEnabled ? edx : edx & ~apic,
      },
      found: true,
    }
  }

  /** A leaf that does not exist answers as the last basic one does. [SDM2 "CPUID—CPU Identification", INPUT EAX beyond the maximum] */
  #beyond(leaf: number, subleaf: number): KvmCpuidEntry2 | undefined {
    const base =
      leaf >>> 0 >= EXTENDED
        ? EXTENDED
        : leaf >>> 0 >= KVM_SIGNATURE && leaf >>> 0 < KVM_SIGNATURE + 0x1000_0000
          ? KVM_SIGNATURE
          : 0
    const range = this.#find(base, 0)
    if (range !== undefined && leaf >>> 0 <= range.eax >>> 0) return undefined
    const basic = this.#find(0, 0)
    return basic === undefined ? undefined : this.#find(basic.eax, subleaf)
  }

  has(feature: keyof typeof cpuidFeatures): boolean {
    const { leaf, subleaf, register, bit } = cpuidFeatures[feature]
    const entry = this.#find(leaf, subleaf)
    return entry !== undefined && ((entry[register] >>> bit) & 1) !== 0
  }

  /** EAX of leaf 1, which RESET leaves in EDX. */
  signature(): bigint | undefined {
    const entry = this.#find(1, 0)
    return entry === undefined ? undefined : BigInt(entry.eax)
  }
}
