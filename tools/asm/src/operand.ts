import type { Cursor } from './expression.ts'
import { parseExpression, type Expression } from './expression.ts'
import { REGISTERS, type Register } from './registers.ts'

export type MemoryOperand = {
  kind: 'memory'
  /** Bits, 0 when the source does not say. */
  size: number
  far: boolean
  address: Expression
  segment: Register | undefined
  /** Width of the displacement in bits, 0 for the shortest. */
  displacement: number
  /** `[rel x]`, `[abs x]`, or neither. */
  relative: boolean | undefined
  column: number
}

export type Operand =
  | { kind: 'register'; register: Register; column: number }
  | MemoryOperand
  | {
      kind: 'immediate'
      size: number
      strict: boolean
      distance: 'short' | 'near' | undefined
      value: Expression
      column: number
    }
  | { kind: 'far'; size: number; segment: Expression; offset: Expression; column: number }

const SIZES: Readonly<Record<string, number>> = { byte: 8, word: 16, dword: 32, qword: 64, tword: 80, oword: 128 }

export function parseOperand(cursor: Cursor): Operand {
  const column = cursor.column
  let size = 0
  let strict = false
  let far = false
  let distance: 'short' | 'near' | undefined
  for (;;) {
    const token = cursor.peek()
    if (token?.kind !== 'name') break
    const word = token.text.toLowerCase()
    if (SIZES[word] !== undefined) size = SIZES[word]
    else if (word === 'strict') strict = true
    else if (word === 'far') far = true
    else if (word === 'short' || word === 'near') distance = word
    else break
    cursor.at++
  }
  if (cursor.is('[')) return parseMemory(cursor, size, far, column)
  const token = cursor.peek()
  const register = token?.kind === 'name' ? REGISTERS.get(token.text.toLowerCase()) : undefined
  if (register !== undefined) {
    cursor.at++
    if (size !== 0 && register.size !== 0 && size !== register.size)
      throw cursor.error(`${register.name} has ${register.size} bits`, column)
    return { kind: 'register', register, column }
  }
  const value = parseExpression(cursor)
  if (cursor.take(':')) return { kind: 'far', size, segment: value, offset: parseExpression(cursor), column }
  return { kind: 'immediate', size, strict, distance, value, column }
}

function parseMemory(cursor: Cursor, size: number, far: boolean, column: number): MemoryOperand {
  cursor.expect('[')
  let displacement = 0
  let relative: boolean | undefined
  for (;;) {
    const token = cursor.peek()
    if (token?.kind !== 'name') break
    const word = token.text.toLowerCase()
    if (SIZES[word] !== undefined) displacement = SIZES[word]
    else if (word === 'rel') relative = true
    else if (word === 'abs') relative = false
    else break
    cursor.at++
  }
  let segment: Register | undefined
  const first = cursor.peek()
  if (first?.kind === 'name' && cursor.is(':', 1)) {
    segment = REGISTERS.get(first.text.toLowerCase())
    if (segment?.class !== 'segment') throw cursor.error('expected a segment register before the colon')
    cursor.at += 2
  }
  const address = parseExpression(cursor)
  cursor.expect(']')
  return { kind: 'memory', size, far, address, segment, displacement, relative, column }
}
