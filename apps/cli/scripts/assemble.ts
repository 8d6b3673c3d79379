/** Assembles the guest programs of `src` and writes them as modules: `npx tsx --conditions=@guestmode/source apps/cli/scripts/assemble.ts`. */
import { readFileSync, writeFileSync } from 'node:fs'
import { assembleInit, binaryModule } from './programs.ts'

const source = (path: string) => new URL(`../src/${path}`, import.meta.url)

writeFileSync(
  source('guest/init-binary.ts'),
  binaryModule('INIT_BINARY', 'guest/init.asm', assembleInit(readFileSync(source('guest/init.asm'), 'utf8'))),
)
