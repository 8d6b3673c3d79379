import { floatBytes, integerBytes } from './data.ts'
import { encodeInstruction, type Growth } from './encode.ts'
import { AssemblyError } from './errors.ts'
import { evaluate, type Expression, type Scope } from './expression.ts'
import { parseProgram, type Action, type Bits, type Statement } from './statement.ts'

export type AssembleOptions = {
  /** Code size before the first `bits`; 16 by default, as in NASM's flat binaries. */
  bits?: Bits
  /** Address of the first byte, before any `org`. */
  origin?: number | bigint
  /** Symbols that the source may use without defining them. */
  symbols?: Readonly<Record<string, number | bigint>>
}

export type ListingLine = { line: number; offset: number; address: bigint; bytes: Uint8Array; source: string }

export type Assembly = {
  bytes: Uint8Array
  /** Labels and `equ` symbols; local ones as `scope.name`. Values above 2^53 are exact only in `symbols`. */
  labels: Map<string, number>
  symbols: Map<string, bigint>
  listing: ListingLine[]
}

const MAX_PASSES = 200

/** Assembles Intel-syntax source to a flat binary. Throws `AssemblyError`. */
export function assemble(source: string, options: AssembleOptions = {}): Assembly {
  const program = new Program(parseProgram(source, options.bits ?? 16), options)
  for (let pass = 0; pass < MAX_PASSES; pass++) if (program.pass(pass > 0)) return program.result()
  throw new AssemblyError('sizes do not settle: an align, times or equ depends on itself', 1, 1)
}

class Program {
  readonly #statements: Statement[]
  readonly #origin: bigint
  readonly #symbols = new Map<string, bigint>()
  readonly #external = new Map<string, bigint>()
  readonly #growth = new Map<string, Growth>()
  #out: number[] = []
  #listing: ListingLine[] = []
  #here = 0n
  #section = 0n
  #changed = false
  #error: AssemblyError | undefined
  #strict = false

  constructor(statements: Statement[], options: AssembleOptions) {
    this.#statements = statements
    this.#origin = BigInt(options.origin ?? 0)
    for (const [name, value] of Object.entries(options.symbols ?? {})) this.#external.set(name, BigInt(value))
  }

  /** Returns true when nothing moved any more. An error counts only then: a symbol may still be on its way. */
  pass(strict: boolean): boolean {
    this.#out = []
    this.#listing = []
    this.#here = this.#section = this.#origin
    this.#changed = false
    this.#error = undefined
    this.#strict = strict
    for (const [index, statement] of this.#statements.entries()) this.#statement(statement, index)
    if (this.#changed || !strict) return false
    if (this.#error !== undefined) throw this.#error
    return true
  }

  result(): Assembly {
    const labels = new Map<string, number>()
    for (const [name, value] of this.#symbols) labels.set(name, Number(value))
    return { bytes: Uint8Array.from(this.#out), labels, symbols: this.#symbols, listing: this.#listing }
  }

  #statement(statement: Statement, index: number): void {
    const scope = this.#scope(statement.line)
    const offset = this.#out.length
    try {
      if (statement.equ !== undefined) {
        const { value, known } = evaluate(statement.equ, scope)
        if (known) this.#define(statement.label as string, value)
        return
      }
      if (statement.label !== undefined && statement.action?.kind !== 'org') this.#define(statement.label, this.#here)
      if (statement.action !== undefined) this.#act(statement.action, statement, `${index}`)
      if (statement.label !== undefined && statement.action?.kind === 'org') this.#define(statement.label, this.#here)
    } catch (error) {
      if (!(error instanceof AssemblyError)) throw error
      this.#error ??= error
    }
    if (statement.action !== undefined)
      this.#listing.push({
        line: statement.line,
        offset,
        address: scope.here,
        bytes: Uint8Array.from(this.#out.slice(offset)),
        source: statement.source,
      })
  }

  #define(name: string, value: bigint): void {
    if (this.#symbols.get(name) === value) return
    this.#symbols.set(name, value)
    this.#changed = true
  }

  #scope(line: number): Scope {
    return {
      here: this.#here,
      origin: this.#section,
      lookup: (name, column) => {
        const value = this.#symbols.get(name) ?? this.#external.get(name)
        if (value === undefined && this.#strict) throw new AssemblyError(`'${name}' is not defined`, line, column)
        return value
      },
      error: (reason, column) => new AssemblyError(reason, line, column),
    }
  }

  #append(bytes: ArrayLike<number>): void {
    for (let n = 0; n < bytes.length; n++) this.#out.push(bytes[n] as number)
    this.#here += BigInt(bytes.length)
  }

  #count(e: Expression, scope: Scope, what: string): number {
    const { value } = evaluate(e, scope)
    if (value < 0n) throw scope.error(`${what} is negative (${value})`, 1)
    if (value > 0x4000_0000n) throw scope.error(`${what} is too large (${value})`, 1)
    return Number(value)
  }

  #act(action: Action, statement: Statement, key: string): void {
    const scope = this.#scope(statement.line)
    switch (action.kind) {
      case 'instruction':
        return this.#instruction(action, scope, key)
      case 'data':
        for (const item of action.items) {
          if (item.kind === 'string')
            this.#append([
              ...item.bytes,
              ...new Array<number>((action.unit - (item.bytes.length % action.unit)) % action.unit).fill(0),
            ])
          else if (item.kind === 'float') this.#append(floatBytes(item.value, action.unit, scope))
          else this.#append(integerBytes(evaluate(item.value, scope).value, action.unit, scope))
        }
        return
      case 'reserve':
        return this.#append(new Uint8Array(this.#count(action.count, scope, 'the count') * action.unit))
      case 'align': {
        const boundary = BigInt(this.#count(action.boundary, scope, 'the boundary'))
        if (boundary === 0n || (boundary & (boundary - 1n)) !== 0n) throw scope.error('the boundary must be a power of two', 1)
        const fill = action.fill === undefined ? (action.zero ? 0 : 0x90) : Number(evaluate(action.fill, scope).value & 0xffn)
        return this.#append(new Uint8Array(Number((boundary - (this.#here % boundary)) % boundary)).fill(fill))
      }
      case 'org':
        this.#here = this.#section = evaluate(action.address, scope).value
        return
      case 'times': {
        const count = this.#count(action.count, scope, 'the count of times')
        for (let n = 0; n < count; n++) this.#act(action.action, statement, `${key}.${n}`)
        return
      }
    }
  }

  #instruction(action: Extract<Action, { kind: 'instruction' }>, scope: Scope, key: string): void {
    let growth = this.#growth.get(key)
    if (growth === undefined) this.#growth.set(key, (growth = { minimum: 0, wide: false }))
    const bytes = encodeInstruction(action.instruction, {
      bits: action.bits,
      defaultRelative: action.defaultRelative,
      scope,
      growth,
    })
    if (bytes.length !== growth.minimum) {
      this.#changed = true
      growth.minimum = bytes.length
    }
    this.#append(bytes)
  }
}
