import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { mermaid, withGraph } from './graph.ts'
import { readWorkspace } from './workspace.ts'
import layers from '../layers.json' with { type: 'json' }

const root = fileURLToPath(new URL('../../..', import.meta.url))

interface Violation {
  from: string
  to: string
  rule: { name: string }
}

function check(cwd: string): Violation[] {
  const program = join(root, 'node_modules/dependency-cruiser/bin/dependency-cruise.mjs')
  const args = [program, 'packages', 'apps', 'tools', '--config', '.dependency-cruiser.cjs', '--output-type', 'json']
  const { stdout, stderr } = spawnSync(process.execPath, args, { cwd, encoding: 'utf8', maxBuffer: 1 << 28 })
  if (stdout === '') throw new Error(stderr)
  return (JSON.parse(stdout) as { summary: { violations: Violation[] } }).summary.violations
}

describe('the real tree', () => {
  test('has no forbidden import', { timeout: 60_000 }, () => {
    expect(check(root).map(({ rule, from, to }) => `${rule.name}: ${from} -> ${to}`)).toEqual([])
  })

  test('has every package in the table, and no manifest that allows more than the table', () => {
    const table = new Map(Object.entries(layers.mayImport))
    for (const { path, dependencies } of readWorkspace(root).filter(({ path }) => path.startsWith('packages/'))) {
      const allowed = table.get(path.replace('packages/', ''))
      expect(allowed, `${path} is not in tools/layers/layers.json`).toBeDefined()
      expect(
        allowed!.map((name) => `@guestmode/${name}`),
        path,
      ).toEqual(expect.arrayContaining(dependencies))
    }
  })

  test('has neutral packages that compile without DOM and Node types', () => {
    const neutral = readWorkspace(root).filter(({ path }) => layers.neutral.includes(path.replace('packages/', '')))
    for (const { path } of neutral) {
      const tsconfig = readFileSync(join(root, path, 'tsconfig.json'), 'utf8')
      expect(tsconfig, path).toContain('"../../tsconfig.neutral.json"')
      expect(tsconfig, path).not.toMatch(/"(lib|types)"/)
    }
    const { compilerOptions } = JSON.parse(readFileSync(join(root, 'tsconfig.base.json'), 'utf8')) as {
      compilerOptions: { lib: string[]; types: string[] }
    }
    expect(compilerOptions.lib).toEqual(['ES2023'])
    expect(compilerOptions.types).toEqual([])
  })

  test('is drawn as it is in docs/architecture.md (else: npm run graph)', () => {
    const document = readFileSync(join(root, 'docs/architecture.md'), 'utf8')
    expect(document).toBe(withGraph(document, mermaid(readWorkspace(root))))
  })
})

/** A small workspace of the same shape, and what each of its imports must be called by the checker. */
const imports: [file: string, specifier: string, rules: string[]][] = [
  [
    'packages/devmodel/src/board.ts',
    '@guestmode/vmx-core',
    ['devmodel-never-imports-vmx-core', 'devmodel-imports-only-its-layers'],
  ],
  ['packages/devmodel/src/board.test.ts', '@guestmode/vmx-core', ['devmodel-never-imports-vmx-core']],
  ['packages/devmodel/src/allowed.ts', '@guestmode/kvm-abi', []],
  ['packages/devmodel/src/allowed.test.ts', '@guestmode/asm', []],
  ['packages/devmodel/src/tool.ts', '@guestmode/asm', ['devmodel-imports-only-its-layers']],
  ['packages/vmx-core/src/face.ts', '@guestmode/silicon', []],
  ['packages/vmx-core/src/subpath.ts', '@guestmode/silicon/src/internals.ts', ['every-import-resolves']],
  [
    'packages/vmx-core/src/path.ts',
    '../../silicon/src/internals.ts',
    ['vmx-core-never-imports-silicon-internals', 'package-is-entered-by-its-name'],
  ],
  [
    'packages/vmx-core/src/modules.ts',
    '../node_modules/@guestmode/silicon/src/internals.ts',
    ['vmx-core-never-imports-silicon-internals'],
  ],
  ['packages/x86/src/silicon.ts', '@guestmode/silicon', ['x86-never-imports-silicon', 'x86-imports-only-its-layers']],
  ['packages/x86/src/silicon.test.ts', '@guestmode/silicon', ['x86-never-imports-silicon']],
  ['packages/x86/src/path.ts', '../../kvm-abi/src/index.ts', ['x86-imports-only-its-layers', 'package-is-entered-by-its-name']],
  ['packages/chips/src/platform.ts', 'node:fs', ['neutral-packages-know-no-platform']],
  ['packages/chips/src/bare.ts', 'fs', ['neutral-packages-know-no-platform']],
  ['packages/chips/src/platform.test.ts', 'node:fs', []],
  ['packages/chips/src/absent.ts', '@guestmode/nowhere', ['every-import-resolves']],
  ['apps/cli/src/bin.ts', '@guestmode/vmx-core', []],
  ['apps/cli/src/os.ts', 'node:fs', []],
  ['apps/cli/src/tool.ts', '@guestmode/asm', ['apps-ship-no-app-and-no-tool']],
]

describe('a tree with forbidden imports', () => {
  let fixture: string
  let violations: Violation[]

  beforeAll(() => {
    fixture = realpathSync(mkdtempSync(join(tmpdir(), 'guestmode-layers-')))
    cpSync(join(root, '.dependency-cruiser.cjs'), join(fixture, '.dependency-cruiser.cjs'))
    write('tools/layers/layers.json', JSON.stringify(layers))
    write('package.json', '{ "private": true, "type": "module" }')
    symlinkSync(join(root, 'node_modules'), join(fixture, 'node_modules'))
    const packages = readWorkspace(root)
    for (const { path, name } of packages) {
      const manifest = {
        name,
        type: 'module',
        exports: { '.': { '@guestmode/source': './src/index.ts', default: './dist/index.js' } },
      }
      write(`${path}/package.json`, JSON.stringify(manifest))
      write(`${path}/src/index.ts`, 'export const x = 1')
      write(`${path}/src/internals.ts`, 'export const y = 1')
      mkdirSync(join(fixture, path, 'node_modules/@guestmode'), { recursive: true })
      for (const other of packages) {
        symlinkSync(
          join(fixture, other.path),
          join(fixture, path, 'node_modules/@guestmode', other.name.replace('@guestmode/', '')),
        )
      }
    }
    for (const [file, specifier] of imports)
      write(file, `import type * as used from '${specifier}'\nexport type Used = typeof used\n`)
    violations = check(fixture)
  }, 60_000)

  afterAll(() => rmSync(fixture, { recursive: true, force: true }))

  function write(path: string, text: string): void {
    mkdirSync(dirname(join(fixture, path)), { recursive: true })
    writeFileSync(join(fixture, path), text)
  }

  test.each(imports)('%s imports %s: %s', (file, _specifier, rules) => {
    const found = violations.filter(({ from }) => from === file).map(({ rule }) => rule.name)
    if (rules.length === 0) expect(found).toEqual([])
    else expect(found).toEqual(expect.arrayContaining(rules))
  })
})
