import { AssemblyError } from './errors.ts'

export type Token =
  | { kind: 'name'; text: string; column: number }
  | { kind: 'number'; value: bigint; text: string; column: number }
  | { kind: 'float'; value: number; text: string; column: number }
  | { kind: 'string'; bytes: number[]; text: string; column: number }
  | { kind: 'punctuation'; text: string; column: number }

const NAME = /[A-Za-z_.?@][A-Za-z0-9_.?@$#~]*/y
const NUMBER =
  /(0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|[0-9][0-9a-fA-F_]*[hH](?![0-9A-Za-z_])|0[bB][01_]+(?![0-9A-Za-z_])|[01][01_]*[bB](?![0-9A-Za-z_])|[0-9][0-9_]*\.[0-9]*(?:[eE][+-]?[0-9]+)?|[0-9][0-9_]*)/y
const PUNCTUATION = /\$\$|<<|>>|\/\/|[-+*/%()[\],:~!&|^$]/y

/** The tokens of one line; a comment begins with a semicolon. */
export function tokenize(text: string, line: number): Token[] {
  const tokens: Token[] = []
  let at = 0
  const match = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at
    return pattern.exec(text)?.[0]
  }
  while (at < text.length) {
    const column = at + 1
    const c = text[at] as string
    if (c === ' ' || c === '\t' || c === '\r') {
      at++
      continue
    }
    if (c === ';') break
    if (c === "'" || c === '"' || c === '`') {
      const end = closingQuote(text, at, c)
      if (end < 0) throw new AssemblyError('string is not closed', line, column)
      const raw = text.slice(at + 1, end)
      tokens.push({
        kind: 'string',
        bytes: utf8(c === '`' ? unescape(raw, line, column) : raw),
        text: text.slice(at, end + 1),
        column,
      })
      at = end + 1
      continue
    }
    let s = match(NUMBER)
    if (s !== undefined) {
      tokens.push(
        s.includes('.')
          ? { kind: 'float', value: Number(s.replaceAll('_', '')), text: s, column }
          : { kind: 'number', value: parseNumber(s), text: s, column },
      )
      at += s.length
      if (at < text.length && /[A-Za-z0-9_]/.test(text[at] as string)) throw new AssemblyError(`malformed number`, line, column)
      continue
    }
    s = match(NAME)
    if (s !== undefined) {
      tokens.push({ kind: 'name', text: s, column })
      at += s.length
      continue
    }
    s = match(PUNCTUATION)
    if (s === undefined) throw new AssemblyError(`unexpected character ${JSON.stringify(c)}`, line, column)
    tokens.push({ kind: 'punctuation', text: s, column })
    at += s.length
  }
  return tokens
}

function parseNumber(text: string): bigint {
  const s = text.replaceAll('_', '').toLowerCase()
  if (s.endsWith('h')) return BigInt('0x' + s.slice(0, -1))
  if (/^0[xbo]/.test(s) && s.length > 2) return BigInt(s)
  if (s.endsWith('b')) return BigInt('0b' + s.slice(0, -1))
  return BigInt(s)
}

function closingQuote(text: string, open: number, quote: string): number {
  for (let i = open + 1; i < text.length; i++) {
    if (quote === '`' && text[i] === '\\') i++
    else if (text[i] === quote) return i
  }
  return -1
}

const ESCAPES: Readonly<Record<string, string>> = {
  n: '\n',
  r: '\r',
  t: '\t',
  e: '\x1b',
  a: '\x07',
  b: '\b',
  f: '\f',
  v: '\v',
  '0': '\0',
}

function unescape(raw: string, line: number, column: number): string {
  return raw.replace(/\\(x[0-9a-fA-F]{2}|.)/g, (_, e: string) => {
    if (e.length === 3) return String.fromCharCode(parseInt(e.slice(1), 16))
    const known = ESCAPES[e]
    if (known !== undefined) return known
    if (/[A-Za-z0-9]/.test(e)) throw new AssemblyError(`unknown escape \\${e}`, line, column)
    return e
  })
}

function utf8(text: string): number[] {
  const bytes: number[] = []
  for (const character of text) {
    const c = character.codePointAt(0) as number
    if (c < 0x80) bytes.push(c)
    else if (c < 0x800) bytes.push(0xc0 | (c >> 6), 0x80 | (c & 63))
    else if (c < 0x10000) bytes.push(0xe0 | (c >> 12), 0x80 | ((c >> 6) & 63), 0x80 | (c & 63))
    else bytes.push(0xf0 | (c >> 18), 0x80 | ((c >> 12) & 63), 0x80 | ((c >> 6) & 63), 0x80 | (c & 63))
  }
  return bytes
}
