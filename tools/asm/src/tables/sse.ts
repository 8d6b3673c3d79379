/** MMX, SSE, SSE2 and SSE3. [SDM2 Appendix A.3 "One, Two, and Three-Byte Opcode Maps"] */

const each = (text: string, row: (...parts: [string, string, ...string[]]) => string): string =>
  text
    .trim()
    .split(/\s+/)
    .map((word) => row(...(word.split(':') as [string, string, ...string[]])))
    .join('\n')

/** Packed and scalar arithmetic: no prefix, 66, F3 and F2 are ps, pd, ss and sd. */
const floating = each(
  'sqrt:51 add:58 mul:59 sub:5c min:5d div:5e max:5f',
  (n, o) =>
    `${n}ps | xmm, x128 | np 0f ${o} /r\n${n}pd | xmm, x128 | p66 0f ${o} /r\n${n}ss | xmm, x128m32 | pf3 0f ${o} /r\n${n}sd | xmm, x128m64 | pf2 0f ${o} /r`,
)

const floatingLogic = each(
  'unpckl:14 unpckh:15 and:54 andn:55 or:56 xor:57',
  (n, o) => `${n}ps | xmm, x128 | np 0f ${o} /r\n${n}pd | xmm, x128 | p66 0f ${o} /r`,
)

const COMPARISONS = ['eq', 'lt', 'le', 'unord', 'neq', 'nlt', 'nle', 'ord']

/** Integer operations that exist on MMX registers and, with 66, on XMM registers. */
const integer = each(
  `punpcklbw:60 punpcklwd:61 punpckldq:62 packsswb:63 pcmpgtb:64 pcmpgtw:65 pcmpgtd:66 packuswb:67 punpckhbw:68 punpckhwd:69 punpckhdq:6a
   packssdw:6b pcmpeqb:74 pcmpeqw:75 pcmpeqd:76 paddq:d4 pmullw:d5 psubusb:d8 psubusw:d9 pminub:da pand:db paddusb:dc paddusw:dd pmaxub:de
   pandn:df pavgb:e0 pavgw:e3 pmulhuw:e4 pmulhw:e5 psubsb:e8 psubsw:e9 pminsw:ea por:eb paddsb:ec paddsw:ed pmaxsw:ee pxor:ef pmuludq:f4
   pmaddwd:f5 psadbw:f6 psubb:f8 psubw:f9 psubd:fa psubq:fb paddb:fc paddw:fd paddd:fe
   psrlw:d1 psrld:d2 psrlq:d3 psraw:e1 psrad:e2 psllw:f1 pslld:f2 psllq:f3`,
  (n, o) => `${n} | mm, ${['60', '61', '62'].includes(o) ? 'mm32' : 'mm64'} | np 0f ${o} /r\n${n} | xmm, x128 | p66 0f ${o} /r`,
)

const shiftImmediates = each(
  'psrlw:71:2 psraw:71:4 psllw:71:6 psrld:72:2 psrad:72:4 pslld:72:6 psrlq:73:2 psllq:73:6',
  (n, o, ...rest) => {
    const digit = rest[0]
    return `${n} | nmm, ib | np 0f ${o} /${digit}\n${n} | nxmm, ib | p66 0f ${o} /${digit}`
  },
)

const moves = each('movlp:12 movhp:16', (n, o) => {
  const store = (parseInt(o, 16) + 1).toString(16)
  return `${n}s | xmm, m64 | np 0f ${o} /r\n${n}d | xmm, m64 | p66 0f ${o} /r\n${n}s | m64, xmm | np 0f ${store} /r\n${n}d | m64, xmm | p66 0f ${store} /r`
})

const pairs = each(
  'movups:np:10:11 movupd:p66:10:11 movaps:np:28:29 movapd:p66:28:29 movdqa:p66:6f:7f movdqu:pf3:6f:7f',
  (n, p, ...rest) => {
    const [load, store] = rest
    return `${n} | xmm, x128 | ${p} 0f ${load} /r\n${n} | x128, xmm | ${p} 0f ${store} /r`
  },
)

const comparisons = ['ps np 128', 'pd p66 128', 'ss pf3 32', 'sd pf2 64']
  .map((s) => s.split(' ') as [string, string, string])
  .map(([suffix, prefix, size]) => `cmp${suffix} | xmm, x128m${size}, ib | ${prefix} 0f c2 /r`)
  .join('\n')

/** CMPEQPS and its kin are CMPPS with the predicate as immediate; the assembler appends it. */
export const COMPARISON_ALIASES: ReadonlyMap<string, { mnemonic: string; predicate: number }> = new Map(
  ['ps', 'pd', 'ss', 'sd'].flatMap((suffix) =>
    COMPARISONS.map((c, predicate) => [`cmp${c}${suffix}`, { mnemonic: `cmp${suffix}`, predicate }] as const),
  ),
)

