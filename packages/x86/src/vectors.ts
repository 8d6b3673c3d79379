import { arithmeticVectors } from './semantics/integer/arithmetic.vectors.ts'
import { bitStringVectors } from './semantics/integer/bit-string.vectors.ts'
import { bitsVectors } from './semantics/integer/bits.vectors.ts'
import { branchVectors } from './semantics/integer/branch.vectors.ts'
import { decimalVectors } from './semantics/integer/decimal.vectors.ts'
import { exchangeVectors } from './semantics/integer/exchange.vectors.ts'
import { legacyVectors } from './semantics/integer/legacy.vectors.ts'
import { moveVectors } from './semantics/integer/move.vectors.ts'
import { multiplyVectors } from './semantics/integer/multiply.vectors.ts'
import { shiftVectors } from './semantics/integer/shift.vectors.ts'
import { stringVectors } from './semantics/integer/string.vectors.ts'

/** Unit vectors of the integer instructions, by family. Any engine runs them: see `runVector`. */
export const integerVectors: Readonly<Record<string, readonly string[]>> = {
  move: moveVectors,
  arithmetic: arithmeticVectors,
  multiply: multiplyVectors,
  shift: shiftVectors,
  bits: bitsVectors,
  bitString: bitStringVectors,
  exchange: exchangeVectors,
  legacy: legacyVectors,
  branch: branchVectors,
  string: stringVectors,
  decimal: decimalVectors,
}

export * from './semantics/vector.ts'
export * from './softfloat/vectors/float-vector.ts'
export { sseVectors } from './softfloat/vectors/sse.vectors.ts'
export { x87Vectors } from './softfloat/vectors/x87.vectors.ts'
