import type { RegisterClass } from './registers.ts'

/** What one operand of an encoding accepts. */
export type Spec =
  | { kind: 'register'; class: RegisterClass; size: number; number: number | undefined }
  | { kind: 'rm'; class: RegisterClass | undefined; size: number; memorySize: number; far: boolean }
  | { kind: 'immediate'; bytes: number; check: ImmediateCheck; operandSize: number }
  | { kind: 'one' }
  | { kind: 'relative'; bytes: number }
  | { kind: 'offset'; size: number }
  | { kind: 'pointer'; bytes: number }

export type ImmediateCheck = 'any' | 'signed' | 'unsigned'

export type Row = {
  readonly mnemonic: string
  readonly specs: readonly Spec[]
  /** Operand size that selects 66 or REX.W; 0 when the instruction has none. */
  readonly operandSize: number
  readonly rexW: boolean
  readonly mandatory: number
  readonly opcode: readonly number[]
  /** The ModRM byte: `r` takes reg from a register operand, a number is an opcode extension, `rr` repeats one register. */
  readonly modrm: 'r' | 'rr' | number | undefined
  readonly plusRegister: boolean
  readonly in64: boolean
  readonly outside64: boolean
  /** Fixed address size (JCXZ, LOOP with a counter), or 0. */
  readonly addressSize: number
  /** With operands that name no size, only the mode's own size is meant. */
  readonly defaultSize: boolean
  /** Not for EAX in 64-bit code, where the short form is NOP. */
  readonly notEax64: boolean
}

const hex = /^[0-9a-f]{2}$/

/**
 * Compiles the notation of the tables: `mnemonic | operands | encoding | flags`, one row per line.
 * `v` stands for 16, 32 and 64 bits, `z` for 16 and 32, `y` for 32 (no prefix) and 64 (REX.W).
 */
export function compileRows(text: string): Row[] {
  const rows: Row[] = []
  for (const line of text.split('\n')) {
    if (line.trim() === '') continue
    const [mnemonics, operands, encoding, flagText] = line.split('|').map((s) => s.trim()) as [string, string?, string?, string?]
    if (encoding === undefined) throw new Error(`malformed row: ${line}`)
    const operandList = operands === '' || operands === undefined ? [] : operands.split(',').map((s) => s.trim())
    const flags = new Set((flagText ?? '').split(' ').filter((s) => s !== ''))
    for (const mnemonic of mnemonics.split(' ')) rows.push(...expand(mnemonic, operandList, encoding.split(/\s+/), flags))
  }
  return rows
}

function expand(mnemonic: string, operands: string[], encoding: string[], flags: Set<string>): Row[] {
  const has = (letter: string) =>
    operands.some((o) => new RegExp(`^(r|rm|m|a|i|rel|ptr|mf|moffs|rvm16)${letter}$`).test(o.replace('rvm16', 'rv')))
  const stack = flags.has('d64')
  if (has('v') || has('z') || flags.has('v') || flags.has('z')) {
    const sizes = has('v') || flags.has('v') || stack ? [16, 32, 64] : [16, 32]
    return sizes
      .filter((size) => !(flags.has('no16') && size === 16) && !(flags.has('no64') && size === 64))
      .map((size) => makeRow(mnemonic, operands, encoding, flags, size, size === 64 && !stack, size === 64, stack && size === 32))
  }
  if (has('y'))
    return [32, 64].map((size) => ({
      ...makeRow(mnemonic, operands, encoding, flags, size, size === 64, size === 64, false),
      operandSize: 0,
    }))
  const fixed = flags.has('o16f') ? 16 : flags.has('o32f') ? 32 : flags.has('o64f') ? 64 : 0
  return [makeRow(mnemonic, operands, encoding, flags, fixed, flags.has('w') || (fixed === 64 && !stack), fixed === 64, false)]
}

function makeRow(
  mnemonic: string,
  operands: string[],
  encoding: string[],
  flags: Set<string>,
  size: number,
  rexW: boolean,
  only64: boolean,
  not64: boolean,
): Row {
  let mandatory = 0
  let modrm: Row['modrm']
  let plusRegister = false
  const opcode: number[] = []
  const tokens = [...encoding]
  if (tokens.length > 1 && (tokens[0] === 'np' || tokens[0] === 'p66' || tokens[0] === 'pf2' || tokens[0] === 'pf3')) {
    const p = tokens.shift() as string
    mandatory = p === 'np' ? 0 : parseInt(p.slice(1), 16)
  }
  for (const token of tokens) {
    if (hex.test(token)) opcode.push(parseInt(token, 16))
    else if (token === '+r') plusRegister = true
    else if (token === '/r') modrm = 'r'
    else if (token === '/rr') modrm = 'rr'
    else if (/^\/[0-7]$/.test(token)) modrm = Number(token[1])
    else throw new Error(`malformed encoding of ${mnemonic}: ${token}`)
  }
  return {
    mnemonic,
    specs: operands.map((o) => makeSpec(o, size)),
    operandSize: size,
    rexW,
    mandatory,
    opcode,
    modrm,
    plusRegister,
    in64: !flags.has('i64') && !not64,
    outside64: !flags.has('o64') && !only64 && !flags.has('w'),
    addressSize: flags.has('a16') ? 16 : flags.has('a32') ? 32 : flags.has('a64') ? 64 : 0,
    defaultSize: flags.has('ds'),
    notEax64: flags.has('nopx'),
  }
}

