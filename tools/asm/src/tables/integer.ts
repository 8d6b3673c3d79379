/** [SDM2 Appendix A.3 "One, Two, and Three-Byte Opcode Maps"]; the notation is described at `compileRows`. */

const arithmetic = ['add', 'or', 'adc', 'sbb', 'and', 'sub', 'xor', 'cmp']
  .map((name, n) => {
    const base = n * 8
    const op = (k: number) => (base + k).toString(16).padStart(2, '0')
    return `
${name} | rmv, ibs   | 83 /${n}
${name} | al, ib     | ${op(4)}
${name} | av, iz     | ${op(5)}
${name} | rm8, ib    | 80 /${n}
${name} | rmv, iz    | 81 /${n}
${name} | rm8, r8    | ${op(0)} /r
${name} | rmv, rv    | ${op(1)} /r
${name} | r8, rm8    | ${op(2)} /r
${name} | rv, rmv    | ${op(3)} /r`
  })
  .join('')

const shifts = ['rol', 'ror', 'rcl', 'rcr', 'shl', 'shr', '', 'sar']
  .map((name, n) =>
    name === ''
      ? ''
      : ['rm8 d0 c0 d2', 'rmv d1 c1 d3']
          .map((s) => s.split(' '))
          .map(
            ([operand, one, imm, cl]) => `
${name}${n === 4 ? ' sal' : ''} | ${operand}, 1  | ${one} /${n}
${name}${n === 4 ? ' sal' : ''} | ${operand}, ib | ${imm} /${n}
${name}${n === 4 ? ' sal' : ''} | ${operand}, cl | ${cl} /${n}`,
          )
          .join(''),
  )
  .join('')

/** Every spelling of a condition, by its encoding. [SDM2 Appendix B.1.4.7 "Condition Test (tttn) Field"] */
const CONDITIONS = [
  'o',
  'no',
  'b c nae',
  'ae nb nc',
  'e z',
  'ne nz',
  'be na',
  'a nbe',
  's',
  'ns',
  'p pe',
  'np po',
  'l nge',
  'ge nl',
  'le ng',
  'g nle',
]

const conditional = CONDITIONS.map((spellings, n) => {
  const names = (prefix: string) =>
    spellings
      .split(' ')
      .map((s) => prefix + s)
      .join(' ')
  const d = n.toString(16)
  return `
${names('j')}    | rel8      | 7${d}
${names('j')}    | relv      | 0f 8${d}    | d64 ds
${names('set')}  | rm8       | 0f 9${d} /0
${names('cmov')} | rv, rmv   | 0f 4${d} /r`
}).join('')

const strings = ['movs a4', 'cmps a6', 'stos aa', 'lods ac', 'scas ae', 'ins 6c', 'outs 6e']
  .map((s) => s.split(' ') as [string, string])
  .map(([name, byte]) => {
    const wide = (parseInt(byte, 16) + 1).toString(16)
    const io = name === 'ins' || name === 'outs'
    return `
${name}b |  | ${byte}
${name}w |  | ${wide} | o16f
${name}d |  | ${wide} | o32f${io ? '' : `\n${name}q |  | ${wide} | o64f`}`
  })
  .join('')

