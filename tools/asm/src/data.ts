import type { Scope } from './expression.ts'

export function integerBytes(value: bigint, bytes: number, scope: Scope): Uint8Array {
  const bits = BigInt(bytes * 8)
  if (value < -(1n << (bits - 1n)) || value >= 1n << bits)
    throw scope.error(`${value} does not fit ${bytes} byte${bytes === 1 ? '' : 's'}`, 1)
  const out = new Uint8Array(bytes)
  for (let n = 0; n < bytes; n++) out[n] = Number((value >> BigInt(8 * n)) & 0xffn)
  return out
}

export function floatBytes(value: number, bytes: number, scope: Scope): Uint8Array {
  const out = new Uint8Array(bytes)
  const view = new DataView(out.buffer)
  if (bytes === 4) view.setFloat32(0, value, true)
  else if (bytes === 8) view.setFloat64(0, value, true)
  else if (bytes === 10) extended(value, view)
  else throw scope.error('a floating-point constant needs dd, dq or dt', 1)
  return out
}

/** Double to double extended precision; the constant has a double's precision. [SDM1 4.2.2 "Floating-Point Data Types"] */
function extended(value: number, out: DataView): void {
  const scratch = new DataView(new ArrayBuffer(8))
  scratch.setFloat64(0, value)
  const bits = scratch.getBigUint64(0)
  const sign = Number(bits >> 63n) << 15
  let exponent = Number((bits >> 52n) & 0x7ffn)
  let fraction = bits & 0xf_ffff_ffff_ffffn
  if (exponent === 0 && fraction === 0n) {
    out.setUint16(8, sign, true)
    return
  }
  if (exponent === 0) {
    exponent = 1
    while (fraction < 1n << 52n) {
      fraction <<= 1n
      exponent--
    }
    fraction &= 0xf_ffff_ffff_ffffn
  }
  out.setBigUint64(0, (1n << 63n) | (fraction << 11n), true)
  out.setUint16(8, sign | (exponent - 1023 + 16383), true)
}
