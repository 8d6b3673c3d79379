/** Where CPUID announces a feature. [SDM2 "CPUID—CPU Identification"; AMD APM3 Appendix E for svm, clzero, monitorx, rdpru, wbnoinvd] */
export interface CpuidBit {
  readonly leaf: number
  readonly subleaf: number
  readonly register: 'eax' | 'ebx' | 'ecx' | 'edx'
  readonly bit: number
}

function at(leaf: number, register: CpuidBit['register'], bit: number, subleaf = 0): CpuidBit {
  return { leaf, subleaf, register, bit }
}

/** Every feature that a decode row may ask for; `base` needs none. */
export const cpuidBits = {
  fpu: at(1, 'edx', 0),
  tsc: at(1, 'edx', 4),
  msr: at(1, 'edx', 5),
  cx8: at(1, 'edx', 8),
  sep: at(1, 'edx', 11),
  cmov: at(1, 'edx', 15),
  clfsh: at(1, 'edx', 19),
  mmx: at(1, 'edx', 23),
  fxsr: at(1, 'edx', 24),
  sse: at(1, 'edx', 25),
  sse2: at(1, 'edx', 26),
  sse3: at(1, 'ecx', 0),
  pclmulqdq: at(1, 'ecx', 1),
  monitor: at(1, 'ecx', 3),
  vmx: at(1, 'ecx', 5),
  smx: at(1, 'ecx', 6),
  ssse3: at(1, 'ecx', 9),
  cx16: at(1, 'ecx', 13),
  sse4_1: at(1, 'ecx', 19),
  sse4_2: at(1, 'ecx', 20),
  movbe: at(1, 'ecx', 22),
  popcnt: at(1, 'ecx', 23),
  aes: at(1, 'ecx', 25),
  xsave: at(1, 'ecx', 26),
  rdrand: at(1, 'ecx', 30),
  fsgsbase: at(7, 'ebx', 0),
  bmi1: at(7, 'ebx', 3),
  invpcid: at(7, 'ebx', 10),
  rdseed: at(7, 'ebx', 18),
  adx: at(7, 'ebx', 19),
  smap: at(7, 'ebx', 20),
  clflushopt: at(7, 'ebx', 23),
  clwb: at(7, 'ebx', 24),
  sha: at(7, 'ebx', 29),
  pku: at(7, 'ecx', 3),
  rdpid: at(7, 'ecx', 22),
  movdiri: at(7, 'ecx', 27),
  movdir64b: at(7, 'ecx', 28),
  serialize: at(7, 'edx', 14),
  xsaveopt: at(0xd, 'eax', 0, 1),
  xsavec: at(0xd, 'eax', 1, 1),
  xsaves: at(0xd, 'eax', 3, 1),
  lahf_lm: at(0x80000001, 'ecx', 0),
  svm: at(0x80000001, 'ecx', 2),
  lzcnt: at(0x80000001, 'ecx', 5),
  monitorx: at(0x80000001, 'ecx', 29),
  syscall: at(0x80000001, 'edx', 11),
  rdtscp: at(0x80000001, 'edx', 27),
  clzero: at(0x80000008, 'ebx', 0),
  rdpru: at(0x80000008, 'ebx', 4),
  wbnoinvd: at(0x80000008, 'ebx', 9),
} as const satisfies Record<string, CpuidBit>

export type Feature = 'base' | keyof typeof cpuidBits
