import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { root } from './workspace/paths.mjs'

const { stdout } = spawnSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], { cwd: root, encoding: 'utf8' })
const files = stdout.split('\n').filter((path) => path !== '' && existsSync(join(root, path)))
const documents = files.filter((path) => path.endsWith('.md') && !path.endsWith('CHANGELOG.md'))

const withoutFences = (text: string): string => text.replace(/^( *)```[\s\S]*?^\1```/gm, '')

/** As GitHub makes them. */
const anchorsOf = (text: string): Set<string> =>
  new Set(
    [...withoutFences(text).matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
      heading!
        .toLowerCase()
        .replace(/[^\w\- ]/g, '')
        .replaceAll(' ', '-'),
    ),
  )

test.skipIf(files.length === 0)('relative links in documents lead somewhere', () => {
  const broken: string[] = []
  for (const document of documents) {
    const text = readFileSync(join(root, document), 'utf8')
    for (const [, target] of withoutFences(text).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target!)) continue
      const [path, anchor] = target!.split('#') as [string, string?]
      const file = path === '' ? document : join(dirname(document), path)
      const isThere = existsSync(join(root, file))
      if (!isThere || (anchor !== undefined && !anchorsOf(readFileSync(join(root, file), 'utf8')).has(anchor)))
        broken.push(`${document}: ${target}`)
    }
  }
  expect(broken).toEqual([])
})

test.skipIf(files.length === 0)('source files that documents name exist', () => {
  const missing: string[] = []
  for (const document of documents) {
    const text = withoutFences(readFileSync(join(root, document), 'utf8'))
    for (const [, name] of text.matchAll(/`([\w@.-]+(?:\/[\w@.-]+)*\.(?:ts|mjs|cjs|json|wasm))`/g)) {
      const end = name!.replace(/^(\.\.?\/)+/, '')
      if (!files.some((path) => path === end || path.endsWith(`/${end}`))) missing.push(`${document}: ${name}`)
    }
    for (const [, path] of text.matchAll(/`((?:packages|apps|tools|scripts|docs)\/[\w@./-]*)`/g)) {
      if (!existsSync(join(root, path!))) missing.push(`${document}: ${path}`)
    }
  }
  expect([...new Set(missing)]).toEqual([])
})
