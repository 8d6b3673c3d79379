import { AssemblyError } from './errors.ts'
import { REGISTERS, type Register } from './registers.ts'
import type { Token } from './lexer.ts'

export type Expression =
  | { kind: 'number'; value: bigint }
  | { kind: 'symbol'; name: string; column: number }
  | { kind: 'here' }
  | { kind: 'origin' }
  | { kind: 'register'; register: Register; column: number }
  | { kind: 'unary'; operator: string; operand: Expression; column: number }
  | { kind: 'binary'; operator: string; left: Expression; right: Expression; column: number }

/** Reads tokens of one line from left to right. */
export class Cursor {
  at = 0
  readonly tokens: readonly Token[]
  readonly line: number
  /** The last label that is not local; `.x` means `scope.x`. */
  scope: string

  constructor(tokens: readonly Token[], line: number, scope: string) {
    this.tokens = tokens
    this.line = line
    this.scope = scope
  }

  peek(ahead = 0): Token | undefined {
    return this.tokens[this.at + ahead]
  }

  next(): Token {
    const token = this.tokens[this.at]
    if (token === undefined) throw this.error('something is missing at the end of the line')
    this.at++
    return token
  }

  is(text: string, ahead = 0): boolean {
    const token = this.peek(ahead)
    return token !== undefined && token.kind !== 'string' && token.text.toLowerCase() === text
  }

  take(text: string): boolean {
    if (!this.is(text)) return false
    this.at++
    return true
  }

  expect(text: string): void {
    if (!this.take(text)) throw this.error(`expected '${text}'`)
  }

  get column(): number {
    const last = this.tokens[this.tokens.length - 1]
    return this.peek()?.column ?? (last === undefined ? 1 : last.column + last.text.length)
  }

  error(reason: string, column = this.column): AssemblyError {
    return new AssemblyError(reason, this.line, column)
  }

  qualify(name: string): string {
    return name.startsWith('.') ? this.scope + name : name
  }
}

const PRECEDENCE: Readonly<Record<string, number>> = {
  '|': 1,
  '^': 2,
  '&': 3,
  '<<': 4,
  '>>': 4,
  '+': 5,
  '-': 5,
  '*': 6,
  '/': 6,
  '//': 6,
  '%': 6,
}

export function parseExpression(cursor: Cursor, minimum = 1): Expression {
  let left = parseUnary(cursor)
  for (;;) {
    const token = cursor.peek()
    if (token?.kind !== 'punctuation') return left
    const precedence = PRECEDENCE[token.text]
    if (precedence === undefined || precedence < minimum) return left
    cursor.at++
    left = { kind: 'binary', operator: token.text, left, right: parseExpression(cursor, precedence + 1), column: token.column }
  }
}

function parseUnary(cursor: Cursor): Expression {
  const token = cursor.next()
  switch (token.kind) {
    case 'number':
      return { kind: 'number', value: token.value }
    case 'string': {
      if (token.bytes.length === 0 || token.bytes.length > 8)
        throw cursor.error('a character constant has 1 to 8 bytes', token.column)
      return { kind: 'number', value: token.bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n) }
    }
    case 'float':
      throw cursor.error('a floating-point constant can stand only in dd, dq and dt', token.column)
    case 'name': {
      const register = REGISTERS.get(token.text.toLowerCase())
      if (register !== undefined) return { kind: 'register', register, column: token.column }
      return { kind: 'symbol', name: cursor.qualify(token.text), column: token.column }
    }
    case 'punctuation':
      if (token.text === '$') return { kind: 'here' }
      if (token.text === '$$') return { kind: 'origin' }
      if (token.text === '(') {
        const inner = parseExpression(cursor)
        cursor.expect(')')
        return inner
      }
      if ('-+~!'.includes(token.text))
        return { kind: 'unary', operator: token.text, operand: parseUnary(cursor), column: token.column }
      throw cursor.error(`unexpected '${token.text}'`, token.column)
  }
}

export type Scope = {
  readonly here: bigint
  readonly origin: bigint
  /** Undefined while a symbol's value is not known yet. */
  lookup(name: string, column: number): bigint | undefined
  error(reason: string, column: number): AssemblyError
}

/** A sum of registers and a number. `known` is false when a symbol had no value yet, and counted as zero. */
export type Linear = { value: bigint; known: boolean; registers: { register: Register; factor: bigint }[] }

const constant = (value: bigint, known = true): Linear => ({ value, known, registers: [] })

export function evaluateLinear(e: Expression, scope: Scope): Linear {
  switch (e.kind) {
    case 'number':
      return constant(e.value)
    case 'here':
      return constant(scope.here)
    case 'origin':
      return constant(scope.origin)
    case 'symbol': {
      const value = scope.lookup(e.name, e.column)
      return constant(value ?? 0n, value !== undefined)
    }
    case 'register':
      return { value: 0n, known: true, registers: [{ register: e.register, factor: 1n }] }
    case 'unary': {
      const a = evaluateLinear(e.operand, scope)
      if (e.operator === '+') return a
      if (a.registers.length > 0) throw scope.error(`'${e.operator}' cannot be applied to a register`, e.column)
      return constant(e.operator === '-' ? -a.value : e.operator === '~' ? ~a.value : a.value === 0n ? 1n : 0n, a.known)
    }
    case 'binary': {
      const a = evaluateLinear(e.left, scope)
      const b = evaluateLinear(e.right, scope)
      const known = a.known && b.known
      if (e.operator === '+') return { value: a.value + b.value, known, registers: [...a.registers, ...b.registers] }
      if (e.operator === '*' && a.registers.length + b.registers.length > 0) {
        if (a.registers.length > 0 && b.registers.length > 0) throw scope.error('registers cannot be multiplied', e.column)
        const [sum, factor] = a.registers.length > 0 ? [a, b.value] : [b, a.value]
        return {
          value: sum.value * factor,
          known,
          registers: sum.registers.map((r) => ({ register: r.register, factor: r.factor * factor })),
        }
      }
      if (b.registers.length > 0 || (a.registers.length > 0 && e.operator !== '-'))
        throw scope.error(`'${e.operator}' cannot be applied to a register`, e.column)
      return { value: binary(e.operator, a.value, b.value, known, scope, e.column), known, registers: a.registers }
    }
  }
}

function binary(operator: string, a: bigint, b: bigint, known: boolean, scope: Scope, column: number): bigint {
  switch (operator) {
    case '-':
      return a - b
    case '*':
      return a * b
    case '<<':
      return a << b
    case '>>':
      return a >> b
    case '&':
      return a & b
    case '|':
      return a | b
    case '^':
      return a ^ b
    default:
      if (b === 0n) {
        if (!known) return 0n
        throw scope.error('division by zero', column)
      }
      return operator === '%' ? a % b : a / b
  }
}

export function evaluate(e: Expression, scope: Scope): { value: bigint; known: boolean } {
  const { value, known, registers } = evaluateLinear(e, scope)
  if (registers.length > 0) throw scope.error('a register cannot stand here', 1)
  return { value, known }
}
