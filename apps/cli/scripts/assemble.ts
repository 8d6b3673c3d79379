/** Assembles the guest programs of `src` and writes them as modules: `npx tsx --conditions=@guestmode/source apps/cli/scripts/assemble.ts`. */
import { writeFileSync } from 'node:fs'
import { moduleText, PROGRAMS } from './programs.ts'

for (const program of PROGRAMS) writeFileSync(new URL(`../src/${program.module}`, import.meta.url), moduleText(program))
