import type { Mnemonic } from '../mnemonics.ts'
import { digit, needs, np, p66, pF2, pF3, row, table, type RowSpec } from '../notation.ts'

/** Names that end in the suffix, without it. */
type Stem<Suffix extends string, M = Mnemonic> = M extends `${infer S}${Suffix}` ? S : never
type PackedStem = Stem<'PS'> & Stem<'PD'>

const ps = (mnemonic: Stem<'PS'>): RowSpec => row(`${mnemonic}PS`, 'Vps', 'Wps', np)
const pd = (mnemonic: Stem<'PD'>): RowSpec => row(`${mnemonic}PD`, 'Vpd', 'Wpd', p66, needs('sse2'))
const ss = (mnemonic: Stem<'SS'>): RowSpec => row(`${mnemonic}SS`, 'Vss', 'Wss', pF3)
const sd = (mnemonic: Stem<'SD'>): RowSpec => row(`${mnemonic}SD`, 'Vsd', 'Wsd', pF2, needs('sse2'))

/** Packed single, packed double, scalar single, scalar double. */
const fourForms = (mnemonic: PackedStem & Stem<'SS'> & Stem<'SD'>): RowSpec[] => [
  ps(mnemonic),
  pd(mnemonic),
  ss(mnemonic),
  sd(mnemonic),
]
const packedForms = (mnemonic: PackedStem): RowSpec[] => [ps(mnemonic), pd(mnemonic)]

const compare = (mnemonic: 'UCOMIS' | 'COMIS'): RowSpec[] => [
  row(`${mnemonic}S`, 'Vss', 'Wss', np),
  row(`${mnemonic}D`, 'Vsd', 'Wsd', p66, needs('sse2')),
]

