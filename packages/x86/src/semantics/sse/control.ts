import type { Semantic } from '../builder.ts'
import type { SemanticTable } from '../registry.ts'
import { u32 } from './operand.ts'

/** MXCSR bits 16..31 are reserved. */
const LDMXCSR: Semantic = (s, src) => {
  s.requireFpu('sse')
  const value = s.read(src!)
  s.if(s.ne(s.and(value, u32(s, 0xffff_0000)), u32(s, 0)), () => s.fault(13, u32(s, 0)))
  s.set('mxcsr', value)
}

const STMXCSR: Semantic = (s, dst) => {
  s.requireFpu('sse')
  s.write(dst!, s.get('mxcsr'))
}

export const controlSemantics: SemanticTable = { LDMXCSR, STMXCSR }
