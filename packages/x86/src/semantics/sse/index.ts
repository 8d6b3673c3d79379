import type { SemanticTable } from '../registry.ts'
import { moveSemantics } from './move.ts'
import { shuffleSemantics } from './shuffle.ts'

/** SSE to SSE4.2 beyond the packed integers, which `mmxSemantics` has. */
export const sseSemantics: SemanticTable = { ...moveSemantics, ...shuffleSemantics }
