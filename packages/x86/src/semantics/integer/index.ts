import type { SemanticTable } from '../registry.ts'
import { arithmetic } from './arithmetic.ts'
import { bits } from './bits.ts'
import { branch } from './branch.ts'
import { check } from './check.ts'
import { checksum } from './checksum.ts'
import { decimal } from './decimal.ts'
import { exchange } from './exchange.ts'
import { flagControl } from './flag-control.ts'
import { hint } from './hint.ts'
import { move } from './move.ts'
import { multiply } from './multiply.ts'
import { rotates } from './rotate.ts'
import { shift } from './shift.ts'
import { stack } from './stack.ts'
import { string } from './string.ts'

export const integerSemantics: SemanticTable = {
  ...move,
  ...arithmetic,
  ...multiply,
  ...shift,
  ...rotates,
  ...bits,
  ...exchange,
  ...stack,
  ...branch,
  ...string,
  ...decimal,
  ...flagControl,
  ...checksum,
  ...check,
  ...hint,
}
