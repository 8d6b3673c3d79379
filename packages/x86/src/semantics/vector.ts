import type { CodeWidth } from '../decode/insn.ts'
import { Exception } from '../facts/index.ts'

/**
 * Unit vectors: one line is one execution of an instruction, and may be run on any engine.
 *
 *     '64 | add rax,rbx | 4801d8 | rax=ffffffffffffffff rbx=1 | rax=0 f=55'
 *
 * Code width, assembly, code, inputs, outputs, all numbers in hexadecimal. Registers not named in the inputs have values that
 * tell them apart (`initialRegisters`); those not named in the outputs keep them. `f` holds the arithmetic flags and DF in their
 * RFLAGS places (0 unless given), `m` the first bytes at `MEMORY`, `m+8=..` bytes changed from offset 8 on; `ip=` is a
 * destination other than the next instruction. An output such as `#GP(0)` is an exception, after which nothing has changed.
 */
export interface VectorState {
  readonly width: CodeWidth
  readonly code: Uint8Array
  readonly ip: bigint
  /** Bases of CS, and of all other segments: flat for 32 and 64-bit code. */
  readonly codeBase: bigint
  readonly dataBase: bigint
  readonly gpr: readonly bigint[]
  /** The bits of `VECTOR_FLAGS`; of the others IF alone is set. */
  readonly flags: bigint
  /** `MEMORY_SIZE` bytes at the linear address `MEMORY`; the 32 KiB before and after it are writable zeros. */
  readonly memory: Uint8Array
}

export type VectorOutcome =
  | { kind: 'done'; ip: bigint; gpr: readonly bigint[]; flags: bigint; memory: Uint8Array }
  | { kind: 'fault'; vector: number; errorCode?: number | undefined }

/** Runs one instruction to its end, all iterations of a repeated one included. */
export type VectorEngine = (state: VectorState) => VectorOutcome

export const MEMORY = 0x2000_8000n
export const MEMORY_SIZE = 128
/** CF PF AF ZF SF DF OF. */
export const VECTOR_FLAGS = 0xcd5n

const names = [
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
] as const

export function initialRegisters(width: CodeWidth): bigint[] {
  const bits = width === 64 ? 64 : 32
  const gpr = names.map((_, n) => (bits === 32 && n >= 8 ? 0n : BigInt.asUintN(bits, BigInt(n + 1) * 0x0101_0101_0101_0101n)))
  const data = width === 16 ? MEMORY & 0xffffn : MEMORY
  gpr[4] = data + 0x40n
  gpr[5] = data + 0x10n
  gpr[6] = data
  gpr[7] = data + 0x20n
  return gpr
}

export function vectorState(width: CodeWidth, code: string): VectorState {
  return {
    width,
    code: bytesOf(code),
    ip: width === 16 ? 0x100n : 0x1001_0000n,
    codeBase: width === 16 ? 0x1001_0000n : 0n,
    dataBase: width === 16 ? MEMORY & ~0xffffn : 0n,
    gpr: initialRegisters(width),
    flags: 0n,
    memory: new Uint8Array(MEMORY_SIZE),
  }
}

function bytesOf(hex: string): Uint8Array {
  return Uint8Array.from(hex.match(/../g) ?? [], (byte) => parseInt(byte, 16))
}

const hexOf = (bytes: Uint8Array): string => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')

/** Applies `name=value` to a state or an outcome. */
function assign(target: { gpr: bigint[]; memory: Uint8Array; flags: bigint; ip: bigint }, assignment: string): void {
  const [name, value] = assignment.split('=') as [string, string]
  const register = (names as readonly string[]).indexOf(name)
  if (register >= 0) target.gpr[register] = BigInt(`0x${value}`)
  else if (name === 'f') target.flags = BigInt(`0x${value}`)
  else if (name === 'ip') target.ip = BigInt(`0x${value}`)
  else if (name[0] === 'm') target.memory.set(bytesOf(value), parseInt(name.slice(2) || '0', 16))
  else throw new Error(`unknown name in a vector: ${assignment}`)
}

export interface Vector {
  readonly name: string
  readonly input: VectorState
  readonly expected: VectorOutcome
}

export function parseVector(line: string): Vector {
  const [width, assembly, code, inputs, outputs] = line.split('|').map((part) => part.trim()) as [
    string,
    string,
    string,
    string,
    string,
  ]
  const start = vectorState(Number(width) as CodeWidth, code)
  const input = { ...start, gpr: [...start.gpr] }
  for (const assignment of inputs.split(' ').filter(Boolean)) assign(input, assignment)
  const name = `${width}-bit ${assembly} (${inputs})`
  const fault = /^#(\w\w)(?:\((\w+)\))?$/.exec(outputs)
  if (fault) {
    const [, mnemonic, errorCode] = fault
    const vector = (Exception as unknown as Record<string, number>)[mnemonic!]!
    return {
      name,
      input,
      expected: { kind: 'fault', vector, errorCode: errorCode === undefined ? undefined : parseInt(errorCode, 16) },
    }
  }
  const end = { ip: input.ip + BigInt(input.code.length), gpr: [...input.gpr], flags: input.flags, memory: input.memory.slice() }
  for (const assignment of outputs.split(' ').filter(Boolean)) assign(end, assignment)
  return { name, input, expected: { kind: 'done', ...end } }
}

/** Every difference between what the engine does and what the vector says. */
export function runVector(engine: VectorEngine, vector: Vector): string[] {
  return differences(vector.input, vector.expected, engine(vector.input))
}

function differences(input: VectorState, expected: VectorOutcome, actual: VectorOutcome): string[] {
  const list: string[] = []
  const compare = (what: string, e: unknown, a: unknown): void => {
    if (e !== a) list.push(`${what}: expected ${show(e)}, got ${show(a)}`)
  }
  if (expected.kind === 'fault' || actual.kind === 'fault') {
    const describe = (o: VectorOutcome): string =>
      o.kind === 'done' ? 'done' : `${Exception.exceptionNames[o.vector]}${o.errorCode === undefined ? '' : `(${o.errorCode})`}`
    compare('outcome', describe(expected), describe(actual))
    return list
  }
  const bits = input.width === 64 ? 64 : 32
  const registers = input.width === 64 ? names : names.slice(0, 8)
  registers.forEach((name, n) => compare(name, BigInt.asUintN(bits, expected.gpr[n]!), BigInt.asUintN(bits, actual.gpr[n]!)))
  compare('flags', expected.flags & VECTOR_FLAGS, actual.flags & VECTOR_FLAGS)
  compare('ip', expected.ip, actual.ip)
  compare('memory', hexOf(expected.memory), hexOf(actual.memory))
  return list
}

const show = (value: unknown): string => (typeof value === 'bigint' ? value.toString(16) : String(value))
