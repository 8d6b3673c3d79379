import type { SemanticTable } from '../registry.ts'
import { arithmeticSemantics } from './arithmetic.ts'
import { compareSemantics } from './compare.ts'
import { controlSemantics } from './control.ts'
import { convertSemantics } from './convert.ts'
import { moveSemantics } from './move.ts'
import { sse4Semantics } from './sse4.ts'
import { shuffleSemantics } from './shuffle.ts'

/** SSE to SSE4.2 beyond the packed integers, which `mmxSemantics` has. */
export const sseSemantics: SemanticTable = {
  ...moveSemantics,
  ...shuffleSemantics,
  ...arithmeticSemantics,
  ...compareSemantics,
  ...convertSemantics,
  ...controlSemantics,
  ...sse4Semantics,
}
