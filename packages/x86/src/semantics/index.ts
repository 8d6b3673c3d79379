import { integerSemantics } from './integer/index.ts'
import type { SemanticTable } from './registry.ts'

/** Every instruction that is described by a semantic function. */
export const semantics: SemanticTable = { ...integerSemantics }
