import type { Letter } from '../letters.ts'
import type { Mnemonic } from '../mnemonics.ts'
import { needs, np, p66, row, table, type RowSpec } from '../notation.ts'
import { both } from './mmx.ts'

const ssse3 = (mnemonic: Mnemonic): RowSpec[] => both(mnemonic, 'ssse3', 'ssse3')
const packed = (mnemonic: Mnemonic): RowSpec => row(mnemonic, 'Vdq', 'Wdq', p66)
const widening = (mnemonic: Mnemonic, source: Letter): RowSpec => row(mnemonic, 'Vdq', source, p66)

/** [SDM2 Table A-4 "Three-byte Opcode Map: First Two Bytes 0F 38H"] */
export const threeByte38 = table('0f38', 'sse4_1', {
  0x00: ssse3('PSHUFB'),
  0x01: ssse3('PHADDW'),
  0x02: ssse3('PHADDD'),
  0x03: ssse3('PHADDSW'),
  0x04: ssse3('PMADDUBSW'),
  0x05: ssse3('PHSUBW'),
  0x06: ssse3('PHSUBD'),
  0x07: ssse3('PHSUBSW'),
  0x08: ssse3('PSIGNB'),
  0x09: ssse3('PSIGNW'),
  0x0a: ssse3('PSIGND'),
  0x0b: ssse3('PMULHRSW'),
  0x10: row('PBLENDVB', 'Vdq', 'Wdq', 'XMM0', p66),
  0x14: row('BLENDVPS', 'Vps', 'Wps', 'XMM0', p66),
  0x15: row('BLENDVPD', 'Vpd', 'Wpd', 'XMM0', p66),
  0x17: packed('PTEST'),
  0x1c: ssse3('PABSB'),
  0x1d: ssse3('PABSW'),
  0x1e: ssse3('PABSD'),
  0x20: widening('PMOVSXBW', 'Wq'),
  0x21: widening('PMOVSXBD', 'Wd'),
  0x22: widening('PMOVSXBQ', 'Ww'),
  0x23: widening('PMOVSXWD', 'Wq'),
  0x24: widening('PMOVSXWQ', 'Wd'),
  0x25: widening('PMOVSXDQ', 'Wq'),
  0x28: packed('PMULDQ'),
  0x29: packed('PCMPEQQ'),
  0x2a: row('MOVNTDQA', 'Vdq', 'Mdq', p66),
  0x2b: packed('PACKUSDW'),
  0x30: widening('PMOVZXBW', 'Wq'),
  0x31: widening('PMOVZXBD', 'Wd'),
  0x32: widening('PMOVZXBQ', 'Ww'),
  0x33: widening('PMOVZXWD', 'Wq'),
  0x34: widening('PMOVZXWQ', 'Wd'),
  0x35: widening('PMOVZXDQ', 'Wq'),
  0x37: row('PCMPGTQ', 'Vdq', 'Wdq', p66, needs('sse4_2')),
  0x38: packed('PMINSB'),
  0x39: packed('PMINSD'),
  0x3a: packed('PMINUW'),
  0x3b: packed('PMINUD'),
  0x3c: packed('PMAXSB'),
  0x3d: packed('PMAXSD'),
  0x3e: packed('PMAXUW'),
  0x3f: packed('PMAXUD'),
  0x40: packed('PMULLD'),
  0x41: packed('PHMINPOSUW'),
})

/** [SDM2 Table A-5 "Three-byte Opcode Map: First Two Bytes 0F 3AH"] */
export const threeByte3A = table('0f3a', 'sse4_1', {
  0x08: row('ROUNDPS', 'Vps', 'Wps', 'Ib', p66),
  0x09: row('ROUNDPD', 'Vpd', 'Wpd', 'Ib', p66),
  0x0a: row('ROUNDSS', 'Vss', 'Wss', 'Ib', p66),
  0x0b: row('ROUNDSD', 'Vsd', 'Wsd', 'Ib', p66),
  0x0c: row('BLENDPS', 'Vps', 'Wps', 'Ib', p66),
  0x0d: row('BLENDPD', 'Vpd', 'Wpd', 'Ib', p66),
  0x0e: row('PBLENDW', 'Vdq', 'Wdq', 'Ib', p66),
  0x0f: [row('PALIGNR', 'Pq', 'Qq', 'Ib', np, needs('ssse3')), row('PALIGNR', 'Vdq', 'Wdq', 'Ib', p66, needs('ssse3'))],
  0x14: row('PEXTRB', 'Rd/Mb', 'Vdq', 'Ib', p66),
  0x15: row('PEXTRW', 'Rd/Mw', 'Vdq', 'Ib', p66),
  0x16: row('PEXTRD', 'Ey', 'Vdq', 'Ib', p66),
  0x17: row('EXTRACTPS', 'Ed', 'Vdq', 'Ib', p66),
  0x20: row('PINSRB', 'Vdq', 'Rd/Mb', 'Ib', p66),
  0x21: row('INSERTPS', 'Vdq', 'Wd', 'Ib', p66),
  0x22: row('PINSRD', 'Vdq', 'Ey', 'Ib', p66),
  0x40: row('DPPS', 'Vps', 'Wps', 'Ib', p66),
  0x41: row('DPPD', 'Vpd', 'Wpd', 'Ib', p66),
  0x42: row('MPSADBW', 'Vdq', 'Wdq', 'Ib', p66),
  0x60: row('PCMPESTRM', 'Vdq', 'Wdq', 'Ib', p66, needs('sse4_2')),
  0x61: row('PCMPESTRI', 'Vdq', 'Wdq', 'Ib', p66, needs('sse4_2')),
  0x62: row('PCMPISTRM', 'Vdq', 'Wdq', 'Ib', p66, needs('sse4_2')),
  0x63: row('PCMPISTRI', 'Vdq', 'Wdq', 'Ib', p66, needs('sse4_2')),
})
