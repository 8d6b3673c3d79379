import * as iced from 'iced-x86'
import { expect, test } from 'vitest'
import { disassemble } from '../disasm/disassemble.ts'
import { nameOf } from '../disasm/names.ts'
import { decode } from './decode.ts'
import type { CodeWidth, Insn } from './insn.ts'

/** iced-x86 reads the same bytes; length and mnemonic agree but for the differences that are listed here with their reasons. */

const { Code, Decoder, EncodingKind, Formatter, FormatterSyntax, Instruction, MemorySizeOptions, Mnemonic } = iced

const oracleNames: string[] = []
for (const [name, value] of Object.entries(Mnemonic)) if (typeof value === 'number') oracleNames[value] = name.toLowerCase()
const INVALID = Mnemonic.INVALID

/** The same instruction under another name: ours to the oracle's. */
const otherNames: Readonly<Record<string, string>> = {
  'shl sal': '/6 of group 2 does what /4 does',
  'getsec getsecq': 'the suffix of REX.W',
  'nop cldemote': 'a hint, without effect on what software sees',
  'nop prefetchit0': 'a hint',
  'nop prefetchit1': 'a hint',
  'nop rdsspd': 'NOP while shadow stacks are off; there are none',
  'nop rdsspq': 'NOP while shadow stacks are off; there are none',
  'nop reservednop': 'the reserved NOPs execute as NOP',
  'vmmcall vmgexit': 'VMGEXIT is VMMCALL but for an encrypted guest',
  'xlat xlatb': 'spelling',
  'fwait wait': 'spelling',
}

/** Extensions that the processor does not have, so that their encodings are undefined; besides these, all that needs VEX, EVEX, XOP or 3DNow!. */
const absent: Readonly<Record<string, RegExp>> = {
  'AMD alone': /^femms$/,
  SSE4A: /^(extrq|insertq|movnts[sd])$/,
  'VIA PadLock': /^(xstore\w*|xcrypt\w+|xsha\w+|montmul|ccs_\w+|undoc)$/,
  'Key Locker, GFNI': /^(aes(enc|dec)\w*kl|encodekey\w+|loadiwkey|gf2p8\w+)$/,
  'transactional memory': /^(xabort|xbegin|xend|xtest|xsusldtrk|xresldtrk)$/,
  'control-flow enforcement': /^(clrssbsy|incssp[dq]|rstorssp|saveprevssp|setssbsy|wru?ss[dq])$/,
  'SGX, TDX and memory encryption': /^(encl[suv]|seam\w+|tdcall|p?(smash|validate)|rmp\w+|invlpgb|tlbsync|pconfig|pbndkb)$/,
  'FRED, user interrupts, waiting in user mode': /^(eret[su]|lkgs|clui|stui|testui|uiret|senduipi|tpause|umonitor|umwait)$/,
  'remote atomics, enqueued stores, other newcomers':
    /^(aadd|aand|aor|axor|enqcmds?|hreset|mcommit|ptwrite|wrmsrns|wrmsrlist|rdmsrlist|urdmsr|uwrmsr)$/,
}

function isAbsent(instruction: iced.Instruction): boolean {
  if (instruction.encoding !== EncodingKind.Legacy) return true
  const name = oracleNames[instruction.mnemonic]!
  return Object.values(absent).some((pattern) => pattern.test(name))
}

const stringInstructions = new Set(['MOVS', 'CMPS', 'STOS', 'LODS', 'SCAS', 'INS', 'OUTS'])

function fullName(insn: Insn): string {
  if (!stringInstructions.has(insn.mnemonic)) return nameOf(insn)
  const { width } = insn.operands.find(({ kind }) => kind === 'mem')!
  return insn.mnemonic.toLowerCase() + { 8: 'b', 16: 'w', 32: 'd', 64: 'q' }[width]!
}

interface Case {
  bytes: Uint8Array
  stride: number
  width: CodeWidth
}

