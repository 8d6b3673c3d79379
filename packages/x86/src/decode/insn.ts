import type { Feature } from './features.ts'
import type { Mnemonic } from './mnemonics.ts'
import type { DecodeRow } from './row.ts'

/** How CS makes the processor read code: CS.D = 0, CS.D = 1, CS.L = 1. */
export type CodeWidth = 16 | 32 | 64

/** ES, CS, SS, DS, FS, GS: the numbers of the Sreg field. */
export type SegIndex = 0 | 1 | 2 | 3 | 4 | 5

/** `gpr8h` is AH, CH, DH, BH with index 0..3; every other byte register is a `gpr` of width 8. */
export type RegClass = 'gpr' | 'gpr8h' | 'seg' | 'cr' | 'dr' | 'mmx' | 'xmm' | 'st'

export interface RegOperand {
  kind: 'reg'
  cls: RegClass
  index: number
  /** Bits accessed: 32 for the xmm register of ADDSS, although the register has 128. */
  width: number
}

export interface MemOperand {
  kind: 'mem'
  /** General-purpose register number, -1 for none. */
  base: number
  index: number
  /** The index is shifted left by this. */
  scale: 0 | 1 | 2 | 3
  /** Signed: 32 bits, or 16 when `addrSize` is 16. */
  disp: number
  /** The whole address of MOV rAX,moffs64, whose low half is `disp`. */
  disp64?: bigint
  seg: SegIndex
  segOverride: boolean
  addrSize: 16 | 32 | 64
  /** `disp` counts from the end of the instruction. */
  ripRelative: boolean
  /** Bits accessed; 0 when the instruction uses only the address or when state decides the size (XSAVE). */
  width: number
}

export interface ImmOperand {
  kind: 'imm'
  /** Sign-extended from the encoded size to an int32; unsigned uses (INT, OUT, shift counts) mask it by `width`. */
  value: number
  /** All of the immediate of MOV r64,imm64, whose low half is `value`. */
  value64?: bigint
  /** The size that it stands for: 8 for Ib, the operand size for Iz and for a sign-extended byte. */
  width: number
}

export interface RelOperand {
  kind: 'rel'
  /** Signed displacement from the end of the instruction. */
  value: number
  width: number
}

export interface FarOperand {
  kind: 'far'
  selector: number
  /** Unsigned. */
  offset: number
  width: number
}

export type Operand = RegOperand | MemOperand | ImmOperand | RelOperand | FarOperand

export interface Insn {
  mnemonic: Mnemonic
  operands: readonly Operand[]
  /** After the row's d64 or f64. */
  operandSize: 16 | 32 | 64
  addressSize: 16 | 32 | 64
  /** Condition of JCC, SETCC, CMOVCC; -1 elsewhere. */
  cc: number
  /** Only where the prefix repeats a string instruction. */
  rep: 0 | 0xf2 | 0xf3
  lock: boolean
  /** The override that counts: ES, CS, SS, DS are ignored in 64-bit code. */
  segOverride: -1 | SegIndex
  length: number
  feature: Feature
  row: DecodeRow
}

/**
 * `invalid` is #UD, `too-long` (more than 15 bytes) is #GP(0), `truncated` asks for more bytes.
 * `length` counts the bytes looked at.
 */
export type DecodeFailure = 'invalid' | 'too-long' | 'truncated'

export type DecodeResult = { ok: true; insn: Insn } | { ok: false; reason: DecodeFailure; length: number }
