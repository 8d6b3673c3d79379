import type { Builder, Semantic, Val } from '../builder.ts'
import type { SemanticTable } from '../registry.ts'
import { widthOf } from './width.ts'

const carryOf = (s: Builder, like: Val): Val => s.zext(s.flags.get('cf'), widthOf(like))

const ADD: Semantic = (s, dst, src) => {
  const a = s.readForWrite(dst)
  const b = s.read(src)
  const r = s.add(a, b)
  s.write(dst, r)
  s.flags.add(a, b, r)
}

const ADC: Semantic = (s, dst, src) => {
  const a = s.readForWrite(dst)
  const b = s.read(src)
  const r = s.add(s.add(a, b), carryOf(s, a))
  s.write(dst, r)
  s.flags.add(a, b, r)
}

const SUB: Semantic = (s, dst, src) => {
  const a = s.readForWrite(dst)
  const b = s.read(src)
  const r = s.sub(a, b)
  s.write(dst, r)
  s.flags.sub(a, b, r)
}

const SBB: Semantic = (s, dst, src) => {
  const a = s.readForWrite(dst)
  const b = s.read(src)
  const r = s.sub(s.sub(a, b), carryOf(s, a))
  s.write(dst, r)
  s.flags.sub(a, b, r)
}

const CMP: Semantic = (s, left, right) => {
  const a = s.read(left)
  const b = s.read(right)
  s.flags.sub(a, b, s.sub(a, b))
}

const INC: Semantic = (s, dst) => {
  const a = s.readForWrite(dst)
  const r = s.add(a, s.const(a.width, 1))
  s.write(dst, r)
  s.flags.inc(r)
}

const DEC: Semantic = (s, dst) => {
  const a = s.readForWrite(dst)
  const r = s.sub(a, s.const(a.width, 1))
  s.write(dst, r)
  s.flags.dec(r)
}

const NEG: Semantic = (s, dst) => {
  const a = s.readForWrite(dst)
  const r = s.neg(a)
  s.write(dst, r)
  s.flags.sub(s.const(a.width, 0), a, r)
}

const NOT: Semantic = (s, dst) => {
  s.write(dst, s.not(s.readForWrite(dst)))
}

const logical =
  (compute: (s: Builder, a: Val, b: Val) => Val): Semantic =>
  (s, dst, src) => {
    const r = compute(s, s.readForWrite(dst), s.read(src))
    s.write(dst, r)
    s.flags.logic(r)
  }

const TEST: Semantic = (s, left, right) => {
  s.flags.logic(s.and(s.read(left), s.read(right)))
}

/** ADCX and ADOX: an addition whose carry lives in one flag, and that changes no other. */
const addThrough =
  (flag: 'cf' | 'of'): Semantic =>
  (s, dst, src) => {
    const a = s.read(dst)
    const b = s.read(src)
    const partial = s.add(a, b)
    const r = s.add(partial, s.zext(s.flags.get(flag), widthOf(a)))
    const carry = s.or(s.ltU(partial, a), s.ltU(r, partial))
    s.write(dst, r)
    s.flags.set({ [flag]: carry })
  }

export const arithmetic: SemanticTable = {
  ADD,
  ADC,
  SUB,
  SBB,
  CMP,
  INC,
  DEC,
  NEG,
  NOT,
  AND: logical((s, a, b) => s.and(a, b)),
  OR: logical((s, a, b) => s.or(a, b)),
  XOR: logical((s, a, b) => s.xor(a, b)),
  TEST,
  ADCX: addThrough('cf'),
  ADOX: addThrough('of'),
}
