import { writeFileSync } from 'node:fs'
import { format, resolveConfig } from 'prettier'
import { kvmApi } from './render.ts'

const file = new URL('../../../../docs/kvm-api.md', import.meta.url)
const options = (await resolveConfig(file)) ?? {}
writeFileSync(file, await format(kvmApi(), { ...options, parser: 'markdown' }))
