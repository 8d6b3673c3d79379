import type { MemOperand, Operand, RegClass, SegIndex } from './insn.ts'
import type { Reading } from './reading.ts'

/**
 * The operand letters of the decode rows: [SDM2 A.2.1 "Codes for Addressing Method", A.2.2 "Codes for Operand Type"].
 * The first letter is the addressing method, the rest is the size. Beyond the manual's own:
 *   types    n  32 bits, 64 in 64-bit code, whatever the operand size (control registers, VMX operands)
 *            t  80 bits;  fx  the FXSAVE image;  xs  the XSAVE image, whose size the state decides;  env, save  the x87 images
 *   sIb      an imm8 that is sign-extended to the operand size
 *   Zb, Zv   the register in the low three bits of the opcode;  ST0, STi  the x87 stack
 *   Sw-CS    a segment register to load, which may not be CS
 *   BA, BB, BDq, BDdq  memory at DS:rAX, DS:rBX, DS:rDI (MONITOR, XLAT, MASKMOVQ, MASKMOVDQU)
 */
export type Letter = keyof typeof letters

export type OperandReader = (r: Reading) => Operand

type Size = (r: Reading) => number

const fixed =
  (bits: number): Size =>
  () =>
    bits
const b = fixed(8)
const w = fixed(16)
const d = fixed(32)
const q = fixed(64)
const dq = fixed(128)
const t = fixed(80)
const none = fixed(0)
const v: Size = (r) => r.operandSize
const z: Size = (r) => (r.operandSize === 16 ? 16 : 32)
const y: Size = (r) => (r.operandSize === 64 ? 64 : 32)
const n: Size = (r) => (r.width === 64 ? 64 : 32)

/** m16:16, m16:32, m16:64. */
const p: Size = (r) => r.operandSize + 16
/** The limit and the base of a descriptor table: 16-bit code too transfers 6 bytes. */
const pseudoDescriptor: Size = (r) => (r.width === 64 ? 80 : 48)
const bounds: Size = (r) => 2 * r.operandSize
/** [SDM1 8.1.10 "Saving the x87 FPU's State with FSTENV/FNSTENV and FSAVE/FNSAVE"] */
const environment: Size = (r) => (r.operandSize === 16 ? 14 * 8 : 28 * 8)
const x87State: Size = (r) => (r.operandSize === 16 ? 94 * 8 : 108 * 8)
const fxState = fixed(512 * 8)

function register(cls: RegClass, index: number, width: number): Operand {
  return { kind: 'reg', cls, index, width }
}

/** Without REX, byte registers 4 to 7 are AH, CH, DH, BH. */
function gpr(r: Reading, index: number, width: number): Operand {
  if (width === 8 && index >= 4 && index < 8 && r.rex === 0) return { kind: 'reg', cls: 'gpr8h', index: index - 4, width: 8 }
  return { kind: 'reg', cls: 'gpr', index, width }
}

function memory(r: Reading, width: number): MemOperand {
  return {
    kind: 'mem',
    base: r.base,
    index: r.index,
    scale: r.scale,
    disp: r.disp,
    seg: r.segOverride >= 0 ? (r.segOverride as SegIndex) : r.defaultSeg,
    segOverride: r.segOverride >= 0,
    addrSize: r.addressSize,
    ripRelative: r.ripRelative,
    width,
  }
}

const E =
  (size: Size, registerSize = size): OperandReader =>
  (r) =>
    r.mod === 3 ? gpr(r, r.rm, registerSize(r)) : memory(r, size(r))
const G =
  (size: Size): OperandReader =>
  (r) =>
    gpr(r, r.reg, size(r))
const R =
  (size: Size): OperandReader =>
  (r) =>
    gpr(r, r.rm, size(r))
const M =
  (size: Size): OperandReader =>
  (r) =>
    memory(r, size(r))
const Z =
  (size: Size): OperandReader =>
  (r) =>
    gpr(r, (r.opcode & 7) | (r.rex & 1 ? 8 : 0), size(r))

const P =
  (size: Size): OperandReader =>
  (r) =>
    register('mmx', r.reg & 7, size(r))
