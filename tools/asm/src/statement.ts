import type { Instruction, Prefixes } from './encode.ts'
import { isMnemonic } from './encode.ts'
import { AssemblyError } from './errors.ts'
import { Cursor, parseExpression, type Expression } from './expression.ts'
import { tokenize } from './lexer.ts'
import { parseOperand, type Operand } from './operand.ts'
import { REGISTERS } from './registers.ts'

export type Bits = 16 | 32 | 64
export type DataItem =
  { kind: 'string'; bytes: number[] } | { kind: 'float'; value: number } | { kind: 'value'; value: Expression }

export type Action =
  | { kind: 'instruction'; instruction: Instruction; bits: Bits; defaultRelative: boolean }
  | { kind: 'data'; unit: number; items: DataItem[] }
  | { kind: 'reserve'; unit: number; count: Expression }
  | { kind: 'align'; boundary: Expression; fill: Expression | undefined; zero: boolean }
  | { kind: 'org'; address: Expression }
  | { kind: 'times'; count: Expression; action: Action }

export type Statement = {
  line: number
  source: string
  label: string | undefined
  equ: Expression | undefined
  action: Action | undefined
}

const DATA: Readonly<Record<string, number>> = { db: 1, dw: 2, dd: 4, dq: 8, dt: 10 }
const RESERVE: Readonly<Record<string, number>> = { resb: 1, resw: 2, resd: 4, resq: 8 }
const PREFIX_BYTES: Readonly<Record<string, number>> = {
  lock: 0xf0,
  rep: 0xf3,
  repe: 0xf3,
  repz: 0xf3,
  repne: 0xf2,
  repnz: 0xf2,
  es: 0x26,
  cs: 0x2e,
  ss: 0x36,
  ds: 0x3e,
  fs: 0x64,
  gs: 0x65,
}
const SIZE_PREFIX = /^([oa])(16|32|64)$/

type State = { bits: Bits; defaultRelative: boolean; scope: string }

export function parseProgram(source: string, bits: Bits): Statement[] {
  const state: State = { bits, defaultRelative: false, scope: '' }
  const statements: Statement[] = []
  const defined = new Set<string>()
  for (const [n, text] of source.split('\n').entries()) {
    const tokens = tokenize(text, n + 1)
    if (tokens.length === 0) continue
    const cursor = new Cursor(tokens, n + 1, state.scope)
    const statement = parseStatement(cursor, state, text)
    if (cursor.peek() !== undefined) throw cursor.error(`unexpected '${cursor.peek()?.text}'`)
    if (statement.label !== undefined) {
      if (defined.has(statement.label))
        throw new AssemblyError(`'${statement.label}' is defined twice`, n + 1, tokens[0]?.column ?? 1)
      defined.add(statement.label)
    }
    if (statement.label !== undefined || statement.action !== undefined) statements.push(statement)
  }
  return statements
}

function parseStatement(cursor: Cursor, state: State, source: string): Statement {
  const statement: Statement = { line: cursor.line, source, label: undefined, equ: undefined, action: undefined }
  const first = cursor.peek()
  const second = cursor.peek(1)
  const secondWord = second?.kind === 'name' ? second.text.toLowerCase() : ''
  const isData = DATA[secondWord] !== undefined || RESERVE[secondWord] !== undefined || secondWord === 'equ'
  const firstWord = first?.kind === 'name' ? first.text.toLowerCase() : ''
  const isLabel = cursor.is(':', 1) || (isData && !isDirective(firstWord))
  if (first?.kind === 'name' && isLabel && PREFIX_BYTES[firstWord] === undefined) {
    if (REGISTERS.has(firstWord)) throw cursor.error(`${firstWord} is a register and cannot be a label`)
    cursor.at++
    cursor.take(':')
    if (cursor.take('equ')) {
      statement.label = cursor.qualify(first.text)
      statement.equ = parseExpression(cursor)
      return statement
    }
    if (!first.text.startsWith('.')) state.scope = cursor.scope = first.text
    statement.label = cursor.qualify(first.text)
  }
  if (cursor.peek() !== undefined) statement.action = parseAction(cursor, state)
  return statement
}

const isDirective = (word: string): boolean =>
  word === 'times' || word === 'align' || word === 'org' || word === 'bits' || word === 'default'

