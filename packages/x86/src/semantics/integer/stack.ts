import { EFLAGS_VM } from '../../facts/eflags.ts'
import { GPR, type Builder, type Semantic } from '../builder.ts'
import type { SemanticTable } from '../registry.ts'
import { moveStackPointer, setStackPointer, stackAddress, topOfStack } from './stack-pointer.ts'
import { unsignedTo } from './width.ts'

const SS = 2

/** What POPF may change beside the arithmetic flags: TF IF DF IOPL NT, and with 32 bits and more AC and ID. */
const POPF_SYSTEM = { 16: 0x7700, 32: 0x24_7700, 64: 0x24_7700 } as const

/**
 * Of a segment register 16 bits are written, whatever the operand size; in 64-bit code they are zero-extended. [SDM2 "PUSH—Push Word,
 * Doubleword, or Quadword Onto the Stack"]
 */
const PUSH: Semantic = (s, src) => {
  if (src.kind === 'reg' && src.cls === 'seg' && s.codeWidth !== 64) {
    const size = s.operandSize / 8
    s.store(SS, stackAddress(s, GPR.RSP, -size), s.read(src))
    moveStackPointer(s, s.const(64, -size))
    return
  }
  s.push(unsignedTo(s, s.read(src), s.operandSize))
}

/** A destination addressed by rSP is found with the rSP that POP leaves; a fault on it leaves the rSP that POP met. */
const POP: Semantic = (s, dst) => {
  if (dst.kind === 'reg' && dst.cls === 'seg') {
    s.microcode('pop', [], 0)
    return
  }
  if (dst.kind === 'reg') {
    s.write(dst, s.pop(s.operandSize))
    return
  }
  const before = s.gpr(GPR.RSP, 64)
  const value = s.pop(s.operandSize)
  const after = s.gpr(GPR.RSP, 64)
  const ea = s.address(dst)
  s.setGpr(GPR.RSP, before)
  s.store(dst, ea, value)
  s.setGpr(GPR.RSP, after)
}

/** Stores upwards from the final stack pointer, which changes when all eight have been stored. */
const PUSHA: Semantic = (s) => {
  const size = s.operandSize / 8
  for (let register = 0; register < 8; register++) {
    s.store(SS, stackAddress(s, GPR.RSP, -(register + 1) * size), s.gpr(register, s.operandSize))
  }
  moveStackPointer(s, s.const(32, -8 * size))
}

/** Loads upwards from the top of the stack; what is there for rSP is read and dropped. */
const POPA: Semantic = (s) => {
  const size = s.operandSize / 8
  const values = [0, 1, 2, 3, 4, 5, 6, 7].map((i) => topOfStack(s, s.operandSize, i * size))
  moveStackPointer(s, s.const(32, 8 * size))
  values.forEach((value, i) => {
    if (7 - i !== GPR.RSP) s.setGpr(7 - i, value)
  })
}

function unlessVirtual8086(s: Builder, name: string, then: () => void): void {
  if (s.codeWidth === 64) {
    then()
    return
  }
  const vm = s.and(s.get('flagsSystem'), s.const(32, EFLAGS_VM))
  s.if(s.ne(vm, s.const(32, 0)), () => s.microcode(name, [s.const(32, s.operandSize)], 0), then)
}

/** VM and RF are pushed as zeros. */
const PUSHF: Semantic = (s) => {
  unlessVirtual8086(s, 'pushf', () => {
    const image = s.or(s.flags.read(), s.and(s.get('flagsSystem'), s.const(32, 0x3c_ffff)))
    s.push(unsignedTo(s, image, s.operandSize))
  })
}

/** Here only the arithmetic flags change; the rest depends on privilege, and `popf` decides with the image as its argument. */
const POPF: Semantic = (s) => {
  unlessVirtual8086(s, 'popf', () => {
    const image = unsignedTo(s, topOfStack(s, s.operandSize), 32)
    const change = s.and(s.xor(image, s.get('flagsSystem')), s.const(32, POPF_SYSTEM[s.operandSize]))
    s.if(
      s.isZero(change),
      () => {
        s.flags.write(image)
        moveStackPointer(s, s.const(32, s.operandSize / 8))
      },
      () => s.microcode('popf', [s.const(32, s.operandSize)], 0),
    )
  })
}

/** Level 0; a nesting level above is for `enter`. The place that RSP comes to must be writable. */
const ENTER: Semantic = (s, size, level) => {
  const bytes = unsignedTo(s, s.read(size), 32)
  const nesting = s.and(unsignedTo(s, s.read(level), 32), s.const(32, 31))
  s.if(
    s.isZero(nesting),
    () => {
      const size = s.operandSize / 8
      s.store(SS, stackAddress(s, GPR.RSP, -size), s.gpr(GPR.RBP, s.operandSize))
      const end = stackAddress(s, GPR.RSP, -size, bytes)
      s.store(SS, end, s.load(SS, end, s.operandSize))
      moveStackPointer(s, s.const(64, -size))
      s.setGpr(GPR.RBP, s.gpr(GPR.RSP, s.operandSize))
      moveStackPointer(s, s.sext(s.neg(bytes), 64))
    },
    () => s.microcode('enter', [bytes, nesting], 0),
  )
}

const LEAVE: Semantic = (s) => {
  const frame = stackAddress(s, GPR.RBP)
  const value = s.load(SS, frame, s.operandSize)
  setStackPointer(s, s.add(frame, s.const(frame.width, s.operandSize / 8)))
  s.setGpr(GPR.RBP, value)
}

export const stack: SemanticTable = { PUSH, POP, PUSHA, POPA, PUSHF, POPF, ENTER, LEAVE }