const N =
  (size: Size): OperandReader =>
  (r) =>
    register('mmx', r.rm & 7, size(r))
const Q =
  (size: Size): OperandReader =>
  (r) =>
    r.mod === 3 ? register('mmx', r.rm & 7, size(r)) : memory(r, size(r))
const V =
  (size: Size): OperandReader =>
  (r) =>
    register('xmm', r.reg, size(r))
const U =
  (size: Size): OperandReader =>
  (r) =>
    register('xmm', r.rm, size(r))
const W =
  (size: Size): OperandReader =>
  (r) =>
    r.mod === 3 ? register('xmm', r.rm, size(r)) : memory(r, size(r))

const sizedAccumulator =
  (index: number, size: Size): OperandReader =>
  (r) =>
    register('gpr', index, size(r))

function constant(operand: Operand): OperandReader {
  Object.freeze(operand)
  return () => operand
}

const immediate =
  (size: Size, encoded = size): OperandReader =>
  (r) => ({ kind: 'imm', value: r.signed(encoded(r) as 8 | 16 | 32 | 64), width: size(r) })

/** Iv: MOV rAX,imm64 is the one instruction with eight bytes of immediate. */
const wholeImmediate: OperandReader = (r) => {
  const value = r.signed(r.operandSize)
  if (r.operandSize !== 64) return { kind: 'imm', value, width: r.operandSize }
  return { kind: 'imm', value, value64: quad(value, r.s32()), width: 64 }
}

function quad(low: number, high: number): bigint {
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0)
}

const relative =
  (encoded: Size): OperandReader =>
  (r) => {
    const width = encoded(r)
    return { kind: 'rel', value: r.signed(width as 8 | 16 | 32), width }
  }

const farPointer: OperandReader = (r) => {
  const offset = r.operandSize === 16 ? r.u16() : r.s32() >>> 0
  return { kind: 'far', selector: r.u16(), offset, width: r.operandSize + 16 }
}

/** Memory at a register that the instruction implies; `seg` -1 stands for DS unless overridden. */
function implied(r: Reading, base: number, seg: -1 | SegIndex, width: number): MemOperand {
  const overridden = seg < 0 && r.segOverride >= 0
  return {
    kind: 'mem',
    base,
    index: -1,
    scale: 0,
    disp: 0,
    seg: (seg >= 0 ? seg : overridden ? r.segOverride : 3) as SegIndex,
    segOverride: overridden,
    addrSize: r.addressSize,
    ripRelative: false,
    width,
  }
}

const X =
  (size: Size): OperandReader =>
  (r) =>
    implied(r, 6, -1, size(r))
const Y =
  (size: Size): OperandReader =>
  (r) =>
    implied(r, 7, 0, size(r))
const at =
  (base: number, size: Size): OperandReader =>
  (r) =>
    implied(r, base, -1, size(r))

const O =
  (size: Size): OperandReader =>
  (r) => {
    const operand = implied(r, -1, -1, size(r))
    operand.disp = r.signed(r.addressSize)
    if (r.addressSize === 64) operand.disp64 = quad(operand.disp, r.s32())
    return operand
  }

const segment =
  (writable: boolean): OperandReader =>
  (r) => {
    const index = r.reg & 7
    if (index > 5 || (writable && index === 1)) r.undefinedOperand = true
    return register('seg', index, 16)
  }

/** CR0, CR2, CR3, CR4, and CR8 by REX.R; all others are undefined. [SDM2 "MOV—Move to/from Control Registers"] */
const controlRegister: OperandReader = (r) => {
  if (((0b1_0001_1101 >> r.reg) & 1) === 0) r.undefinedOperand = true
  return register('cr', r.reg, n(r))
}

const debugRegister: OperandReader = (r) => {
  if (r.reg > 7) r.undefinedOperand = true
  return register('dr', r.reg, n(r))
}

