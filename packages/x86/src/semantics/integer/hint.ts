import type { Semantic } from '../builder.ts'
import type { SemanticTable } from '../registry.ts'

/** Nothing that a program can see; a prefetch does not fault. */
const nothing: Semantic = () => {}

export const hint: SemanticTable = { NOP: nothing, PAUSE: nothing, PREFETCH: nothing }
