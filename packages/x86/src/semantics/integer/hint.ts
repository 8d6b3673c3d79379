import type { Semantic } from '../builder.ts'
import type { SemanticTable } from '../registry.ts'

/** Nothing that a program can see; a prefetch does not fault. */
const nothing: Semantic = () => {}

export const hint: SemanticTable = Object.fromEntries(
  ['NOP', 'PAUSE', 'ENDBR32', 'ENDBR64', 'PREFETCH', 'PREFETCHW', 'LFENCE', 'MFENCE', 'SFENCE'].map((name) => [name, nothing]),
)
