import type { Semantic } from '../builder.ts'
import type { SemanticTable } from '../registry.ts'
import { BUSY, ES } from '../../softfloat/x87.ts'
import { fxStateSemantics } from './fx-state.ts'
import { FSQRT } from './square-root.ts'
import { c32, clearC1, physical, pop, requireFpuNoWait, stNumber } from './stack.ts'

const MP_AND_TS = 10

const FNSTCW: Semantic = (s, dst) => {
  requireFpuNoWait(s)
  s.write(dst!, s.trunc(s.get('fpControl'), 16))
}

const FNSTSW: Semantic = (s, dst) => {
  requireFpuNoWait(s)
  s.write(dst!, s.trunc(s.or(s.get('fpStatus'), s.shl(s.get('fpTop'), c32(s, 11))), 16))
}

/** Bits 7 and 13..15 stay zero, bit 6 one; an exception that becomes unmasked is pending. */
const FLDCW: Semantic = (s, src) => {
  s.requireFpu('x87')
  const control = s.or(s.and(s.zext(s.read(src!), 32), c32(s, 0x1f7f)), c32(s, 0x40))
  s.set('fpControl', control)
  const status = s.get('fpStatus')
  s.if(s.ne(s.and(s.and(status, s.not(control)), c32(s, 0x3f)), c32(s, 0)), () =>
    s.set('fpStatus', s.or(s.get('fpStatus'), c32(s, ES | BUSY))),
  )
}

const FNCLEX: Semantic = (s) => {
  requireFpuNoWait(s)
  s.set('fpStatus', s.and(s.get('fpStatus'), c32(s, 0x7f00)))
}

const FNINIT: Semantic = (s) => {
  requireFpuNoWait(s)
  s.microcode('fninit', [], 0)
}

/** [SDM2 "WAIT/FWAIT—Wait"]: #NM by MP and TS, not by EM. */
const FWAIT: Semantic = (s) => {
  const cr0 = s.trunc(s.get('cr0'), 32)
  s.if(s.eq(s.and(cr0, c32(s, MP_AND_TS)), c32(s, MP_AND_TS)), () => s.fault(7))
  s.if(s.ne(s.and(s.get('fpStatus'), c32(s, ES)), c32(s, 0)), () => s.fault(16))
}

const turn =
  (by: 1 | 7): Semantic =>
  (s) => {
    s.requireFpu('x87')
    s.set('fpTop', s.and(s.add(s.get('fpTop'), c32(s, by)), c32(s, 7)))
    clearC1(s)
  }

const free =
  (popping: boolean): Semantic =>
  (s, operand) => {
    s.requireFpu('x87')
    const register = physical(s, c32(s, stNumber(operand!)))
    s.set('fpEmpty', s.or(s.get('fpEmpty'), s.shl(c32(s, 1), register)))
    clearC1(s)
    if (popping) pop(s)
  }

const nop: Semantic = (s) => s.requireFpu('x87')
/** [SDM1 8.3.13 "Unsupported x87 FPU Instructions"] */
const oldControl: Semantic = (s) => requireFpuNoWait(s)

/** Instructions that are all microcode. */
const microcoded =
  (name: string): Semantic =>
  (s) => {
    s.requireFpu('x87')
    s.microcode(name, [], 0)
  }

/** State images: `waits` for those that raise a pending #MF first. */
const image =
  (name: string, waits: boolean): Semantic =>
  (s, memory) => {
    if (waits) s.requireFpu('x87')
    else requireFpuNoWait(s)
    s.microcode(name, [s.address(memory!)], 0)
  }

const EMMS: Semantic = (s) => {
  s.requireFpu('mmx')
  s.set('fpTop', c32(s, 0))
  s.set('fpEmpty', c32(s, 0xff))
}

export const controlSemantics: SemanticTable = {
  FNSTCW,
  FNSTSW,
  FLDCW,
  FNCLEX,
  FNINIT,
  FWAIT,
  FINCSTP: turn(1),
  FDECSTP: turn(7),
  FFREE: free(false),
  FFREEP: free(true),
  FNOP: nop,
  FNENI: oldControl,
  FNDISI: oldControl,
  FNSETPM: oldControl,
  FXAM: microcoded('fpu.xam'),
  FSQRT,
  FSIN: microcoded('fsin'),
  FCOS: microcoded('fcos'),
  FSINCOS: microcoded('fsincos'),
  FPTAN: microcoded('fptan'),
  FPATAN: microcoded('fpatan'),
  F2XM1: microcoded('f2xm1'),
  FYL2X: microcoded('fyl2x'),
  FYL2XP1: microcoded('fyl2xp1'),
  FPREM: microcoded('fprem'),
  FPREM1: microcoded('fprem1'),
  FSCALE: microcoded('fscale'),
  FXTRACT: microcoded('fxtract'),
  FNSTENV: image('fnstenv', false),
  FNSAVE: image('fnsave', false),
  FLDENV: image('fldenv', true),
  FRSTOR: image('frstor', true),
  ...fxStateSemantics,
}

export const mmxControlSemantics: SemanticTable = { EMMS }