export const INTEGER = `${arithmetic}${shifts}${conditional}${strings}
mov | r8, ib          | b0 +r
mov | r64, iu32       | b8 +r         | o64
mov | rv, iv          | b8 +r
mov | al, moffs8      | a0
mov | av, moffsv      | a1
mov | moffs8, al      | a2
mov | moffsv, av      | a3
mov | rm8, r8         | 88 /r
mov | rmv, rv         | 89 /r
mov | r8, rm8         | 8a /r
mov | rv, rmv         | 8b /r
mov | rm8, ib         | c6 /0
mov | rmv, iz         | c7 /0
mov | m16, sreg       | 8c /r
mov | nr16, sreg      | 8c /r         | o16f
mov | nr32, sreg      | 8c /r         | o32f
mov | nr64, sreg      | 8c /r         | o64
mov | sreg, rm16      | 8e /r
mov | sreg, nr32      | 8e /r
mov | sreg, nr64      | 8e /r         | o64
mov | nr32, creg      | 0f 20 /r      | i64
mov | nr64, creg      | 0f 20 /r      | o64
mov | nr32, dreg      | 0f 21 /r      | i64
mov | nr64, dreg      | 0f 21 /r      | o64
mov | creg, nr32      | 0f 22 /r      | i64
mov | creg, nr64      | 0f 22 /r      | o64
mov | dreg, nr32      | 0f 23 /r      | i64
mov | dreg, nr64      | 0f 23 /r      | o64
movzx | rv, rm8       | 0f b6 /r
movzx | rv, rm16      | 0f b7 /r      | no16
movsx | rv, rm8       | 0f be /r
movsx | rv, rm16      | 0f bf /r      | no16
movsxd | r64, rm32    | 63 /r         | o64f
lea | rv, m           | 8d /r
xchg | av, rv         | 90 +r         | nopx
xchg | rv, av         | 90 +r         | nopx
xchg | rm8, r8        | 86 /r
xchg | r8, rm8        | 86 /r
xchg | rmv, rv        | 87 /r
xchg | rv, rmv        | 87 /r
test | al, ib         | a8
test | av, iz         | a9
test | rm8, ib        | f6 /0
test | rmv, iz        | f7 /0
test | rm8, r8        | 84 /r
test | rmv, rv        | 85 /r
test | r8, rm8        | 84 /r
test | rv, rmv        | 85 /r
not  | rm8            | f6 /2
not  | rmv            | f7 /2
neg  | rm8            | f6 /3
neg  | rmv            | f7 /3
mul  | rm8            | f6 /4
mul  | rmv            | f7 /4
imul | rm8            | f6 /5
imul | rmv            | f7 /5
imul | rv, rmv        | 0f af /r
imul | rv, rmv, ibs   | 6b /r
imul | rv, rmv, iz    | 69 /r
imul | rv, ibs        | 6b /rr
imul | rv, iz         | 69 /rr
div  | rm8            | f6 /6
div  | rmv            | f7 /6
idiv | rm8            | f6 /7
idiv | rmv            | f7 /7
inc  | rz             | 40 +r         | i64
inc  | rm8            | fe /0
inc  | rmv            | ff /0
dec  | rz             | 48 +r         | i64
dec  | rm8            | fe /1
dec  | rmv            | ff /1
push | rv             | 50 +r         | d64
push | ibs            | 6a            | d64 ds v
push | iz             | 68            | d64 ds
push | rmv            | ff /6         | d64
push | es             | 06            | i64
push | cs             | 0e            | i64
push | ss             | 16            | i64
push | ds             | 1e            | i64
push | fs             | 0f a0
push | gs             | 0f a8
pop  | rv             | 58 +r         | d64
pop  | rmv            | 8f /0         | d64
pop  | es             | 07            | i64
pop  | ss             | 17            | i64
pop  | ds             | 1f            | i64
pop  | fs             | 0f a1
pop  | gs             | 0f a9
pusha |               | 60            | i64
pushaw |              | 60            | i64 o16f
pushad |              | 60            | i64 o32f
popa  |               | 61            | i64
popaw |               | 61            | i64 o16f
popad |               | 61            | i64 o32f
pushf  |              | 9c
pushfw |              | 9c            | o16f
pushfd |              | 9c            | i64 o32f
pushfq |              | 9c            | o64
popf  |               | 9d
popfw |               | 9d            | o16f
popfd |               | 9d            | i64 o32f
popfq |               | 9d            | o64
enter | iw, ib        | c8
leave |               | c9
cbw  |                | 98            | o16f
cwde |                | 98            | o32f
cdqe |                | 98            | o64f
cwd  |                | 99            | o16f
cdq  |                | 99            | o32f
cqo  |                | 99            | o64f
sahf |                | 9e
lahf |                | 9f
daa  |                | 27            | i64
das  |                | 2f            | i64
aaa  |                | 37            | i64
aas  |                | 3f            | i64
aam  |                | d4 0a         | i64
aam  | ib             | d4            | i64
aad  |                | d5 0a         | i64
aad  | ib             | d5            | i64
salc |                | d6            | i64
xlatb |               | d7
nop  |                | 90
nop  | rmv            | 0f 1f /0
pause |               | pf3 90
jmp  | rel8           | eb
jmp  | relv           | e9            | d64 ds
jmp  | rmv            | ff /4         | d64 ds
jmp  | ptrz           | ea            | i64 ds
jmp  | mfz            | ff /5         | ds
jmp  | mfv            | ff /5         | o64
call | relv           | e8            | d64 ds
call | rmv            | ff /2         | d64 ds
call | ptrz           | 9a            | i64 ds
call | mfz            | ff /3         | ds
call | mfv            | ff /3         | o64
loopne loopnz | rel8  | e0
loope loopz   | rel8  | e1
loop | rel8           | e2
loopne loopnz | rel8, cx  | e0        | a16
loope loopz   | rel8, cx  | e1        | a16
loop | rel8, cx           | e2        | a16
loopne loopnz | rel8, ecx | e0        | a32
loope loopz   | rel8, ecx | e1        | a32
loop | rel8, ecx          | e2        | a32
loopne loopnz | rel8, rcx | e0        | a64
loope loopz   | rel8, rcx | e1        | a64
loop | rel8, rcx          | e2        | a64
jcxz  | rel8          | e3            | a16
jecxz | rel8          | e3            | a32
jrcxz | rel8          | e3            | a64
ret retn |            | c3
ret retn | iw         | c2
retf |                | cb
retf | iw             | ca
retfw |               | cb            | o16f
retfw | iw            | ca            | o16f
retfd |               | cb            | o32f
retfd | iw            | ca            | o32f
retfq |               | cb            | o64f
retfq | iw            | ca            | o64f
int3 |                | cc
int  | ib             | cd
into |                | ce            | i64
int1 icebp |          | f1
iret |                | cf
iretw |               | cf            | o16f
iretd |               | cf            | o32f
iretq |               | cf            | o64f
in   | al, ib         | e4
in   | ax, ib         | e5            | o16f
in   | eax, ib        | e5            | o32f
in   | al, dx         | ec
in   | ax, dx         | ed            | o16f
in   | eax, dx        | ed            | o32f
out  | ib, al         | e6
out  | ib, ax         | e7            | o16f
out  | ib, eax        | e7            | o32f
out  | dx, al         | ee
out  | dx, ax         | ef            | o16f
out  | dx, eax        | ef            | o32f
cmc  |                | f5
clc  |                | f8
stc  |                | f9
cli  |                | fa
sti  |                | fb
cld  |                | fc
std  |                | fd
bt   | rmv, rv        | 0f a3 /r
bts  | rmv, rv        | 0f ab /r
btr  | rmv, rv        | 0f b3 /r
btc  | rmv, rv        | 0f bb /r
bt   | rmv, ib        | 0f ba /4
bts  | rmv, ib        | 0f ba /5
btr  | rmv, ib        | 0f ba /6
btc  | rmv, ib        | 0f ba /7
bsf  | rv, rmv        | 0f bc /r
bsr  | rv, rmv        | 0f bd /r
popcnt | rv, rmv      | pf3 0f b8 /r
tzcnt  | rv, rmv      | pf3 0f bc /r
lzcnt  | rv, rmv      | pf3 0f bd /r
shld | rmv, rv, ib    | 0f a4 /r
shld | rmv, rv, cl    | 0f a5 /r
shrd | rmv, rv, ib    | 0f ac /r
shrd | rmv, rv, cl    | 0f ad /r
cmpxchg | rm8, r8     | 0f b0 /r
cmpxchg | rmv, rv     | 0f b1 /r
xadd | rm8, r8        | 0f c0 /r
xadd | rmv, rv        | 0f c1 /r
bswap | rv            | 0f c8 +r      | no16
cmpxchg8b  | m64      | 0f c7 /1
cmpxchg16b | m128     | 0f c7 /1      | w
movbe | rv, mv        | 0f 38 f0 /r
movbe | mv, rv        | 0f 38 f1 /r
movnti | my, ry       | np 0f c3 /r
adcx | ry, rmy        | p66 0f 38 f6 /r
adox | ry, rmy        | pf3 0f 38 f6 /r
crc32 | r32, rm8      | pf2 0f 38 f0 /r
crc32 | r32, rm16     | pf2 0f 38 f1 /r | o16f
crc32 | r32, rm32     | pf2 0f 38 f1 /r | o32f
crc32 | r64, rm8      | pf2 0f 38 f0 /r | w
crc32 | r64, rm64     | pf2 0f 38 f1 /r | w
rdrand | rv           | 0f c7 /6
rdseed | rv           | 0f c7 /7
bound | rz, mz        | 62 /r         | i64
arpl | rm16, r16      | 63 /r         | i64
les  | rz, m          | c4 /r         | i64
lds  | rz, m          | c5 /r         | i64
lss  | rv, m          | 0f b2 /r
lfs  | rv, m          | 0f b4 /r
lgs  | rv, m          | 0f b5 /r
ud0  | rv, rmv        | 0f ff /r
ud1  | rv, rmv        | 0f b9 /r
ud2  |                | 0f 0b
hlt  |                | f4
wait fwait |          | 9b
`
