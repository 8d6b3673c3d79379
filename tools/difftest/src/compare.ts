import { codeOf, TIMEOUT, type Outcome, type TestCase } from './case.ts'
import { decodeAt } from './decoding.ts'
import { addressAt } from './layout.ts'
import { comparesPointers, isBeyondCodeLimit, maskOf, type Mask } from './masks.ts'

/** One thing that the processors do not agree on. */
export interface Difference {
  readonly what: string
  readonly host: string
  readonly ours: string
}

const hex = (value: bigint | number): string => value.toString(16) + 'h'
const flagNames = new Map([
  [0x1, 'CF'],
  [0x4, 'PF'],
  [0x10, 'AF'],
  [0x40, 'ZF'],
  [0x80, 'SF'],
  [0x100, 'TF'],
  [0x200, 'IF'],
  [0x400, 'DF'],
  [0x800, 'OF'],
  [0x1000, 'IOPL'],
  [0x4000, 'NT'],
  [0x10000, 'RF'],
  [0x40000, 'AC'],
  [0x200000, 'ID'],
])
const registerNames = [
  'rax',
  'rcx',
  'rdx',
  'rbx',
  'rsp',
  'rbp',
  'rsi',
  'rdi',
  'r8',
  'r9',
  'r10',
  'r11',
  'r12',
  'r13',
  'r14',
  'r15',
]
const segmentNames = ['es', 'cs', 'ss', 'ds', 'fs', 'gs']

const AC = 17
/** Of the x87 status word. */
const PE = 0x20
const C1 = 0x200

const SS = 12
const GP = 13
const PF = 14

/** A case that says nothing: why. */
export function void_(test: TestCase, host: Outcome | undefined, ours: Outcome): string | undefined {
  if (host === undefined) return 'the runner did not survive'
  if (host.vector === TIMEOUT && ours.vector === TIMEOUT) return 'no end on either side'
  const last = test.instructions.at(-1)
  const insn = last === undefined ? undefined : decodeAt([...last], test.mode)
  if (insn !== undefined && maskOf(insn.mnemonic)?.accessOrder === true && host.vector !== ours.vector) {
    const isMemoryFault = ({ vector }: Outcome): boolean => vector === SS || vector === GP || vector === PF
    if (isMemoryFault(host) && isMemoryFault(ours)) return 'which of several accesses faults first'
  }
  if (isBeyondCodeLimit(test, host)) return 'a near branch beyond the limit of CS'
  if (host.vector === AC) return '#AC: CR0.AM is the host system’s'
  return undefined
}

export function compare(test: TestCase, host: Outcome, ours: Outcome): Difference[] {
  const found: Difference[] = []
  const check = (what: string, theirs: bigint | number, mine: bigint | number): void => {
    if (theirs !== mine) found.push({ what, host: hex(theirs), ours: hex(mine) })
  }
  const last = test.instructions.at(-1)
  const insn = last === undefined ? undefined : decodeAt([...last], test.mode)
  const mask: Mask | undefined = insn === undefined ? undefined : maskOf(insn.mnemonic)

  if (host.vector !== ours.vector) found.push({ what: 'exception', host: `#${host.vector}`, ours: `#${ours.vector}` })
  else if (host.vector === PF) {
    if (mask?.accessOrder !== true) check('CR2', host.cr2, ours.cr2)
    // Linux tells nothing of addresses above its users'. [Linux arch/x86/mm/fault.c "sanitize_error_code"]
    const hidden = host.cr2 >= 0x7fff_ffff_f000n ? ~1 : ~0
    check('error code', host.errorCode & hidden, ours.errorCode & hidden)
  } else if (host.vector !== 1 && host.vector !== 16 && host.vector !== 19) check('error code', host.errorCode, ours.errorCode)
  check('rip', host.rip, ours.rip)
  const flags = (host.rflags ^ ours.rflags) & ~(mask?.flags ?? 0)
  for (const [bit, name] of flagNames) {
    if ((flags & bit) !== 0) check(name, (host.rflags & bit) === 0 ? 0 : 1, (ours.rflags & bit) === 0 ? 0 : 1)
  }
  const partial = host.vector === PF || host.vector === GP || host.vector === SS ? mask?.partial : undefined
  if (partial !== 'registers') registerNames.forEach((name, i) => check(name, host.gpr[i]!, ours.gpr[i]!))
  // The host system's IRET has made null selectors 0.
  const selector = (value: number): number => (value < 4 ? 0 : value)
  segmentNames.forEach((name, i) => check(name, selector(host.selectors[i]!), selector(ours.selectors[i]!)))
  if (test.mode === 64) {
    check('FS base', host.fsBase, ours.fsBase)
    check('GS base', host.gsBase, ours.gsBase)
  }
  compareFloat(test, host, ours, mask, check)
  if (partial === 'memory') return found
  for (const quad of new Set([...host.memory.keys(), ...ours.memory.keys()])) {
    const theirs = host.memory.get(quad)
    const mine = ours.memory.get(quad)
    if (theirs === mine) continue
    const show = (value: bigint | undefined): string =>
      value === undefined ? 'unchanged' : value.toString(16).padStart(16, '0') + 'h'
    found.push({ what: `memory ${addressAt(quad * 8).toString(16)}h`, host: show(theirs), ours: show(mine) })
  }
  return found
}

