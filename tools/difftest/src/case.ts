/** A sequence with all that it starts from, and what comes out of it. */

export type Mode = 64 | 32 | 16

export interface FpState {
  control: number
  status: number
  /** One bit for each physical register: not empty. */
  valid: number
  opcode: number
  ip: bigint
  dp: bigint
  mxcsr: number
  /** ST(0) to ST(7), 80 bits each. */
  st: bigint[]
  xmm: bigint[]
}

export interface Patch {
  readonly offset: number
  readonly bytes: Uint8Array
}

export interface TestCase {
  readonly index: number
  readonly mode: Mode
  /** One byte string for each instruction. */
  readonly instructions: readonly Uint8Array[]
  /** Of the first instruction in the code pages. */
  readonly codeOffset: number
  readonly rflags: number
  readonly gpr: readonly bigint[]
  readonly fsBase: bigint
  readonly gsBase: bigint
  readonly fp: FpState
  /** Which memory image the case starts from. */
  readonly image: number
  readonly patches: readonly Patch[]
}

export interface Outcome {
  /** Exception that ended the sequence: 3 is its own INT3. `TIMEOUT`: it did not end. */
  vector: number
  errorCode: number
  cr2: bigint
  rip: bigint
  rflags: number
  fsBase: bigint
  gsBase: bigint
  gpr: bigint[]
  /** ES CS SS DS FS GS. */
  selectors: number[]
  fp: FpState
  /** Changed quadwords of the memory image by number. */
  memory: Map<number, bigint>
}

export const TIMEOUT = 255
/** Our processor threw what is neither fault nor exit. */
export const CRASH = 253

export function codeOf({ instructions }: TestCase): Uint8Array {
  return Uint8Array.from(instructions.flatMap((bytes) => [...bytes]))
}

/** The FXSAVE image in 64-bit format. [SDM1 Table 10-2 "Format of an FXSAVE Area"] */
export function writeFxImage(view: DataView, at: number, fp: FpState): void {
  view.setUint16(at, fp.control, true)
  view.setUint16(at + 2, fp.status, true)
  view.setUint8(at + 4, fp.valid)
  view.setUint16(at + 6, fp.opcode, true)
  view.setBigUint64(at + 8, fp.ip, true)
  view.setBigUint64(at + 16, fp.dp, true)
  view.setUint32(at + 24, fp.mxcsr, true)
  fp.st.forEach((value, i) => {
    view.setBigUint64(at + 32 + 16 * i, BigInt.asUintN(64, value), true)
    view.setUint16(at + 40 + 16 * i, Number(value >> 64n), true)
  })
  fp.xmm.forEach((value, i) => {
    view.setBigUint64(at + 160 + 16 * i, BigInt.asUintN(64, value), true)
    view.setBigUint64(at + 168 + 16 * i, value >> 64n, true)
  })
}

export function readFxImage(view: DataView, at: number): FpState {
  return {
    control: view.getUint16(at, true),
    status: view.getUint16(at + 2, true),
    valid: view.getUint8(at + 4),
    opcode: view.getUint16(at + 6, true),
    ip: view.getBigUint64(at + 8, true),
    dp: view.getBigUint64(at + 16, true),
    mxcsr: view.getUint32(at + 24, true),
    st: Array.from(
      { length: 8 },
      (_, i) => view.getBigUint64(at + 32 + 16 * i, true) | (BigInt(view.getUint16(at + 40 + 16 * i, true)) << 64n),
    ),
    xmm: Array.from(
      { length: 16 },
      (_, i) => view.getBigUint64(at + 160 + 16 * i, true) | (view.getBigUint64(at + 168 + 16 * i, true) << 64n),
    ),
  }
}
