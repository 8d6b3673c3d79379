import { EFLAGS_DF, EFLAGS_OF } from '../../facts/eflags.ts'
import { GPR, type Builder, type Semantic } from '../builder.ts'
import type { SemanticTable } from '../registry.ts'

/** SF ZF AF PF CF: what AH holds of RFLAGS. */
const LOW_FLAGS = 0xd5

const setCarry =
  (carry: (s: Builder) => ReturnType<Builder['not']>): Semantic =>
  (s) =>
    s.flags.set({ cf: carry(s) })

const CLD: Semantic = (s) => s.set('flagsSystem', s.and(s.get('flagsSystem'), s.const(32, 0xffff_ffff - EFLAGS_DF)))
const STD: Semantic = (s) => s.set('flagsSystem', s.or(s.get('flagsSystem'), s.const(32, EFLAGS_DF)))

const LAHF: Semantic = (s) => {
  s.setGprHigh(GPR.RAX, s.trunc(s.or(s.flags.read(), s.const(32, 2)), 8))
}

const SAHF: Semantic = (s) => {
  const low = s.and(s.zext(s.gprHigh(GPR.RAX), 32), s.const(32, LOW_FLAGS))
  s.flags.write(s.or(low, s.and(s.flags.read(), s.const(32, EFLAGS_OF))))
}

/** Undocumented: AL = CF ? FF : 0. */
const SALC: Semantic = (s) => s.setGpr(GPR.RAX, s.neg(s.zext(s.flags.get('cf'), 8)))

export const flagControl: SemanticTable = {
  CLC: setCarry((s) => s.const(1, 0)),
  STC: setCarry((s) => s.const(1, 1)),
  CMC: setCarry((s) => s.not(s.flags.get('cf'))),
  CLD,
  STD,
  LAHF,
  SAHF,
  SALC,
}