const gp = (size: number, number?: number): Spec => ({ kind: 'register', class: 'gp', size, number })
const rm = (cls: RegisterClass | undefined, size: number, memorySize = size, far = false): Spec => ({
  kind: 'rm',
  class: cls,
  size,
  memorySize,
  far,
})
const SEGMENTS = ['es', 'cs', 'ss', 'ds', 'fs', 'gs']

function makeSpec(text: string, size: number): Spec {
  const immediate = (bytes: number, check: ImmediateCheck): Spec => ({ kind: 'immediate', bytes, check, operandSize: size })
  const segment = SEGMENTS.indexOf(text)
  if (segment >= 0) return { kind: 'register', class: 'segment', size: 16, number: segment }
  switch (text) {
    case 'al':
      return gp(8, 0)
    case 'cl':
      return gp(8, 1)
    case 'ax':
      return gp(16, 0)
    case 'eax':
      return gp(32, 0)
    case 'rax':
      return gp(64, 0)
    case 'dx':
      return gp(16, 2)
    case 'cx':
      return gp(16, 1)
    case 'ecx':
      return gp(32, 1)
    case 'rcx':
      return gp(64, 1)
    case 'av':
    case 'az':
      return gp(size, 0)
    case 'rv':
    case 'rz':
    case 'ry':
      return gp(size)
    case 'rmv':
    case 'rmy':
    case 'rmz':
      return rm('gp', size)
    case 'rvm16':
      return rm('gp', size, 16)
    case 'mv':
    case 'mz':
    case 'my':
      return rm(undefined, 0, size)
    case 'm':
      return rm(undefined, 0, 0)
    case 'mfv':
    case 'mfz':
      return rm(undefined, 0, size, true)
    case 'sreg':
      return { kind: 'register', class: 'segment', size: 16, number: undefined }
    case 'creg':
      return { kind: 'register', class: 'control', size: 0, number: undefined }
    case 'dreg':
      return { kind: 'register', class: 'debug', size: 0, number: undefined }
    case 'sti':
      return { kind: 'register', class: 'x87', size: 80, number: undefined }
    case 'st0':
      return { kind: 'register', class: 'x87', size: 80, number: 0 }
    case 'mm':
      return { kind: 'register', class: 'mmx', size: 64, number: undefined }
    case 'xmm':
      return { kind: 'register', class: 'xmm', size: 128, number: undefined }
    case 'xmm0':
      return { kind: 'register', class: 'xmm', size: 128, number: 0 }
    case 'nmm':
      return rm('mmx', 64, -1)
    case 'nxmm':
      return rm('xmm', 128, -1)
    case 'ib':
      return immediate(1, 'any')
    case 'ibs':
      return immediate(1, 'signed')
    case 'iw':
      return immediate(2, 'any')
    case 'iz':
      return immediate(size === 16 ? 2 : 4, size === 64 ? 'signed' : 'any')
    case 'iv':
      return immediate(size / 8, 'any')
    case 'iu32':
      return immediate(4, 'unsigned')
    case '1':
      return { kind: 'one' }
    case 'rel8':
      return { kind: 'relative', bytes: 1 }
    case 'relv':
    case 'relz':
      return { kind: 'relative', bytes: size === 16 ? 2 : 4 }
    case 'ptrz':
      return { kind: 'pointer', bytes: size === 16 ? 2 : 4 }
    case 'moffs8':
      return { kind: 'offset', size: 8 }
    case 'moffsv':
      return { kind: 'offset', size }
  }
  const parts = /^(r|rm|m|mm|x|nr)(\d+)(?:m(\d+))?$/.exec(text)
  if (parts === null) throw new Error(`unknown operand ${text}`)
  const n = Number(parts[2])
  if (parts[1] === 'nr') return rm('gp', n, -1)
  if (parts[1] === 'r' && parts[3] === undefined) return gp(n)
  if (parts[1] === 'r') return rm('gp', n, Number(parts[3]))
  if (parts[1] === 'rm') return rm('gp', n)
  if (parts[1] === 'm') return rm(undefined, 0, n)
  if (parts[1] === 'mm') return rm('mmx', 64, n)
  return rm('xmm', 128, Number(parts[3] ?? n))
}
