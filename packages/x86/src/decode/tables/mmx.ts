import type { Feature } from '../features.ts'
import type { Mnemonic } from '../mnemonics.ts'
import { digit, needs, np, p66, row, table, type RowSpec } from '../notation.ts'

/** The same operation on mmx registers (no prefix) and on xmm registers (66). */
export const both = (mnemonic: Mnemonic, mmx: Feature, xmm: Feature): RowSpec[] => [
  row(mnemonic, 'Pq', 'Qq', np, needs(mmx)),
  row(mnemonic, 'Vdq', 'Wdq', p66, needs(xmm)),
]

/** MMX technology, extended to xmm by SSE2. */
const packed = (mnemonic: Mnemonic): RowSpec[] => both(mnemonic, 'mmx', 'sse2')
/** SSE's additions to the mmx registers. */
const packedSse = (mnemonic: Mnemonic): RowSpec[] => both(mnemonic, 'sse', 'sse2')
/** New in SSE2 for either register file. */
const packedSse2 = (mnemonic: Mnemonic): RowSpec[] => both(mnemonic, 'sse2', 'sse2')

/** The low halves: the mmx form reads only 32 bits of memory. [SDM2 "PUNPCKLBW/PUNPCKLWD/PUNPCKLDQ/PUNPCKLQDQ"] */
const unpackLow = (mnemonic: Mnemonic): RowSpec[] => [
  row(mnemonic, 'Pq', 'Qd', np),
  row(mnemonic, 'Vdq', 'Wdq', p66, needs('sse2')),
]

const shiftByImmediate = (mnemonic: Mnemonic, reg: number): RowSpec[] => [
  row(mnemonic, 'Nq', 'Ib', digit(reg), np),
  row(mnemonic, 'Udq', 'Ib', digit(reg), p66, needs('sse2')),
]

/** Rows of [SDM2 Table A-3] that have an mmx and an xmm form. */
export const mmx = table('0f', 'mmx', {
  0x60: unpackLow('PUNPCKLBW'),
  0x61: unpackLow('PUNPCKLWD'),
  0x62: unpackLow('PUNPCKLDQ'),
  0x63: packed('PACKSSWB'),
  0x64: packed('PCMPGTB'),
  0x65: packed('PCMPGTW'),
  0x66: packed('PCMPGTD'),
  0x67: packed('PACKUSWB'),
  0x68: packed('PUNPCKHBW'),
  0x69: packed('PUNPCKHWD'),
  0x6a: packed('PUNPCKHDQ'),
  0x6b: packed('PACKSSDW'),
  0x6e: [row('MOVD', 'Pq', 'Ey', np), row('MOVD', 'Vdq', 'Ey', p66, needs('sse2'))],
  0x6f: row('MOVQ', 'Pq', 'Qq', np),
  0x71: [...shiftByImmediate('PSRLW', 2), ...shiftByImmediate('PSRAW', 4), ...shiftByImmediate('PSLLW', 6)],
  0x72: [...shiftByImmediate('PSRLD', 2), ...shiftByImmediate('PSRAD', 4), ...shiftByImmediate('PSLLD', 6)],
  0x73: [...shiftByImmediate('PSRLQ', 2), ...shiftByImmediate('PSLLQ', 6)],
  0x74: packed('PCMPEQB'),
  0x75: packed('PCMPEQW'),
  0x76: packed('PCMPEQD'),
  0x77: row('EMMS', np),
  0x7e: [row('MOVD', 'Ey', 'Pd', np), row('MOVD', 'Ey', 'Vd', p66, needs('sse2'))],
  0x7f: row('MOVQ', 'Qq', 'Pq', np),
  0xd1: packed('PSRLW'),
  0xd2: packed('PSRLD'),
  0xd3: packed('PSRLQ'),
  0xd4: packedSse2('PADDQ'),
  0xd5: packed('PMULLW'),
  0xd8: packed('PSUBUSB'),
  0xd9: packed('PSUBUSW'),
  0xda: packedSse('PMINUB'),
  0xdb: packed('PAND'),
  0xdc: packed('PADDUSB'),
  0xdd: packed('PADDUSW'),
  0xde: packedSse('PMAXUB'),
  0xdf: packed('PANDN'),
  0xe0: packedSse('PAVGB'),
  0xe1: packed('PSRAW'),
  0xe2: packed('PSRAD'),
  0xe3: packedSse('PAVGW'),
  0xe4: packedSse('PMULHUW'),
  0xe5: packed('PMULHW'),
  0xe8: packed('PSUBSB'),
  0xe9: packed('PSUBSW'),
  0xea: packedSse('PMINSW'),
  0xeb: packed('POR'),
  0xec: packed('PADDSB'),
  0xed: packed('PADDSW'),
  0xee: packedSse('PMAXSW'),
  0xef: packed('PXOR'),
  0xf1: packed('PSLLW'),
  0xf2: packed('PSLLD'),
  0xf3: packed('PSLLQ'),
  0xf4: packedSse2('PMULUDQ'),
  0xf5: packed('PMADDWD'),
  0xf6: packedSse('PSADBW'),
  0xf8: packed('PSUBB'),
  0xf9: packed('PSUBW'),
  0xfa: packed('PSUBD'),
  0xfb: packedSse2('PSUBQ'),
  0xfc: packed('PADDB'),
  0xfd: packed('PADDW'),
  0xfe: packed('PADDD'),
})