/** Every `stride` bytes an instruction. Returns what nothing explains. */
function compare({ bytes, stride, width }: Case, skip: (offset: number) => boolean = () => false, texts = false): string[] {
  const unexplained: string[] = []
  const oracle = new Decoder(width, bytes, iced.DecoderOptions.None)
  const instruction = new Instruction()
  for (let offset = 0; offset < bytes.length; offset += stride) {
    if (skip(offset)) continue
    oracle.position = offset
    oracle.ip = BASE
    oracle.decodeOut(instruction)
    const theirs: number = instruction.mnemonic
    const result = decode(bytes, offset, offset + stride, width)
    let difference: string | undefined
    if (!result.ok) {
      if (theirs !== INVALID && !isAbsent(instruction)) difference = `${result.reason} | ${oracleNames[theirs]}`
    } else {
      const ours = fullName(result.insn)
      if (theirs === INVALID) difference = `${ours} | invalid`
      else if (ours !== oracleNames[theirs] && !(`${ours} ${oracleNames[theirs]}` in otherNames))
        difference = `${ours} | ${oracleNames[theirs]}`
      else if (result.insn.length !== instruction.length)
        difference = `${ours}: ${result.insn.length} | ${instruction.length} bytes`
      else if (texts && ours === oracleNames[theirs]) difference = textDifference(result.insn, instruction)
    }
    if (difference !== undefined)
      unexplained.push(`${width}: ${hex(bytes, offset, stride)} ${difference} (${Code[instruction.code]})`)
  }
  instruction.free()
  oracle.free()
  return unexplained
}

function hex(bytes: Uint8Array, offset: number, length: number): string {
  return Array.from(bytes.subarray(offset, offset + length), (byte) => byte.toString(16).padStart(2, '0')).join(' ')
}

const BASE = 0x100000n

const formatter = new Formatter(FormatterSyntax.Intel)
formatter.hexPrefix = '0x'
formatter.hexSuffix = ''
formatter.smallHexNumbersInDecimal = false
formatter.uppercaseHex = false
formatter.addLeadingZeroToHexNumbers = false
formatter.memorySizeOptions = MemorySizeOptions.Always
formatter.ripRelativeAddresses = true
formatter.usePseudoOps = false
formatter.spaceAfterOperandSeparator = false
formatter.branchLeadingZeros = false
formatter.alwaysShowScale = true

