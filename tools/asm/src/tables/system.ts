/** System instructions and VMX. [SDM3 2.8 "System Instruction Summary"], [SDM3 31.3 "VMX Instructions"] */
export const SYSTEM = `
sldt | m16           | 0f 00 /0
sldt | rvm16         | 0f 00 /0 | v
str  | m16           | 0f 00 /1
str  | rvm16         | 0f 00 /1 | v
lldt | rm16          | 0f 00 /2
ltr  | rm16          | 0f 00 /3
verr | rm16          | 0f 00 /4
verw | rm16          | 0f 00 /5
sgdt | m             | 0f 01 /0
sidt | m             | 0f 01 /1
lgdt | m             | 0f 01 /2
lidt | m             | 0f 01 /3
smsw | m16           | 0f 01 /4
smsw | rvm16         | 0f 01 /4 | v
lmsw | rm16          | 0f 01 /6
invlpg | m           | 0f 01 /7
swapgs |             | 0f 01 f8 | o64
rdtscp |             | 0f 01 f9
lar  | rv, rm16      | 0f 02 /r
lsl  | rv, rm16      | 0f 03 /r
lar  | rv, nr32      | 0f 02 /r
lsl  | rv, nr32      | 0f 03 /r
syscall |            | 0f 05
clts |               | 0f 06
sysret |             | 0f 07
sysretq |            | 0f 07 | w
invd |               | 0f 08
wbinvd |             | 0f 09
wrmsr |              | 0f 30
rdtsc |              | 0f 31
rdmsr |              | 0f 32
rdpmc |              | 0f 33
sysenter |           | 0f 34
sysexit |            | 0f 35
sysexitq |           | 0f 35 | w
cpuid |              | 0f a2
rsm  |               | 0f aa
monitor |            | np 0f 01 c8
mwait |              | np 0f 01 c9
clac |               | np 0f 01 ca
stac |               | np 0f 01 cb
xgetbv |             | np 0f 01 d0
xsetbv |             | np 0f 01 d1
vmmcall |            | np 0f 01 d9
invpcid | r32, m128  | p66 0f 38 82 /r | i64
invpcid | r64, m128  | p66 0f 38 82 /r | o64
vmcall |             | np 0f 01 c1
vmlaunch |           | np 0f 01 c2
vmresume |           | np 0f 01 c3
vmxoff |             | np 0f 01 c4
vmfunc |             | np 0f 01 d4
vmptrld | m64        | np 0f c7 /6
vmptrst | m64        | np 0f c7 /7
vmclear | m64        | p66 0f c7 /6
vmxon   | m64        | pf3 0f c7 /6
vmread  | rm32, r32  | np 0f 78 /r | i64
vmread  | rm64, r64  | np 0f 78 /r | o64
vmwrite | r32, rm32  | np 0f 79 /r | i64
vmwrite | r64, rm64  | np 0f 79 /r | o64
invept  | r32, m128  | p66 0f 38 80 /r | i64
invept  | r64, m128  | p66 0f 38 80 /r | o64
invvpid | r32, m128  | p66 0f 38 81 /r | i64
invvpid | r64, m128  | p66 0f 38 81 /r | o64
fxsave   | m         | np 0f ae /0
fxsave64 | m         | np 0f ae /0 | w
fxrstor  | m         | np 0f ae /1
fxrstor64 | m        | np 0f ae /1 | w
ldmxcsr | m32        | np 0f ae /2
stmxcsr | m32        | np 0f ae /3
xsave   | m          | np 0f ae /4
xsave64 | m          | np 0f ae /4 | w
xrstor  | m          | np 0f ae /5
xrstor64 | m         | np 0f ae /5 | w
xsaveopt | m         | np 0f ae /6
clflush | m8         | np 0f ae /7
clflushopt | m8      | p66 0f ae /7
lfence |             | np 0f ae e8
mfence |             | np 0f ae f0
sfence |             | np 0f ae f8
rdfsbase | ry        | pf3 0f ae /0 | o64
rdgsbase | ry        | pf3 0f ae /1 | o64
wrfsbase | ry        | pf3 0f ae /2 | o64
wrgsbase | ry        | pf3 0f ae /3 | o64
prefetch  | m8       | 0f 0d /0
prefetchw | m8       | 0f 0d /1
prefetchnta | m8     | 0f 18 /0
prefetcht0  | m8     | 0f 18 /1
prefetcht1  | m8     | 0f 18 /2
prefetcht2  | m8     | 0f 18 /3
`