/** SSE and SSE2: rows of [SDM2 Table A-3] on the xmm registers alone, and SSE's additions that have only an mmx form. */
export const sse = table('0f', 'sse', {
  0x10: [
    row('MOVUPS', 'Vps', 'Wps', np),
    row('MOVUPD', 'Vpd', 'Wpd', p66, needs('sse2')),
    row('MOVSS', 'Vss', 'Wss', pF3),
    row('MOVSD', 'Vsd', 'Wsd', pF2, needs('sse2')),
  ],
  0x11: [
    row('MOVUPS', 'Wps', 'Vps', np),
    row('MOVUPD', 'Wpd', 'Vpd', p66, needs('sse2')),
    row('MOVSS', 'Wss', 'Vss', pF3),
    row('MOVSD', 'Wsd', 'Vsd', pF2, needs('sse2')),
  ],
  0x12: [row('MOVLPS', 'Vq', 'Mq', np), row('MOVHLPS', 'Vdq', 'Udq', np), row('MOVLPD', 'Vq', 'Mq', p66, needs('sse2'))],
  0x13: [row('MOVLPS', 'Mq', 'Vq', np), row('MOVLPD', 'Mq', 'Vq', p66, needs('sse2'))],
  0x14: packedForms('UNPCKL'),
  0x15: packedForms('UNPCKH'),
  0x16: [row('MOVHPS', 'Vdq', 'Mq', np), row('MOVLHPS', 'Vdq', 'Uq', np), row('MOVHPD', 'Vdq', 'Mq', p66, needs('sse2'))],
  0x17: [row('MOVHPS', 'Mq', 'Vdq', np), row('MOVHPD', 'Mq', 'Vdq', p66, needs('sse2'))],
  0x28: packedForms('MOVA'),
  0x29: [row('MOVAPS', 'Wps', 'Vps', np), row('MOVAPD', 'Wpd', 'Vpd', p66, needs('sse2'))],
  0x2a: [
    row('CVTPI2PS', 'Vq', 'Qq', np),
    row('CVTPI2PD', 'Vpd', 'Qq', p66, needs('sse2')),
    row('CVTSI2SS', 'Vss', 'Ey', pF3),
    row('CVTSI2SD', 'Vsd', 'Ey', pF2, needs('sse2')),
  ],
  0x2b: [row('MOVNTPS', 'Mdq', 'Vps', np), row('MOVNTPD', 'Mdq', 'Vpd', p66, needs('sse2'))],
  0x2c: [
    row('CVTTPS2PI', 'Pq', 'Wq', np),
    row('CVTTPD2PI', 'Pq', 'Wpd', p66, needs('sse2')),
    row('CVTTSS2SI', 'Gy', 'Wss', pF3),
    row('CVTTSD2SI', 'Gy', 'Wsd', pF2, needs('sse2')),
  ],
  0x2d: [
    row('CVTPS2PI', 'Pq', 'Wq', np),
    row('CVTPD2PI', 'Pq', 'Wpd', p66, needs('sse2')),
    row('CVTSS2SI', 'Gy', 'Wss', pF3),
    row('CVTSD2SI', 'Gy', 'Wsd', pF2, needs('sse2')),
  ],
  0x2e: compare('UCOMIS'),
  0x2f: compare('COMIS'),

  0x50: [row('MOVMSKPS', 'Gd', 'Ups', np), row('MOVMSKPD', 'Gd', 'Upd', p66, needs('sse2'))],
  0x51: fourForms('SQRT'),
  0x52: [ps('RSQRT'), ss('RSQRT')],
  0x53: [ps('RCP'), ss('RCP')],
  0x54: packedForms('AND'),
  0x55: packedForms('ANDN'),
  0x56: packedForms('OR'),
  0x57: packedForms('XOR'),
  0x58: fourForms('ADD'),
  0x59: fourForms('MUL'),
  0x5a: [
    row('CVTPS2PD', 'Vpd', 'Wq', np, needs('sse2')),
    row('CVTPD2PS', 'Vq', 'Wpd', p66, needs('sse2')),
    row('CVTSS2SD', 'Vsd', 'Wss', pF3, needs('sse2')),
    row('CVTSD2SS', 'Vss', 'Wsd', pF2, needs('sse2')),
  ],
  0x5b: [
    row('CVTDQ2PS', 'Vps', 'Wdq', np, needs('sse2')),
    row('CVTPS2DQ', 'Vdq', 'Wps', p66, needs('sse2')),
    row('CVTTPS2DQ', 'Vdq', 'Wps', pF3, needs('sse2')),
  ],
  0x5c: fourForms('SUB'),
  0x5d: fourForms('MIN'),
  0x5e: fourForms('DIV'),
  0x5f: fourForms('MAX'),

  0x6c: row('PUNPCKLQDQ', 'Vdq', 'Wdq', p66, needs('sse2')),
  0x6d: row('PUNPCKHQDQ', 'Vdq', 'Wdq', p66, needs('sse2')),
  0x6f: [row('MOVDQA', 'Vdq', 'Wdq', p66, needs('sse2')), row('MOVDQU', 'Vdq', 'Wdq', pF3, needs('sse2'))],
  0x70: [
    row('PSHUFW', 'Pq', 'Qq', 'Ib', np),
    row('PSHUFD', 'Vdq', 'Wdq', 'Ib', p66, needs('sse2')),
    row('PSHUFHW', 'Vdq', 'Wdq', 'Ib', pF3, needs('sse2')),
    row('PSHUFLW', 'Vdq', 'Wdq', 'Ib', pF2, needs('sse2')),
  ],
  0x73: [row('PSRLDQ', 'Udq', 'Ib', digit(3), p66, needs('sse2')), row('PSLLDQ', 'Udq', 'Ib', digit(7), p66, needs('sse2'))],
  0x7e: row('MOVQ', 'Vq', 'Wq', pF3, needs('sse2')),
  0x7f: [row('MOVDQA', 'Wdq', 'Vdq', p66, needs('sse2')), row('MOVDQU', 'Wdq', 'Vdq', pF3, needs('sse2'))],
  0xc2: [
    row('CMPPS', 'Vps', 'Wps', 'Ib', np),
    row('CMPPD', 'Vpd', 'Wpd', 'Ib', p66, needs('sse2')),
    row('CMPSS', 'Vss', 'Wss', 'Ib', pF3),
    row('CMPSD', 'Vsd', 'Wsd', 'Ib', pF2, needs('sse2')),
  ],
  0xc4: [row('PINSRW', 'Pq', 'Rd/Mw', 'Ib', np), row('PINSRW', 'Vdq', 'Rd/Mw', 'Ib', p66, needs('sse2'))],
  0xc5: [row('PEXTRW', 'Gd', 'Nq', 'Ib', np), row('PEXTRW', 'Gd', 'Udq', 'Ib', p66, needs('sse2'))],
  0xc6: [row('SHUFPS', 'Vps', 'Wps', 'Ib', np), row('SHUFPD', 'Vpd', 'Wpd', 'Ib', p66, needs('sse2'))],
  0xd6: [
    row('MOVQ', 'Wq', 'Vq', p66, needs('sse2')),
    row('MOVQ2DQ', 'Vdq', 'Nq', pF3, needs('sse2')),
    row('MOVDQ2Q', 'Pq', 'Uq', pF2, needs('sse2')),
  ],
  0xd7: [row('PMOVMSKB', 'Gd', 'Nq', np), row('PMOVMSKB', 'Gd', 'Udq', p66, needs('sse2'))],
  0xe6: [
    row('CVTTPD2DQ', 'Vdq', 'Wpd', p66, needs('sse2')),
    row('CVTDQ2PD', 'Vpd', 'Wq', pF3, needs('sse2')),
    row('CVTPD2DQ', 'Vdq', 'Wpd', pF2, needs('sse2')),
  ],
  0xe7: [row('MOVNTQ', 'Mq', 'Pq', np), row('MOVNTDQ', 'Mdq', 'Vdq', p66, needs('sse2'))],
  0xf7: [row('MASKMOVQ', 'Pq', 'Nq', 'BDq', np), row('MASKMOVDQU', 'Vdq', 'Udq', 'BDdq', p66, needs('sse2'))],
})

/** SSE3. */
export const sse3 = table('0f', 'sse3', {
  0x12: [row('MOVSLDUP', 'Vps', 'Wps', pF3), row('MOVDDUP', 'Vdq', 'Wq', pF2)],
  0x16: row('MOVSHDUP', 'Vps', 'Wps', pF3),
  0x7c: [row('HADDPD', 'Vpd', 'Wpd', p66), row('HADDPS', 'Vps', 'Wps', pF2)],
  0x7d: [row('HSUBPD', 'Vpd', 'Wpd', p66), row('HSUBPS', 'Vps', 'Wps', pF2)],
  0xd0: [row('ADDSUBPD', 'Vpd', 'Wpd', p66), row('ADDSUBPS', 'Vps', 'Wps', pF2)],
  0xf0: row('LDDQU', 'Vdq', 'Mdq', pF2),
})