/** What kind of difference it is, for counting. */
export function kindOf(differences: readonly Difference[]): string {
  const first = differences[0]!
  if (first.what === 'exception') return `exception ${first.ours}, not ${first.host}`
  const kinds = new Set(
    differences.map(({ what }) =>
      what.startsWith('memory') ? 'memory' : registerNames.includes(what) ? 'registers' : what.replace(/^(st|xmm)\d+/, '$1'),
    ),
  )
  return [...kinds].join(' ')
}

type Check = (what: string, theirs: bigint | number, mine: bigint | number) => void

function compareFloat(test: TestCase, outcome: Outcome, { fp: ours }: Outcome, mask: Mask | undefined, check: Check): void {
  const { fp: host } = outcome
  const pointers = comparesPointers(test, outcome)
  check('FCW', host.control, ours.control)
  const rounded = mask?.roundedUp === true && (host.status & PE) !== 0 ? C1 : 0
  check('FSW', host.status & ~rounded, ours.status & ~rounded)
  check('FTW', host.valid, ours.valid)
  if (pointers) {
    check('FOP', host.opcode, ours.opcode)
    check('FIP', host.ip, ours.ip)
    check('FDP', host.dp, ours.dp)
  }
  check('MXCSR', host.mxcsr, ours.mxcsr)
  host.st.forEach((value, i) => {
    if (value === ours.st[i] || (mask?.ulps !== undefined && near(value, ours.st[i]!, mask.ulps))) return
    check(`st${i}`, value, ours.st[i]!)
  })
  host.xmm.forEach((value, i) => {
    if (value === ours.xmm[i] || (mask?.relative !== undefined && lanesNear(value, ours.xmm[i]!, mask.relative))) return
    check(`xmm${i}`, value, ours.xmm[i]!)
  })
}

/** Numbers of one sign, as integers of exponent and significand without its integer bit. */
function near(a: bigint, b: bigint, ulps: number): boolean {
  if (a >> 79n !== b >> 79n) return false
  const ordinal = (value: bigint): bigint => (((value >> 64n) & 0x7fffn) << 63n) | (value & ((1n << 63n) - 1n))
  const distance = ordinal(a) - ordinal(b)
  return (distance < 0n ? -distance : distance) <= BigInt(ulps)
}

function lanesNear(a: bigint, b: bigint, relative: number): boolean {
  const view = new DataView(new ArrayBuffer(4))
  const lane = (value: bigint, i: number): number => {
    view.setUint32(0, Number((value >> BigInt(32 * i)) & 0xffff_ffffn))
    return view.getFloat32(0)
  }
  return [0, 1, 2, 3].every((i) => {
    const [x, y] = [lane(a, i), lane(b, i)]
    return Object.is(x, y) || Math.abs(x - y) <= relative * Math.abs(x)
  })
}

export const codeText = (test: TestCase): string => Buffer.from(codeOf(test)).toString('hex')
