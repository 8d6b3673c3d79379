import { letters, usesModrm, type OperandReader } from './letters.ts'
import { expand, type DraftRow, type Table } from './notation.ts'
import { REX_B, REX_W } from './reading.ts'
import type { DecodeRow, OpcodeMap, Prefix } from './row.ts'
import { crypto } from './tables/crypto.ts'
import { mmx } from './tables/mmx.ts'
import { oneByte } from './tables/one-byte.ts'
import { sse, sse3 } from './tables/sse.ts'
import { threeByte38, threeByte3A } from './tables/ssse3-sse4.ts'
import { threeByteInteger, twoByte } from './tables/two-byte.ts'
import { svm, vmx } from './tables/virtualization.ts'
import { x87 } from './tables/x87.ts'

/** The rows made ready for look-up by array index alone. */

const tables: readonly Table[] = [
  oneByte,
  twoByte,
  threeByteInteger,
  x87,
  mmx,
  sse,
  sse3,
  threeByte38,
  threeByte3A,
  ...crypto,
  ...vmx,
  svm,
]

const drafts = expand(tables)

/** Every row of every map. */
export const allRows: readonly DecodeRow[] = drafts

/** A row with what the decoder asks of it. */
export interface Leaf {
  readonly row: DecodeRow
  readonly readers: readonly OperandReader[]
  readonly lockable: boolean
  readonly repeatable: boolean
  readonly conditional: boolean
  readonly sizing: 'v' | 'd64' | 'f64'
  /** 66 is a mandatory prefix here and says nothing of the operand size. */
  readonly fixed66: boolean
  /** The leaf to take in its place when a bit of `rexMask` is set in REX. */
  readonly rexMask: number
  readonly rexLeaf: Leaf | undefined
}

export const NO_PREFIX = 0
export const PREFIX_66 = 1
export const PREFIX_F3 = 2
export const PREFIX_F2 = 3
const prefixSlots: Record<Prefix, readonly number[]> = {
  any: [NO_PREFIX, PREFIX_66, PREFIX_F3, PREFIX_F2],
  nfx: [NO_PREFIX, PREFIX_66],
  np: [NO_PREFIX],
  '66': [PREFIX_66],
  f3: [PREFIX_F3],
  f2: [PREFIX_F2],
}

/** One opcode: leaves by prefix slot, or by prefix slot * 256 + ModRM byte. */
export interface OpcodeEntry {
  readonly modrm: boolean
  readonly registersOnly: boolean
  readonly leaves: readonly (Leaf | undefined)[]
}

export type OpcodeTable = readonly (OpcodeEntry | undefined)[]

type MutableLeaf = { -readonly [K in keyof Leaf]: Leaf[K] }

function leafOf(row: DecodeRow): MutableLeaf {
  const has = (flag: DecodeRow['flags'][number]) => row.flags.includes(flag)
  return {
    row,
    readers: row.operands.map((letter) => letters[letter]),
    lockable: has('lock'),
    repeatable: has('rep'),
    conditional: has('cc'),
    sizing: has('f64') ? 'f64' : has('d64') ? 'd64' : 'v',
    fixed66: row.prefix === '66',
    rexMask: 0,
    rexLeaf: undefined,
  }
}

function needsModrm(row: DecodeRow): boolean {
  return row.modrmReg !== undefined || row.mod !== undefined || row.operands.some(usesModrm)
}

/** The more a row asks of prefix and ModRM, the later it is entered, so that it wins over the general one. */
function specificity(row: DecodeRow): number {
  const modrm = (row.modrmReg === undefined ? 0 : 1) + (row.mod === undefined ? 0 : 1) + (row.rm === undefined ? 0 : 1)
  return prefixSpecificity(row) + 3 * modrm
}

function prefixSpecificity(row: DecodeRow): number {
  return row.prefix === 'any' ? 0 : row.prefix === 'nfx' ? 1 : 2
}

function matches(row: DecodeRow, modrm: number): boolean {
  if (row.modrmReg !== undefined && row.modrmReg !== ((modrm >> 3) & 7)) return false
  if (row.rm !== undefined && row.rm !== (modrm & 7)) return false
  return row.mod === undefined || (row.mod === 'reg') === modrm >= 0xc0
}

function entryOf(rows: readonly DraftRow[]): OpcodeEntry {
  const modrm = rows.some(needsModrm)
  const leaves = new Array<MutableLeaf | undefined>(modrm ? 4 * 256 : 4)
  const rexRows = rows.filter((row) => row.flags.includes('rexW') || row.flags.includes('rexB'))
  const plainRows = rows.filter((row) => !rexRows.includes(row)).sort((a, b) => specificity(a) - specificity(b))
  for (const row of plainRows) {
    const leaf = leafOf(row)
    for (const slot of slots(row, modrm)) {
      const displaced = leaves[slot]
      if (displaced) {
        if (specificity(displaced.row) === specificity(row)) {
          throw new Error(
            `${displaced.row.mnemonic} and ${row.mnemonic} claim the same encoding ${row.map} ${row.opcode.toString(16)}`,
          )
        }
        row.otherwise ??= displaced.row
      }
      leaves[slot] = leaf
    }
  }
  for (const row of rexRows) {
    const leaf = leafOf(row)
    const rexMask = row.flags.includes('rexW') ? REX_W : REX_B
    for (const slot of slots(row, modrm)) {
      const plain = leaves[slot]
      if (plain && prefixSpecificity(plain.row) <= prefixSpecificity(row)) leaves[slot] = { ...plain, rexMask, rexLeaf: leaf }
    }
  }
  return { modrm, registersOnly: rows.some((row) => row.flags.includes('anymod')), leaves }
}

function* slots(row: DecodeRow, modrm: boolean): Iterable<number> {
  for (const prefix of prefixSlots[row.prefix]) {
    if (!modrm) yield prefix
    else for (let byte = 0; byte < 256; byte++) if (matches(row, byte)) yield prefix * 256 + byte
  }
}

function opcodeTable(map: OpcodeMap, excluded: 'i64' | 'o64'): OpcodeTable {
  const byOpcode = Array.from({ length: 256 }, (): DraftRow[] => [])
  for (const row of drafts) {
    if (row.map !== map || row.flags.includes(excluded)) continue
    for (let i = 0; i < row.count; i++) byOpcode[row.opcode + i]!.push(row)
  }
  return byOpcode.map((rows) => (rows.length > 0 ? entryOf(rows) : undefined))
}

export interface OpcodeMaps {
  readonly one: OpcodeTable
  readonly two: OpcodeTable
  readonly three38: OpcodeTable
  readonly three3A: OpcodeTable
}

function maps(excluded: 'i64' | 'o64'): OpcodeMaps {
  return {
    one: opcodeTable('1', excluded),
    two: opcodeTable('0f', excluded),
    three38: opcodeTable('0f38', excluded),
    three3A: opcodeTable('0f3a', excluded),
  }
}

export const legacyMaps = maps('o64')
export const longMaps = maps('i64')
