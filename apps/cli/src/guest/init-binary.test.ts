import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { assembleInit } from '../../scripts/programs.ts'
import { INIT_BINARY } from './init-binary.ts'

test('the committed init is what init.asm assembles to (if not: run scripts/assemble.ts)', () => {
  const source = readFileSync(new URL('./init.asm', import.meta.url), 'utf8')
  expect(INIT_BINARY).toBe(Buffer.from(assembleInit(source)).toString('base64'))
})