function parseAction(cursor: Cursor, state: State): Action | undefined {
  const bracketed = cursor.is('[') && (cursor.is('bits', 1) || cursor.is('org', 1)) && cursor.take('[')
  const token = cursor.next()
  if (token.kind !== 'name') throw cursor.error('expected an instruction or a directive', token.column)
  const word = token.text.toLowerCase()
  const action = parseDirective(word, cursor, state)
  if (bracketed) cursor.expect(']')
  if (action !== undefined) return action === 'none' ? undefined : action
  return parseInstruction(word, token.column, cursor, state)
}

function parseDirective(word: string, cursor: Cursor, state: State): Action | 'none' | undefined {
  switch (word) {
    case 'bits': {
      const value = cursor.next()
      const bits = value.kind === 'number' ? Number(value.value) : 0
      if (bits !== 16 && bits !== 32 && bits !== 64) throw cursor.error('bits is 16, 32 or 64', value.column)
      state.bits = bits
      return 'none'
    }
    case 'default':
      if (cursor.take('rel')) state.defaultRelative = true
      else if (cursor.take('abs')) state.defaultRelative = false
      else throw cursor.error("default is 'rel' or 'abs'")
      return 'none'
    case 'org':
      return { kind: 'org', address: parseExpression(cursor) }
    case 'align':
    case 'alignb': {
      const boundary = parseExpression(cursor)
      if (!cursor.take(',')) return { kind: 'align', boundary, fill: undefined, zero: word === 'alignb' }
      cursor.take('db')
      return { kind: 'align', boundary, fill: parseExpression(cursor), zero: false }
    }
    case 'times': {
      const count = parseExpression(cursor)
      const action = parseAction(cursor, state)
      if (action === undefined) throw cursor.error('times needs something to repeat')
      return { kind: 'times', count, action }
    }
  }
  const unit = DATA[word]
  if (unit !== undefined) {
    const items: DataItem[] = []
    do items.push(parseDataItem(cursor))
    while (cursor.take(','))
    return { kind: 'data', unit, items }
  }
  const reserved = RESERVE[word]
  return reserved === undefined ? undefined : { kind: 'reserve', unit: reserved, count: parseExpression(cursor) }
}

function parseDataItem(cursor: Cursor): DataItem {
  const token = cursor.peek()
  const following = cursor.peek(1)
  const alone = following === undefined || (following.kind === 'punctuation' && following.text === ',')
  if (token?.kind === 'string' && alone) {
    cursor.at++
    return { kind: 'string', bytes: token.bytes }
  }
  const negative = cursor.is('-') && following?.kind === 'float'
  const float = negative ? following : token
  if (float?.kind === 'float') {
    cursor.at += negative ? 2 : 1
    return { kind: 'float', value: negative ? -float.value : float.value }
  }
  return { kind: 'value', value: parseExpression(cursor) }
}

function parseInstruction(word: string, column: number, cursor: Cursor, state: State): Action {
  const prefixes: Prefixes = { bytes: [], operandSize: 0, addressSize: 0 }
  let mnemonic: string | undefined = word
  for (;;) {
    const byte = PREFIX_BYTES[mnemonic]
    const size = SIZE_PREFIX.exec(mnemonic)
    if (byte !== undefined) prefixes.bytes.push(byte)
    else if (size !== null) prefixes[size[1] === 'o' ? 'operandSize' : 'addressSize'] = Number(size[2])
    else break
    const next = cursor.peek()
    if (next === undefined) break
    if (next.kind !== 'name') throw cursor.error('expected an instruction after the prefix')
    cursor.at++
    mnemonic = next.text.toLowerCase()
    column = next.column
  }
  const bits = state.bits
  if (PREFIX_BYTES[mnemonic] !== undefined) return { kind: 'data', unit: 1, items: [{ kind: 'string', bytes: prefixes.bytes }] }
  if (!isMnemonic(mnemonic)) throw cursor.error(`unknown instruction '${mnemonic}'`, column)
  const operands: Operand[] = []
  if (cursor.peek() !== undefined) {
    do operands.push(parseOperand(cursor))
    while (cursor.take(','))
  }
  return {
    kind: 'instruction',
    instruction: { mnemonic, prefixes, operands, column },
    bits,
    defaultRelative: state.defaultRelative,
  }
}
