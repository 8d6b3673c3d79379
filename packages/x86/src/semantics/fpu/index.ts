import type { SemanticTable } from '../registry.ts'
import { integerSemantics } from '../sse/integer.ts'
import { shiftSemantics } from '../sse/shift.ts'
import { arithmeticSemantics } from './arithmetic.ts'
import { compareSemantics } from './compare.ts'
import { controlSemantics, mmxControlSemantics } from './control.ts'
import { loadStoreSemantics } from './load-store.ts'

/** The x87 FPU. */
export const fpuSemantics: SemanticTable = {
  ...arithmeticSemantics,
  ...compareSemantics,
  ...loadStoreSemantics,
  ...controlSemantics,
}

/** Packed integers on MMX and XMM registers alike, and EMMS. */
export const mmxSemantics: SemanticTable = { ...integerSemantics, ...shiftSemantics, ...mmxControlSemantics }
