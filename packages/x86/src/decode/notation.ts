import type { Feature } from './features.ts'
import { letters, modOf, type Letter } from './letters.ts'
import type { Mnemonic } from './mnemonics.ts'
import type { DecodeRow, OpcodeMap, Prefix, RowFlag } from './row.ts'

/** The notation in which the tables are written. */

/** Everything that a row says beside its mnemonic and its letters. */
export interface Mark {
  readonly flag?: RowFlag
  readonly prefix?: Prefix
  readonly reg?: number
  readonly mod?: 'mem' | 'reg'
  readonly rm?: number
  readonly count?: number
  readonly feature?: Feature
  readonly shown?: string
}

export interface RowSpec {
  readonly mnemonic: Mnemonic
  readonly operands: readonly Letter[]
  readonly marks: readonly Mark[]
}

export const lock: Mark = { flag: 'lock' }
export const rep: Mark = { flag: 'rep' }
export const i64: Mark = { flag: 'i64' }
export const o64: Mark = { flag: 'o64' }
export const d64: Mark = { flag: 'd64' }
export const f64: Mark = { flag: 'f64' }
export const rexW: Mark = { flag: 'rexW' }
export const rexB: Mark = { flag: 'rexB' }
export const anymod: Mark = { flag: 'anymod' }

export const np: Mark = { prefix: 'np' }
export const nfx: Mark = { prefix: 'nfx' }
export const p66: Mark = { prefix: '66' }
export const pF3: Mark = { prefix: 'f3' }
export const pF2: Mark = { prefix: 'f2' }

/** `/digit`: ModRM.reg is part of the opcode. */
export const digit = (reg: number): Mark => ({ reg })
/** A whole ModRM byte of the register form is part of the opcode. */
export const modrm = (byte: number): Mark => ({ reg: (byte >> 3) & 7, mod: 'reg', rm: byte & 7 })
/** The row holds for the opcode and the following ones, which name a register. */
export const span = (count: number): Mark => ({ count })
/** Sixteen opcodes, one for each condition. */
export const conditions: readonly Mark[] = [{ flag: 'cc' }, { count: 16 }]
export const needs = (feature: Feature): Mark => ({ feature })
export const shown = (name: string): Mark => ({ shown: name })

export function row(mnemonic: Mnemonic, ...parts: readonly (Letter | Mark)[]): RowSpec {
  const operands = parts.filter((part) => typeof part === 'string')
  const marks = parts.filter((part) => typeof part !== 'string')
  return { mnemonic, operands, marks }
}

/** Rows of one opcode map by opcode. `feature` holds where the row does not name another. */
export interface Table {
  readonly map: OpcodeMap
  readonly feature: Feature
  readonly rows: Readonly<Record<number, RowSpec | readonly RowSpec[]>>
}

export function table(map: OpcodeMap, feature: Feature, rows: Table['rows']): Table {
  return { map, feature, rows }
}

/** A row as long as it is being put together. */
export type DraftRow = { -readonly [K in keyof DecodeRow]: DecodeRow[K] }

export function expand(tables: readonly Table[]): DraftRow[] {
  const drafts: DraftRow[] = []
  for (const { map, feature, rows } of tables) {
    for (const [key, specs] of Object.entries(rows)) {
      for (const spec of [specs].flat()) drafts.push(draft(drafts.length, map, Number(key), feature, spec))
    }
  }
  return drafts
}

function draft(id: number, map: OpcodeMap, opcode: number, feature: Feature, spec: RowSpec): DraftRow {
  const flags: RowFlag[] = []
  const result: DraftRow = {
    id,
    mnemonic: spec.mnemonic,
    operands: spec.operands,
    feature,
    map,
    opcode,
    count: 1,
    prefix: 'any',
    flags,
  }
  for (const letter of spec.operands) {
    if (!(letter in letters)) throw new Error(`${spec.mnemonic}: no operand letter ${letter}`)
    const mod = modOf(letter)
    if (mod) result.mod = mod
  }
  for (const mark of spec.marks) {
    if (mark.flag) flags.push(mark.flag)
    if (mark.prefix) result.prefix = mark.prefix
    if (mark.reg !== undefined) result.modrmReg = mark.reg
    if (mark.mod) result.mod = mark.mod
    if (mark.rm !== undefined) result.rm = mark.rm
    if (mark.count) result.count = mark.count
    if (mark.feature) result.feature = mark.feature
    if (mark.shown) result.shown = mark.shown
  }
  if (flags.includes('anymod')) delete result.mod
  return result
}