/** The operands as text, less what the two styles write differently. */
function textDifference(insn: Insn, instruction: iced.Instruction): string | undefined {
  if (nameless.has(insn.mnemonic)) return undefined
  const ours = common(disassemble(insn, BASE).toLowerCase())
    .replace(/ # .*/, '')
    .replace(/^(call|jmp) (0x\w+):(0x\w+)/, '$1 far $3,$2')
  const theirs = common(formatter.format(instruction)).replace(/^(call|jmp) far (?!0x)/, '$1 ')
  if (ours === theirs || insn.mnemonic.startsWith('F'))
    return x87Operand(ours) === x87Operand(theirs) ? undefined : `${ours} | ${theirs}`
  return `${ours} | ${theirs}`
}

/** Instructions whose texts differ by style: names that include sizes, operands that only one of the two shows. */
const nameless = new Set<string>([
  ...['MOVS', 'CMPS', 'STOS', 'LODS', 'SCAS', 'INS', 'OUTS', 'XLAT', 'MASKMOVQ', 'MASKMOVDQU', 'MONITOR', 'MONITORX', 'CLZERO'],
  ...[
    'VMRUN',
    'VMLOAD',
    'VMSAVE',
    'INVLPGA',
    'SKINIT',
    'MWAIT',
    'MWAITX',
    'RDPRU',
    'RETF',
    'NOP',
    'SGDT',
    'SIDT',
    'LGDT',
    'LIDT',
  ],
  ...['PBLENDVB', 'BLENDVPS', 'BLENDVPD', 'SHA256RNDS2', 'LAR', 'LSL', 'PREFETCH', 'FXSAVE', 'FXRSTOR'],
  ...['FNSTENV', 'FLDENV', 'FNSAVE', 'FRSTOR', 'XSAVE', 'XRSTOR', 'XSAVEC', 'XSAVES', 'XSAVEOPT', 'XRSTORS'],
])

const common = (text: string): string =>
  text
    .replace(/\b[cdefgs]s:(?=\[)/g, '')
    .replace(/^((rep|repne|repe|xacquire|xrelease|bnd|notrack|data16|data32|hint-taken|hint-not-taken|rex\.w|addr\d+) )+/, '')
    .replace(/\b(short|near ptr) /g, '')

/** iced writes the implied st of x87 memory and comparison instructions. */
const x87Operand = (text: string): string =>
  text
    .replace(/st\(0\)/g, 'st')
    .replace(/^(\w+) st,(.+)$/, '$1 $2')
    .replace(/^(f(st|stp|ist|istp|isttp|bstp) .+),st$/, '$1')

const legacyPrefixes = [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3]
const rest = [0x24, 0x35, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x08]

const modes = [16, 32, 64] as const

test.each(modes)('every opcode with every ModRM byte in %d-bit code', { timeout: 60_000 }, (width) => {
  const unexplained: string[] = []
  const stride = 16
  const bytes = new Uint8Array(256 * 256 * stride)
  for (const prefixes of [[], [0x66], [0xf3], [0xf2], ...(width === 64 ? [[0x48]] : [])]) {
    for (const escape of [[], [0x0f], [0x0f, 0x38], [0x0f, 0x3a]]) {
      for (let i = 0; i < 256 * 256; i++) bytes.set([...prefixes, ...escape, i >> 8, i & 0xff, ...rest], i * stride)
      const isPrefix = (opcode: number) =>
        escape.length === 0
          ? legacyPrefixes.includes(opcode) || opcode === 0x0f || (width === 64 && (opcode & 0xf0) === 0x40)
          : escape.length === 1 && (opcode === 0x38 || opcode === 0x3a)
      unexplained.push(...compare({ bytes, stride, width }, (offset) => isPrefix(Math.floor(offset / stride) >> 8)))
    }
  }
  expect(unexplained.slice(0, 20)).toEqual([])
})

/** A fixed sequence: Marsaglia's xorshift with 13, 17, 5. */
function numbers(seed: number): () => number {
  let state = seed
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return state >>> 0
  }
}

const somePrefixes = [...legacyPrefixes, 0x48, 0x41, 0x44, 0x42, 0x4f]

function randomCode(width: CodeWidth, count: number): Case {
  const stride = 20
  const bytes = new Uint8Array(count * stride)
  const next = numbers(width)
  const below = (n: number) => next() % n
  for (let i = 0; i < count; i++) {
    let at = i * stride
    for (let n = below(5) === 0 ? below(15) : below(4); n > 0; n--) bytes[at++] = somePrefixes[below(somePrefixes.length)]!
    if (below(2) === 0) bytes[at++] = 0x0f
    while (at < (i + 1) * stride) bytes[at++] = below(256)
  }
  return { bytes, stride, width }
}

test.each(modes)(
  'random instructions with random prefixes in %d-bit code: name, length and operands',
  { timeout: 60_000 },
  (width) => {
    expect(compare(randomCode(width, 100_000), undefined, true).slice(0, 20)).toEqual([])
  },
)

test.each(modes)('fewer bytes never give another instruction in %d-bit code', (width) => {
  const { bytes, stride } = randomCode(width, 5_000)
  for (let offset = 0; offset < bytes.length; offset += stride) {
    const whole = decode(bytes, offset, offset + stride, width)
    if (!whole.ok) continue
    for (let length = 0; length < whole.insn.length; length++) {
      expect(decode(bytes, offset, offset + length, width)).toEqual({ ok: false, reason: 'truncated', length })
    }
  }
})
