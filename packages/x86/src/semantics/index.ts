import { fpuSemantics, mmxSemantics } from './fpu/index.ts'
import { integerSemantics } from './integer/index.ts'
import type { SemanticTable } from './registry.ts'
import { sseSemantics } from './sse/index.ts'

/** Every instruction that is described by a semantic function. */
export const semantics: SemanticTable = { ...fpuSemantics, ...mmxSemantics, ...sseSemantics, ...integerSemantics }
