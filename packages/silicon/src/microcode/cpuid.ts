import { cpuidFeatures, type CpuidFeature } from '@guestmode/x86'
import type { CpuidLeaf } from '../cpu/cpu.ts'
import type { ProcessorOptions } from '../contract.ts'

/** What CPUID announces. [SDM2 "CPUID—CPU Identification"] */
export interface CpuModel {
  readonly vendor: string
  readonly brand: string
  readonly family: number
  readonly model: number
  readonly stepping: number
  readonly physicalAddressBits: number
  readonly features: ReadonlySet<CpuidFeature>
}

const FEATURES: readonly CpuidFeature[] = [
  'fpu',
  'vme',
  'de',
  'pse',
  'tsc',
  'msr',
  'pae',
  'mce',
  'cx8',
  'apic',
  'sep',
  'mtrr',
  'pge',
  'mca',
  'cmov',
  'pat',
  'pse36',
  'clfsh',
  'mmx',
  'fxsr',
  'sse',
  'sse2',
  'ss',
  'sse3',
  'ssse3',
  'sse4_1',
  'sse4_2',
  'aes',
  'pclmulqdq',
  'cx16',
  'movbe',
  'popcnt',
  'rdrand',
  'vmx',
  'arat',
  'smep',
  'smap',
  'erms',
  'adx',
  'rdseed',
  'umip',
  'rdpid',
  'fpcsds',
  'nx',
  'rdtscp',
  'invariant_tsc',
  'lahf_lm',
  'lzcnt',
]

const LONG_MODE_FEATURES: readonly CpuidFeature[] = ['lm', 'syscall', 'fsgsbase', 'pdpe1gb']

/**
 * Family 6, model 1CH is an in-order Atom: kernels know that it does not speculate, and leave out the mitigations for
 * speculative execution, which would only cost time here.
 */
export function defaultModel(options: ProcessorOptions = {}): CpuModel {
  const isLong = options.longMode ?? true
  return {
    vendor: 'GenuineIntel',
    brand: 'guestmode virtual processor',
    family: 6,
    model: 0x1c,
    stepping: 10,
    physicalAddressBits: options.physicalAddressBits ?? (isLong ? 40 : 36),
    features: new Set(
      isLong ? [...FEATURES, ...LONG_MODE_FEATURES] : FEATURES.filter((name) => name !== 'lahf_lm' && name !== 'cx16'),
    ),
  }
}

const BASIC_MAX = 7
const EXTENDED_MAX = 0x8000_0008
const NOTHING: CpuidLeaf = { eax: 0, ebx: 0, ecx: 0, edx: 0 }

const CACHE_LINE = 64

export function signature({ family, model, stepping }: CpuModel): number {
  return ((model >>> 4) << 16) | (family << 8) | ((model & 0xf) << 4) | stepping
}

/** Four characters, the first lowest. */
function packed(text: string, at: number): number {
  let value = 0
  for (let i = 3; i >= 0; i--) value = (value << 8) | (text.charCodeAt(at + i) || 0)
  return value >>> 0
}

/** Deterministic cache parameters: one level of one core. */
function cache(type: 1 | 2 | 3, level: number, ways: number, sets: number): CpuidLeaf {
  return { eax: type | (level << 5) | (1 << 8), ebx: (CACHE_LINE - 1) | ((ways - 1) << 22), ecx: sets - 1, edx: 0 }
}

const CACHES: readonly CpuidLeaf[] = [cache(1, 1, 8, 64), cache(2, 1, 8, 64), cache(3, 2, 8, 1024)]

function fixedLeaf(model: CpuModel, leaf: number, subleaf: number): CpuidLeaf {
  const { vendor, brand } = model
  switch (leaf) {
    case 0:
      return { eax: BASIC_MAX, ebx: packed(vendor, 0), ecx: packed(vendor, 8), edx: packed(vendor, 4) }
    case 1:
      return { eax: signature(model), ebx: ((CACHE_LINE / 8) << 8) | (1 << 16), ecx: 0, edx: 0 }
    case 2:
      return { eax: 0xff01, ebx: 0, ecx: 0, edx: 0 }
    case 4:
      return CACHES[subleaf] ?? NOTHING
    case 0x8000_0000:
      return { eax: EXTENDED_MAX, ebx: 0, ecx: 0, edx: 0 }
    case 0x8000_0002:
    case 0x8000_0003:
    case 0x8000_0004: {
      const at = (leaf - 0x8000_0002) * 16
      return { eax: packed(brand, at), ebx: packed(brand, at + 4), ecx: packed(brand, at + 8), edx: packed(brand, at + 12) }
    }
    case 0x8000_0006:
      return { eax: 0, ebx: 0, ecx: (512 << 16) | (6 << 12) | CACHE_LINE, edx: 0 }
    case 0x8000_0008:
      return { eax: model.physicalAddressBits | ((model.features.has('lm') ? 48 : 32) << 8), ebx: 0, ecx: 0, edx: 0 }
    default:
      return NOTHING
  }
}

/** Every leaf of a model, made once. A leaf beyond the last basic one answers as that one does. */
export function createCpuid(model: CpuModel): (leaf: number, subleaf: number) => CpuidLeaf {
  const leaves = new Map<number, CpuidLeaf[]>()
  const put = (leaf: number, subleaf: number): CpuidLeaf => {
    const list = leaves.get(leaf) ?? []
    leaves.set(leaf, list)
    return (list[subleaf] ??= { ...fixedLeaf(model, leaf, subleaf) })
  }
  for (let leaf = 0; leaf <= BASIC_MAX; leaf++) put(leaf, 0)
  for (let leaf = 0x8000_0000; leaf <= EXTENDED_MAX; leaf++) put(leaf, 0)
  for (let subleaf = 0; subleaf < CACHES.length; subleaf++) put(4, subleaf)
  for (const name of model.features) {
    const { leaf, subleaf, register, bit } = cpuidFeatures[name]
    const entry = put(leaf, subleaf)
    entry[register] = (entry[register] | (1 << bit)) >>> 0
  }
  const hasSubleaves = (leaf: number): boolean => leaf === 4 || leaf === 7

  return (leaf, subleaf) => {
    const wanted = leaf >>> 0
    const known = wanted <= BASIC_MAX || (wanted >= 0x8000_0000 && wanted <= EXTENDED_MAX) ? wanted : BASIC_MAX
    return leaves.get(known)?.[hasSubleaves(known) ? subleaf : 0] ?? NOTHING
  }
}

export function modelHasFeature(model: CpuModel, name: string): boolean {
  return name === 'base' || (model.features as ReadonlySet<string>).has(name)
}
