import { needs, np, p66, row, table } from '../notation.ts'

/** AES-NI, PCLMULQDQ and the SHA extensions: [SDM2 Table A-4, Table A-5]. */
export const crypto = [
  table('0f38', 'aes', {
    0xdb: row('AESIMC', 'Vdq', 'Wdq', p66),
    0xdc: row('AESENC', 'Vdq', 'Wdq', p66),
    0xdd: row('AESENCLAST', 'Vdq', 'Wdq', p66),
    0xde: row('AESDEC', 'Vdq', 'Wdq', p66),
    0xdf: row('AESDECLAST', 'Vdq', 'Wdq', p66),
  }),
  table('0f38', 'sha', {
    0xc8: row('SHA1NEXTE', 'Vdq', 'Wdq', np),
    0xc9: row('SHA1MSG1', 'Vdq', 'Wdq', np),
    0xca: row('SHA1MSG2', 'Vdq', 'Wdq', np),
    0xcb: row('SHA256RNDS2', 'Vdq', 'Wdq', 'XMM0', np),
    0xcc: row('SHA256MSG1', 'Vdq', 'Wdq', np),
    0xcd: row('SHA256MSG2', 'Vdq', 'Wdq', np),
  }),
  table('0f3a', 'aes', {
    0x44: row('PCLMULQDQ', 'Vdq', 'Wdq', 'Ib', p66, needs('pclmulqdq')),
    0xcc: row('SHA1RNDS4', 'Vdq', 'Wdq', 'Ib', np, needs('sha')),
    0xdf: row('AESKEYGENASSIST', 'Vdq', 'Wdq', 'Ib', p66),
  }),
]
