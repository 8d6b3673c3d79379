import { allRows, type DecodeRow, type Feature, type Mnemonic } from '@guestmode/x86'
import type { Mode } from './case.ts'

/** Which rows of the opcode maps sequences are drawn from, and in which group each belongs. */

export const groups = [
  'integer',
  'shift',
  'muldiv',
  'string',
  'bit',
  'stack',
  'branch',
  'cmpxchg',
  'system',
  'x87',
  'transcendental',
  'mmx',
  'sse',
  'sse2',
  'sse3',
  'ssse3',
  'sse4_1',
  'sse4_2',
  'crypto',
] as const
export type Group = (typeof groups)[number]

/** Instructions that say nothing about an instruction set, or that would leave the sequence for someone else. */
const excluded: Partial<Record<Mnemonic, string>> = {
  SYSCALL: 'calls the host system',
  SYSENTER: 'calls the host system',
  CPUID: 'another processor answers otherwise by intent',
  RDTSC: 'time',
  RDTSCP: 'time',
  RDPID: 'the number of the host processor',
  RDRAND: 'random',
  RDSEED: 'random',
  RDPMC: 'CR4.PCE is the host system’s',
  SGDT: 'UMIP: Linux emulates it',
  SIDT: 'UMIP: Linux emulates it',
  SLDT: 'UMIP: Linux emulates it',
  STR: 'UMIP: Linux emulates it',
  SMSW: 'UMIP: Linux emulates it',
  VMCALL: 'calls the hypervisor of the host',
  VMMCALL: 'calls the hypervisor of the host',
  XGETBV: 'CR4.OSXSAVE is the host system’s',
  XSETBV: 'CR4.OSXSAVE is the host system’s',
  MONITOR: 'not at CPL 3 on either side, by different features',
  MWAIT: 'not at CPL 3 on either side, by different features',
}

/** Executed by the host whatever its CPUID says, so that a missing feature is not #UD. */
const neverCompared: ReadonlySet<Feature> = new Set([
  'xsave',
  'xsaveopt',
  'xsavec',
  'xsaves',
  'pku',
  'smx',
  'svm',
  'monitorx',
  'clzero',
  'rdpru',
  'wbnoinvd',
  'sha',
  'movdiri',
  'movdir64b',
  'serialize',
  'clwb',
  'clflushopt',
  'invpcid',
  'monitor',
])

const inGroup: Partial<Record<Group, readonly Mnemonic[]>> = {
  shift: ['ROL', 'ROR', 'RCL', 'RCR', 'SHL', 'SHR', 'SAR', 'SHLD', 'SHRD'],
  muldiv: ['MUL', 'IMUL', 'DIV', 'IDIV', 'AAM', 'AAD'],
  string: ['MOVS', 'CMPS', 'STOS', 'LODS', 'SCAS', 'INS', 'OUTS', 'XLAT'],
  bit: ['BT', 'BTS', 'BTR', 'BTC', 'BSF', 'BSR', 'TZCNT', 'LZCNT', 'POPCNT', 'BSWAP', 'SETCC'],
  stack: ['PUSH', 'POP', 'PUSHA', 'POPA', 'PUSHF', 'POPF', 'ENTER', 'LEAVE'],
  branch: [
    'JCC',
    'JMP',
    'CALL',
    'RET',
    'LOOP',
    'LOOPE',
    'LOOPNE',
    'JCXZ',
    'INT3',
    'INT',
    'INTO',
    'INT1',
    'BOUND',
    'UD0',
    'UD1',
    'UD2',
  ],
  cmpxchg: ['CMPXCHG', 'CMPXCHG8B', 'CMPXCHG16B', 'XADD', 'XCHG'],
  transcendental: ['F2XM1', 'FYL2X', 'FYL2XP1', 'FPTAN', 'FPATAN', 'FSIN', 'FCOS', 'FSINCOS'],
  system: [
    'CALLF',
    'JMPF',
    'RETF',
    'IRET',
    'LES',
    'LDS',
    'LSS',
    'LFS',
    'LGS',
    'LAR',
    'LSL',
    'VERR',
    'VERW',
    'ARPL',
    'LLDT',
    'LTR',
    'LGDT',
    'LIDT',
    'LMSW',
    'CLTS',
    'INVD',
    'WBINVD',
    'INVLPG',
    'HLT',
    'CLI',
    'STI',
    'IN',
    'OUT',
    'RDMSR',
    'WRMSR',
    'SYSRET',
    'SYSEXIT',
    'SWAPGS',
    'RSM',
    'RDFSBASE',
    'RDGSBASE',
    'WRFSBASE',
    'WRGSBASE',
    'CLAC',
    'STAC',
    'VMLAUNCH',
    'VMRESUME',
    'VMXOFF',
    'VMXON',
    'VMPTRLD',
    'VMPTRST',
    'VMCLEAR',
    'VMREAD',
    'VMWRITE',
    'INVEPT',
    'INVVPID',
    'VMFUNC',
  ],
}
const groupOfMnemonic = new Map(Object.entries(inGroup).flatMap(([group, list]) => list.map((name) => [name, group as Group])))

const byFeature: Partial<Record<Feature, Group>> = {
  fpu: 'x87',
  mmx: 'mmx',
  sse: 'sse',
  fxsr: 'sse',
  sse2: 'sse2',
  sse3: 'sse3',
  ssse3: 'ssse3',
  sse4_1: 'sse4_1',
  sse4_2: 'sse4_2',
  aes: 'crypto',
  pclmulqdq: 'crypto',
}

export function groupOf(row: DecodeRow): Group {
  if (row.mnemonic === 'MOV' && row.operands.some((letter) => /^(Sw|Cn|Dn)/.test(letter))) return 'system'
  if ((row.mnemonic === 'PUSH' || row.mnemonic === 'POP') && row.operands.some((letter) => /^[CDEFGS]S$/.test(letter)))
    return 'system'
  if (row.feature === 'cmov' && row.mnemonic.startsWith('F')) return 'x87'
  return groupOfMnemonic.get(row.mnemonic) ?? byFeature[row.feature] ?? 'integer'
}

/** Rows that may be drawn: of the group, of the mode, and of features that both processors have. */
export function rowsFor(group: Group | 'all', mode: Mode, features: ReadonlySet<Feature>): DecodeRow[] {
  return allRows.filter((row) => {
    if (group !== 'all' && groupOf(row) !== group) return false
    if (excluded[row.mnemonic] !== undefined || neverCompared.has(row.feature)) return false
    if (row.flags.some((flag) => (mode === 64 ? flag === 'i64' : flag === 'o64' || flag === 'rexW' || flag === 'rexB')))
      return false
    // VMX is #UD for either, for CR4.VMXE is clear.
    return row.feature === 'base' || row.feature === 'vmx' || features.has(row.feature)
  })
}

export const exclusions: Readonly<Partial<Record<Mnemonic, string>>> = excluded
