import type { FpuMicrocode, FpuMicrocodeTable } from './machine.ts'
import { VECTOR_A, VECTOR_B } from './sse-microcode.ts'

/** Product in GF(2^8) modulo x^8 + x^4 + x^3 + x + 1. [FIPS 197, 4.2 "Multiplication"] */
function multiply(a: number, b: number): number {
  let product = 0
  for (; b; b >>= 1) {
    if (b & 1) product ^= a
    a = (a << 1) ^ (a & 0x80 ? 0x11b : 0)
  }
  return product
}

/** The S-box is the inverse, then an affine map. [FIPS 197, 5.1.1 "SubBytes"] */
function makeSubstitution(): { forward: Uint8Array; inverse: Uint8Array } {
  const forward = new Uint8Array(256)
  const inverse = new Uint8Array(256)
  for (let x = 0; x < 256; x++) {
    let reciprocal = 0
    while (x !== 0 && multiply(x, reciprocal) !== 1) reciprocal++
    let s = 0x63
    for (let turn = 0; turn < 5; turn++) s ^= ((reciprocal << turn) | (reciprocal >> (8 - turn))) & 0xff
    forward[x] = s
    inverse[s] = x
  }
  return { forward, inverse }
}

const { forward, inverse } = makeSubstitution()
const products = (factor: number): Uint8Array => Uint8Array.from({ length: 256 }, (_, x) => multiply(x, factor))
const [by2, by3, by9, by11, by13, by14] = [2, 3, 9, 11, 13, 14].map(products) as [
  Uint8Array,
  Uint8Array,
  Uint8Array,
  Uint8Array,
  Uint8Array,
  Uint8Array,
]
const by1 = products(1)

const bytesOf = (v: bigint): Uint8Array => {
  const bytes = new Uint8Array(16)
  const view = new DataView(bytes.buffer)
  view.setBigUint64(0, v & 0xffff_ffff_ffff_ffffn, true)
  view.setBigUint64(8, v >> 64n, true)
  return bytes
}
const vectorOf = (bytes: Uint8Array): bigint => {
  const view = new DataView(bytes.buffer)
  return view.getBigUint64(0, true) | (view.getBigUint64(8, true) << 64n)
}

const substitute = (state: Uint8Array, box: Uint8Array): Uint8Array => state.map((x) => box[x]!)
/** Row r of column c comes from column c + r (encryption) or c - r. */
const shiftRows = (state: Uint8Array, direction: 1 | 3): Uint8Array =>
  Uint8Array.from({ length: 16 }, (_, i) => state[((((i >> 2) + direction * (i & 3)) & 3) << 2) | (i & 3)]!)

function mixColumns(state: Uint8Array, row: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from({ length: 16 }, (_, i) => {
    const column = i & ~3
    let sum = 0
    for (let k = 0; k < 4; k++) sum ^= row[(k - (i & 3) + 4) & 3]![state[column + k]!]!
    return sum
  })
}
const mix = (state: Uint8Array): Uint8Array => mixColumns(state, [by2, by3, by1, by1])
const unmix = (state: Uint8Array): Uint8Array => mixColumns(state, [by14, by11, by13, by9])

const round =
  (transform: (state: Uint8Array) => Uint8Array): FpuMicrocode =>
  ({ state }) => {
    const result = transform(bytesOf(state.scratch.get(VECTOR_A)))
    state.scratch.set(VECTOR_A, vectorOf(result) ^ state.scratch.get(VECTOR_B))
  }

const encryptLast = (state: Uint8Array): Uint8Array => substitute(shiftRows(state, 1), forward)
const decryptLast = (state: Uint8Array): Uint8Array => substitute(shiftRows(state, 3), inverse)

const keygen: FpuMicrocode = ({ state }, [imm]) => {
  const words = new Uint32Array(bytesOf(state.scratch.get(VECTOR_A)).buffer)
  const substituted = new Uint32Array(substitute(new Uint8Array(words.buffer), forward).buffer)
  const rotated = (x: number): number => ((x >>> 8) | (x << 24)) >>> 0
  const rcon = Number(imm)
  const result = Uint32Array.of(
    substituted[1]!,
    rotated(substituted[1]!) ^ rcon,
    substituted[3]!,
    rotated(substituted[3]!) ^ rcon,
  )
  state.scratch.set(VECTOR_A, vectorOf(new Uint8Array(result.buffer)))
}

/** AES-NI: state (or key) in scratch a, round key in scratch b. */
export const aesMicrocode: FpuMicrocodeTable = {
  'sse.aesenc': round((s) => mix(encryptLast(s))),
  'sse.aesenclast': round(encryptLast),
  'sse.aesdec': round((s) => unmix(decryptLast(s))),
  'sse.aesdeclast': round(decryptLast),
  'sse.aesimc': ({ state }) => state.scratch.set(VECTOR_A, vectorOf(unmix(bytesOf(state.scratch.get(VECTOR_A))))),
  'sse.aeskeygen': keygen,
}
