import type { Builder, Semantic, Val } from '../builder.ts'
import type { SemanticTable } from '../registry.ts'
import { unsignedTo, widthOf } from './width.ts'

/** The polynomial 11EDC6F41h with its bits reversed. [SDM2 "CRC32—Accumulate CRC32 Value"] */
const POLYNOMIAL = 0x82f6_3b78

/** Feeds the low `bits` bits of `data` (width 32) into the remainder. */
function feed(s: Builder, remainder: Val, data: Val, bits: number): Val {
  const crc = s.local(s.xor(remainder, data))
  const left = s.local(s.const(32, bits))
  const one = s.const(32, 1)
  s.loop(() => {
    const value = crc.get()
    const reduction = s.and(s.neg(s.and(value, one)), s.const(32, POLYNOMIAL))
    crc.set(s.xor(s.shr(value, one), reduction))
    left.set(s.sub(left.get(), one))
    return s.ne(left.get(), s.const(32, 0))
  })
  return crc.get()
}

const CRC32: Semantic = (s, dst, src) => {
  const data = s.read(src)
  const width = widthOf(data)
  let crc = feed(s, unsignedTo(s, s.read(dst), 32), unsignedTo(s, data, 32), Math.min(width, 32))
  if (width === 64) crc = feed(s, crc, s.trunc(s.shr(data, s.const(32, 32)), 32), 32)
  s.write(dst, unsignedTo(s, crc, widthOf(dst)))
}

export const checksum: SemanticTable = { CRC32 }
