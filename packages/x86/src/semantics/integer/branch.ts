import { GPR, type Builder, type Semantic, type Val } from '../builder.ts'
import type { SemanticTable } from '../registry.ts'
import { moveStackPointer, stackAddress, topOfStack } from './stack-pointer.ts'
import { unsignedTo } from './width.ts'

const JCC: Semantic = (s, target) => {
  s.if(s.flags.condition(s.cc), () => s.jumpRelative(target))
}

function jumpTo(s: Builder, target: Val): void {
  s.checkTarget(target)
  s.jump(target)
}

const JMP: Semantic = (s, target) => {
  if (target.kind === 'rel') s.jumpRelative(target)
  else jumpTo(s, s.read(target))
}

const CALL: Semantic = (s, target) => {
  const back = unsignedTo(s, s.nextIp(), s.operandSize)
  if (target.kind === 'rel') {
    s.push(back)
    s.jumpRelative(target)
    return
  }
  // The return address is in memory, RSP as it was, when the target turns out to be no address.
  const destination = s.read(target)
  const size = s.operandSize / 8
  s.store(2, stackAddress(s, GPR.RSP, -size), back)
  s.checkTarget(destination)
  moveStackPointer(s, s.const(64, -size))
  s.jump(destination)
}

const RET: Semantic = (s, release) => {
  const target = topOfStack(s, s.operandSize)
  s.checkTarget(target)
  moveStackPointer(s, s.const(32, s.operandSize / 8))
  if (release !== undefined) moveStackPointer(s, unsignedTo(s, s.read(release), 32))
  s.jump(target)
}

/** Counts rCX down, of the address size; the flags stay. */
const loopWhile =
  (extra: (s: Builder, again: Val) => Val): Semantic =>
  (s, target) => {
    const count = s.sub(s.gpr(GPR.RCX, s.addressSize), s.const(s.addressSize, 1))
    s.setGpr(GPR.RCX, count)
    s.if(extra(s, s.not(s.isZero(count))), () => s.jumpRelative(target))
  }

const JCXZ: Semantic = (s, target) => {
  s.if(s.isZero(s.gpr(GPR.RCX, s.addressSize)), () => s.jumpRelative(target))
}

export const branch: SemanticTable = {
  JCC,
  JMP,
  CALL,
  RET,
  LOOP: loopWhile((_, again) => again),
  LOOPE: loopWhile((s, again) => s.and(again, s.flags.get('zf'))),
  LOOPNE: loopWhile((s, again) => s.and(again, s.not(s.flags.get('zf')))),
  JCXZ,
}
