import type { Leaf } from './opcode-maps.ts'
import type { Reading } from './reading.ts'

/** C4, C5 and 62 where they are no LES, LDS or BOUND: [SDM2 2.3 "Intel Advanced Vector Extensions (Intel AVX)", 2.7 "Intel AVX-512 Encoding"]. */
export type VectorEscape = 0xc4 | 0xc5 | 0x62

/** Reads the rest of the escape, its opcode and ModRM, and finds the row; undefined is #UD. */
export type VectorTable = (r: Reading, escape: VectorEscape) => Leaf | undefined

/** This processor announces neither AVX nor BMI's VEX forms nor AVX-512, so the table has no rows. */
export const vex: VectorTable = () => undefined
