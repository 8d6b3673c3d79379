/** [SDM2 Appendix B.17 "Floating-Point Instruction Formats and Encodings"] */

const arithmetic = ['fadd 0 0', 'fmul 1 1', 'fsub 4 5', 'fsubr 5 4', 'fdiv 6 7', 'fdivr 7 6']
  .map((s) => s.split(' ') as [string, string, string])
  .map(([name, forward, reverse]) => {
    const st = (digit: string) => (0xc0 + Number(digit) * 8).toString(16)
    return `
${name} | m32        | d8 /${forward}
${name} | m64        | dc /${forward}
${name} | st0, sti   | d8 ${st(forward)} +r
${name} | sti, st0   | dc ${st(reverse)} +r
${name} | sti        | d8 ${st(forward)} +r
${name}p | sti, st0  | de ${st(reverse)} +r
${name}p | sti       | de ${st(reverse)} +r
${name}p |           | de ${(parseInt(st(reverse), 16) + 1).toString(16)}
fi${name.slice(1)} | m16 | de /${forward}
fi${name.slice(1)} | m32 | da /${forward}`
  })
  .join('')

const conditionalMoves = [
  'fcmovb da c0',
  'fcmove da c8',
  'fcmovbe da d0',
  'fcmovu da d8',
  'fcmovnb db c0',
  'fcmovne db c8',
  'fcmovnbe db d0',
  'fcmovnu db d8',
]
  .concat(['fucomi db e8', 'fcomi db f0', 'fucomip df e8', 'fcomip df f0'])
  .map((s) => s.split(' ') as [string, string, string])
  .map(([name, a, b]) => `\n${name} | st0, sti | ${a} ${b} +r\n${name} | sti | ${a} ${b} +r`)
  .join('')

const plain = `fnop d0 fchs e0 fabs e1 ftst e4 fxam e5 fld1 e8 fldl2t e9 fldl2e ea fldpi eb fldlg2 ec fldln2 ed fldz ee
f2xm1 f0 fyl2x f1 fptan f2 fpatan f3 fxtract f4 fprem1 f5 fdecstp f6 fincstp f7 fprem f8 fyl2xp1 f9 fsqrt fa fsincos fb
frndint fc fscale fd fsin fe fcos ff`
  .split(/\s+/)
  .map((word, n) => (n % 2 === 0 ? `\n${word} | | d9 ` : word))
  .join('')

export const X87 = `${arithmetic}${conditionalMoves}${plain}
fcom  | m32     | d8 /2
fcom  | m64     | dc /2
fcom  | st0, sti | d8 d0 +r
fcom  | sti     | d8 d0 +r
fcom  |         | d8 d1
fcomp | m32     | d8 /3
fcomp | m64     | dc /3
fcomp | st0, sti | d8 d8 +r
fcomp | sti     | d8 d8 +r
fcomp |         | d8 d9
fcompp |        | de d9
fucom  | st0, sti | dd e0 +r
fucom  | sti    | dd e0 +r
fucom  |        | dd e1
fucomp | st0, sti | dd e8 +r
fucomp | sti    | dd e8 +r
fucomp |        | dd e9
fucompp |       | da e9
ficom  | m16    | de /2
ficom  | m32    | da /2
ficomp | m16    | de /3
ficomp | m32    | da /3
fld  | m32      | d9 /0
fld  | m64      | dd /0
fld  | m80      | db /5
fld  | sti      | d9 c0 +r
fst  | m32      | d9 /2
fst  | m64      | dd /2
fst  | sti      | dd d0 +r
fstp | m32      | d9 /3
fstp | m64      | dd /3
fstp | m80      | db /7
fstp | sti      | dd d8 +r
fxch | sti      | d9 c8 +r
fxch | st0, sti | d9 c8 +r
fxch |          | d9 c9
fild | m16      | df /0
fild | m32      | db /0
fild | m64      | df /5
fist | m16      | df /2
fist | m32      | db /2
fistp | m16     | df /3
fistp | m32     | db /3
fistp | m64     | df /7
fisttp | m16    | df /1
fisttp | m32    | db /1
fisttp | m64    | dd /1
fbld  | m80     | df /4
fbstp | m80     | df /6
ffree | sti     | dd c0 +r
ffreep | sti    | df c0 +r
fninit |        | db e3
finit  |        | 9b db e3
fnclex |        | db e2
fclex  |        | 9b db e2
fldcw  | m16    | d9 /5
fnstcw | m16    | d9 /7
fstcw  | m16    | 9b d9 /7
fnstsw | m16    | dd /7
fnstsw | ax     | df e0
fstsw  | m16    | 9b dd /7
fstsw  | ax     | 9b df e0
fldenv  | m     | d9 /4
fnstenv | m     | d9 /6
fstenv  | m     | 9b d9 /6
frstor  | m     | dd /4
fnsave  | m     | dd /6
fsave   | m     | 9b dd /6
emms    |       | np 0f 77
`
