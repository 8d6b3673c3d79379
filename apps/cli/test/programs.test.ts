import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { moduleText, PROGRAMS } from '../scripts/programs.ts'

test.each(PROGRAMS)('$module is what $from assembles to (if not: run scripts/assemble.ts)', (program) => {
  expect(readFileSync(new URL(`../src/${program.module}`, import.meta.url), 'utf8')).toBe(moduleText(program))
})