export const letters = {
  Eb: E(b),
  Ew: E(w),
  Ed: E(d),
  Ev: E(v),
  Ez: E(z),
  Ey: E(y),
  En: E(n),
  'Rv/Mw': E(w, v),
  'Rd/Mb': E(b, d),
  'Rd/Mw': E(w, d),
  Gb: G(b),
  Gw: G(w),
  Gd: G(d),
  Gv: G(v),
  Gz: G(z),
  Gy: G(y),
  Gn: G(n),
  Ga: (r: Reading) => gpr(r, r.reg, r.addressSize),
  Rv: R(v),
  Ry: R(y),
  Rn: R(n),
  Zb: Z(b),
  Zv: Z(v),
  M: M(none),
  Mb: M(b),
  Mw: M(w),
  Md: M(d),
  Mq: M(q),
  Mdq: M(dq),
  Mt: M(t),
  Mv: M(v),
  My: M(y),
  Mp: M(p),
  Ms: M(pseudoDescriptor),
  Ma: M(bounds),
  Menv: M(environment),
  Msave: M(x87State),
  Mfx: M(fxState),
  Mxs: M(none),
  M64: M(fixed(512)),

  Pd: P(d),
  Pq: P(q),
  Nq: N(q),
  Qd: Q(d),
  Qq: Q(q),
  Vss: V(d),
  Vsd: V(q),
  Vd: V(d),
  Vq: V(q),
  Vps: V(dq),
  Vpd: V(dq),
  Vdq: V(dq),
  Uq: U(q),
  Ups: U(dq),
  Upd: U(dq),
  Udq: U(dq),
  Wss: W(d),
  Wsd: W(q),
  Ww: W(w),
  Wd: W(d),
  Wq: W(q),
  Wps: W(dq),
  Wpd: W(dq),
  Wdq: W(dq),
  XMM0: constant({ kind: 'reg', cls: 'xmm', index: 0, width: 128 }),

  ST0: constant({ kind: 'reg', cls: 'st', index: 0, width: 80 }),
  STi: (r: Reading) => register('st', r.modrm & 7, 80),

  AL: constant({ kind: 'reg', cls: 'gpr', index: 0, width: 8 }),
  CL: constant({ kind: 'reg', cls: 'gpr', index: 1, width: 8 }),
  AX: constant({ kind: 'reg', cls: 'gpr', index: 0, width: 16 }),
  DX: constant({ kind: 'reg', cls: 'gpr', index: 2, width: 16 }),
  eAX: sizedAccumulator(0, z),
  rAX: sizedAccumulator(0, v),
  ES: constant({ kind: 'reg', cls: 'seg', index: 0, width: 16 }),
  CS: constant({ kind: 'reg', cls: 'seg', index: 1, width: 16 }),
  SS: constant({ kind: 'reg', cls: 'seg', index: 2, width: 16 }),
  DS: constant({ kind: 'reg', cls: 'seg', index: 3, width: 16 }),
  FS: constant({ kind: 'reg', cls: 'seg', index: 4, width: 16 }),
  GS: constant({ kind: 'reg', cls: 'seg', index: 5, width: 16 }),
  Sw: segment(false),
  'Sw-CS': segment(true),
  Cn: controlRegister,
  Dn: debugRegister,

  '1': constant({ kind: 'imm', value: 1, width: 8 }),
  Ib: immediate(b),
  sIb: immediate(v, b),
  Iw: immediate(w),
  Iz: immediate(v, z),
  Iv: wholeImmediate,
  Jb: relative(b),
  Jz: relative(z),
  Ap: farPointer,

  Ob: O(b),
  Ov: O(v),
  Xb: X(b),
  Xv: X(v),
  Xz: X(z),
  Yb: Y(b),
  Yv: Y(v),
  Yz: Y(z),
  BA: at(0, none),
  BB: at(3, b),
  BDq: at(7, q),
  BDdq: at(7, dq),
} satisfies Record<string, OperandReader>

/** Letters whose operand lies in the fields of a ModRM byte. */
export function usesModrm(letter: Letter): boolean {
  return /^([CDEGMNPQRUVW]([a-z0-9]|$)|Sw|STi)/.test(letter)
}

/** What the letter demands of ModRM.mod. */
export function modOf(letter: Letter): 'mem' | 'reg' | undefined {
  if (/^M/.test(letter)) return 'mem'
  if (/^([RUN][a-z]+|STi)$/.test(letter)) return 'reg'
  return undefined
}