export const SSE =
  [floating, floatingLogic, integer, shiftImmediates, moves, pairs, comparisons].join('\n') +
  `
rsqrtps | xmm, x128      | np 0f 52 /r
rsqrtss | xmm, x128m32   | pf3 0f 52 /r
rcpps   | xmm, x128      | np 0f 53 /r
rcpss   | xmm, x128m32   | pf3 0f 53 /r
movss   | xmm, x128m32   | pf3 0f 10 /r
movss   | x128m32, xmm   | pf3 0f 11 /r
movsd   | xmm, x128m64   | pf2 0f 10 /r
movsd   | x128m64, xmm   | pf2 0f 11 /r
movhlps | xmm, nxmm      | np 0f 12 /r
movlhps | xmm, nxmm      | np 0f 16 /r
movmskps | r32, nxmm     | np 0f 50 /r
movmskpd | r32, nxmm     | p66 0f 50 /r
movntps | m128, xmm      | np 0f 2b /r
movntpd | m128, xmm      | p66 0f 2b /r
movntdq | m128, xmm      | p66 0f e7 /r
movntq  | m64, mm        | np 0f e7 /r
maskmovq   | mm, nmm     | np 0f f7 /r
maskmovdqu | xmm, nxmm   | p66 0f f7 /r
movd | mm, rm32          | np 0f 6e /r
movd | rm32, mm          | np 0f 7e /r
movd | xmm, rm32         | p66 0f 6e /r
movd | rm32, xmm         | p66 0f 7e /r
movq | mm, mm64          | np 0f 6f /r
movq | mm64, mm          | np 0f 7f /r
movq | xmm, x128m64      | pf3 0f 7e /r
movq | x128m64, xmm      | p66 0f d6 /r
movq | mm, nr64          | np 0f 6e /r  | w
movq | nr64, mm          | np 0f 7e /r  | w
movq | xmm, nr64         | p66 0f 6e /r | w
movq | nr64, xmm         | p66 0f 7e /r | w
movq2dq | xmm, nmm       | pf3 0f d6 /r
movdq2q | mm, nxmm       | pf2 0f d6 /r
pshufw  | mm, mm64, ib   | np 0f 70 /r
pshufd  | xmm, x128, ib  | p66 0f 70 /r
pshufhw | xmm, x128, ib  | pf3 0f 70 /r
pshuflw | xmm, x128, ib  | pf2 0f 70 /r
pslldq  | nxmm, ib       | p66 0f 73 /7
psrldq  | nxmm, ib       | p66 0f 73 /3
punpcklqdq | xmm, x128   | p66 0f 6c /r
punpckhqdq | xmm, x128   | p66 0f 6d /r
pinsrw  | mm, r32m16, ib  | np 0f c4 /r
pinsrw  | xmm, r32m16, ib | p66 0f c4 /r
pextrw  | r32, nmm, ib   | np 0f c5 /r
pextrw  | r32, nxmm, ib  | p66 0f c5 /r
pmovmskb | r32, nmm      | np 0f d7 /r
pmovmskb | r32, nxmm     | p66 0f d7 /r
shufps | xmm, x128, ib   | np 0f c6 /r
shufpd | xmm, x128, ib   | p66 0f c6 /r
ucomiss | xmm, x128m32   | np 0f 2e /r
ucomisd | xmm, x128m64   | p66 0f 2e /r
comiss  | xmm, x128m32   | np 0f 2f /r
comisd  | xmm, x128m64   | p66 0f 2f /r
cvtpi2ps | xmm, mm64     | np 0f 2a /r
cvtpi2pd | xmm, mm64     | p66 0f 2a /r
cvtsi2ss | xmm, rmy      | pf3 0f 2a /r
cvtsi2sd | xmm, rmy      | pf2 0f 2a /r
cvttps2pi | mm, x128m64  | np 0f 2c /r
cvttpd2pi | mm, x128     | p66 0f 2c /r
cvttss2si | ry, x128m32  | pf3 0f 2c /r
cvttsd2si | ry, x128m64  | pf2 0f 2c /r
cvtps2pi | mm, x128m64   | np 0f 2d /r
cvtpd2pi | mm, x128      | p66 0f 2d /r
cvtss2si | ry, x128m32   | pf3 0f 2d /r
cvtsd2si | ry, x128m64   | pf2 0f 2d /r
cvtps2pd | xmm, x128m64  | np 0f 5a /r
cvtpd2ps | xmm, x128     | p66 0f 5a /r
cvtss2sd | xmm, x128m32  | pf3 0f 5a /r
cvtsd2ss | xmm, x128m64  | pf2 0f 5a /r
cvtdq2ps | xmm, x128     | np 0f 5b /r
cvtps2dq | xmm, x128     | p66 0f 5b /r
cvttps2dq | xmm, x128    | pf3 0f 5b /r
cvttpd2dq | xmm, x128    | p66 0f e6 /r
cvtdq2pd | xmm, x128m64  | pf3 0f e6 /r
cvtpd2dq | xmm, x128     | pf2 0f e6 /r
lddqu   | xmm, m128      | pf2 0f f0 /r
movddup | xmm, x128m64   | pf2 0f 12 /r
movsldup | xmm, x128     | pf3 0f 12 /r
movshdup | xmm, x128     | pf3 0f 16 /r
haddpd | xmm, x128       | p66 0f 7c /r
haddps | xmm, x128       | pf2 0f 7c /r
hsubpd | xmm, x128       | p66 0f 7d /r
hsubps | xmm, x128       | pf2 0f 7d /r
addsubpd | xmm, x128     | p66 0f d0 /r
addsubps | xmm, x128     | pf2 0f d0 /r
`
