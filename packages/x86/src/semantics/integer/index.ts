import type { SemanticTable } from '../registry.ts'
import { arithmetic } from './arithmetic.ts'
import { branch } from './branch.ts'
import { move } from './move.ts'
import { stack } from './stack.ts'

export const integerSemantics: SemanticTable = { ...move, ...arithmetic, ...stack, ...branch }
