import type { Feature } from './features.ts'
import type { Letter } from './letters.ts'
import type { Mnemonic } from './mnemonics.ts'

export type OpcodeMap = '1' | '0f' | '0f38' | '0f3a'

/**
 * What the row says about 66, F2 and F3: `any` and `nfx` leave 66 its meaning of operand size, `nfx` has no form with F2 or F3;
 * `np` has no form with any of the three; `66`, `f2`, `f3` are mandatory prefixes. [SDM2 3.1.1.1
 * "Opcode Column in the Instruction Summary Table"]
 */
export type Prefix = 'any' | 'nfx' | 'np' | '66' | 'f3' | 'f2'

/**
 * `lock`: LOCK is allowed when the first operand is memory. `rep`: F2 and F3 repeat it. `cc`: the opcode's low nibble is a condition.
 * `i64`, `o64`, `d64`, `f64`: [SDM2 Table A-1 "Superscripts Utilized in Opcode Tables"].
 * `anymod`: ModRM.mod is ignored and taken as 3. `rexW`, `rexB`: the row of the same opcode when that bit is set.
 */
export type RowFlag = 'lock' | 'rep' | 'cc' | 'i64' | 'o64' | 'd64' | 'f64' | 'anymod' | 'rexW' | 'rexB'

/** One line of the opcode maps. */
export interface DecodeRow {
  /** Position in `allRows`. */
  readonly id: number
  readonly mnemonic: Mnemonic
  readonly operands: readonly Letter[]
  readonly feature: Feature
  readonly map: OpcodeMap
  /** First opcode; the row covers `opcode` to `opcode + count - 1`. */
  readonly opcode: number
  readonly count: number
  readonly prefix: Prefix
  /** Only these values of the ModRM fields belong to the row. */
  readonly modrmReg?: number
  readonly mod?: 'mem' | 'reg'
  readonly rm?: number
  readonly flags: readonly RowFlag[]
  /** Name in listings where it differs from the mnemonic (PREFETCHT0 is a PREFETCH, ENDBR64 a NOP). */
  readonly shown?: string
  /** What the encoding means to a processor without the feature: BSF for TZCNT. Without it the encoding is invalid there. */
  readonly otherwise?: DecodeRow
}
