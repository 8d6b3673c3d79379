import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ESLint } from 'eslint'
import { expect, test } from 'vitest'

const root = fileURLToPath(new URL('../../..', import.meta.url))

const platform = [
  'console.log(1)',
  'setTimeout(() => {}, 1)',
  'performance.now()',
  'new TextDecoder()',
  'process.exit()',
  'document.title',
]

test('in a neutral package TypeScript knows no platform', { timeout: 60_000 }, () => {
  const dir = mkdtempSync(join(tmpdir(), 'guestmode-neutral-'))
  try {
    writeFileSync(join(dir, 'index.ts'), ['export {}', ...platform, 'Math.max(1, 2)'].join('\n'))
    const config = {
      extends: join(root, 'tsconfig.neutral.json'),
      compilerOptions: { composite: false, noEmit: true },
      files: ['index.ts'],
    }
    writeFileSync(join(dir, 'tsconfig.json'), JSON.stringify(config))
    const { stdout } = spawnSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', dir], {
      encoding: 'utf8',
    })
    const refused = [...stdout.matchAll(/index\.ts\((\d+),/g)].map(([, line]) => Number(line))
    expect(refused).toEqual(platform.map((_, i) => i + 2))
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
})

test('in a neutral package eslint refuses platform, time and randomness', { timeout: 60_000 }, async () => {
  const eslint = new ESLint({ cwd: root })
  const refused = async (filePath: string, code: string): Promise<boolean> => {
    const [result] = await eslint.lintText(`${code}\n`, { filePath: join(root, filePath) })
    expect(result!.fatalErrorCount).toBe(0)
    return result!.messages.some(({ ruleId }) => /^no-(console|restricted-)/.test(ruleId ?? ''))
  }
  for (const code of [...platform, 'Date.now()', 'new Date()', 'Math.random()', 'globalThis.WebAssembly']) {
    expect(await refused('packages/chips/src/any.ts', code), code).toBe(true)
    expect(await refused('packages/chips/src/any.test.ts', code), code).toBe(false)
    expect(await refused('apps/cli/src/any.ts', code), code).toBe(false)
  }
  expect(await refused('packages/chips/src/any.ts', 'new Date(0).getUTCHours()')).toBe(false)
})
