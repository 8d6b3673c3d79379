import type { Semantic } from './builder.ts'

/**
 * Semantic functions by mnemonic. An instruction without an entry here is executed by microcode.
 * Each family of instructions is one file that exports a table; `semantics` is their union.
 */
export type SemanticTable = Readonly<Record<string, Semantic>>
