import { BR, UD } from '../../facts/exception.ts'
import type { Semantic } from '../builder.ts'
import type { SemanticTable } from '../registry.ts'
import { widthOf, type IntWidth } from './width.ts'

/** [SDM2 "BOUND—Check Array Index Against Bounds"] */
const BOUND: Semantic = (s, index, bounds) => {
  const value = s.read(index)
  const width = widthOf(value) as IntWidth
  // The upper bound is read only when the lower one holds.
  s.if(s.ltS(value, s.read(s.at(bounds, 0, width))), () => s.fault(BR))
  s.if(s.ltS(s.read(s.at(bounds, width / 8, width)), value), () => s.fault(BR))
}

const INTO: Semantic = (s) => {
  s.if(s.flags.get('of'), () => s.microcode('into', [], 0))
}

const undefinedInstruction: Semantic = (s) => s.fault(UD)

export const check: SemanticTable = {
  BOUND,
  INTO,
  UD0: undefinedInstruction,
  UD1: undefinedInstruction,
  UD2: undefinedInstruction,
}
