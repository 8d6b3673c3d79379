import { readFileSync } from 'node:fs'
import { format, resolveConfig } from 'prettier'
import { expect, test } from 'vitest'
import { kvmApi } from './render.ts'

test('docs/kvm-api.md is what the request table and its notes say', async () => {
  const file = new URL('../../../../docs/kvm-api.md', import.meta.url)
  const options = (await resolveConfig(file)) ?? {}
  const current = await format(kvmApi(), { ...options, parser: 'markdown' })
  expect(readFileSync(file, 'utf8'), 'run npx tsx --conditions=@guestmode/source packages/kvm-abi/test/kvm-api/write.ts').toBe(
    current,
  )
})
