import { readFileSync } from 'node:fs'
import { assemble, defineElf64Static, ELF_LOAD_ADDRESS } from '@guestmode/asm'

export type GuestProgram = { module: string; name: string; from: string; assemble: () => Uint8Array }

const source = (path: string): string => readFileSync(new URL(`../src/${path}`, import.meta.url), 'utf8')

/** The demonstration guest's parts in order; one program. */
const DEMO = ['boot', 'real', 'paging', 'long', 'tasks', 'user', 'shell', 'data']

/** Guest programs whose assembled form is committed, since the assembler is no part of the published program. */
export const PROGRAMS: readonly GuestProgram[] = [
  {
    module: 'guest/init-binary.ts',
    name: 'INIT_BINARY',
    from: 'init.asm',
    assemble: () => defineElf64Static({ code: assemble(source('guest/init.asm'), { bits: 64, origin: ELF_LOAD_ADDRESS }).bytes }),
  },
  {
    module: 'demo/demo-binary.ts',
    name: 'DEMO_BINARY',
    from: `${DEMO.join('.asm, ')}.asm`,
    assemble: () => assemble(DEMO.map((part) => source(`demo/${part}.asm`)).join('\n'), { bits: 32 }).bytes,
  },
]

/** The text of the module that exports the program in base64. */
export function moduleText(program: GuestProgram): string {
  const base64 = Buffer.from(program.assemble()).toString('base64')
  const lines = (base64.match(/.{1,120}/g) ?? []).map((line) => `  '${line}'`)
  return `/** ${program.from}, assembled by scripts/assemble.ts; base64. */\nexport const ${program.name} =\n${lines.join(' +\n')}\n`
}
