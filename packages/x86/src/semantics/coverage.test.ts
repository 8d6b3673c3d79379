import { expect, test } from 'vitest'
import { oneByte } from '../decode/tables/one-byte.ts'
import { threeByteInteger, twoByte } from '../decode/tables/two-byte.ts'
import { fpuSemantics, mmxSemantics } from './fpu/index.ts'
import { integerSemantics } from './integer/index.ts'
import { sseSemantics } from './sse/index.ts'
import { allRows } from '../decode/opcode-maps.ts'

/** Integer and system instructions that microcode executes whole. */
const microcoded = new Set(
  `ARPL CALLF CLAC CLFLUSH CLFLUSHOPT CLI CLTS CLWB CLZERO CPUID FWAIT FXRSTOR FXSAVE GETSEC HLT IN INS INT INT1 INT3 INVD INVLPG
   INVPCID IRET JMPF LAR LDMXCSR LDS LES LFS LGDT LGS LIDT LLDT LMSW LSL LSS LTR MONITOR MONITORX MOVDIR64B MWAIT MWAITX OUT OUTS
   RDFSBASE RDGSBASE RDMSR RDPID RDPKRU RDPMC RDPRU RDRAND RDSEED RDTSC RDTSCP RETF RSM SERIALIZE SGDT SIDT SLDT SMSW STAC STI STMXCSR STR
   SWAPGS SYSCALL SYSENTER SYSEXIT SYSRET VERR VERW WBINVD WBNOINVD WRFSBASE WRGSBASE WRMSR WRPKRU XGETBV XRSTOR XRSTORS XSAVE XSAVEC
   XSAVEOPT XSAVES XSETBV`.split(/\s+/),
)

test('every integer instruction has a semantic function', () => {
  const own = new Set<string>(
    [oneByte, twoByte, threeByteInteger].flatMap((table) =>
      Object.values(table.rows)
        .flat()
        .map((row) => row.mnemonic),
    ),
  )
  const described = { ...integerSemantics, ...fpuSemantics, ...sseSemantics }
  expect([...own].filter((name) => !(name in described) && !microcoded.has(name))).toEqual([])
})

test('every semantic function of the integer instructions has an encoding', () => {
  const known = new Set<string>(allRows.map((row) => row.mnemonic))
  expect(Object.keys(integerSemantics).filter((name) => !known.has(name))).toEqual([])
})

test('no instruction has two', () => {
  const tables = { fpuSemantics, mmxSemantics, sseSemantics, integerSemantics }
  const owner = new Map<string, string>()
  const clashes: string[] = []
  for (const [name, table] of Object.entries(tables)) {
    for (const mnemonic of Object.keys(table)) {
      if (owner.has(mnemonic)) clashes.push(`${mnemonic}: ${owner.get(mnemonic)}, ${name}`)
      owner.set(mnemonic, name)
    }
  }
  expect(clashes).toEqual([])
})
