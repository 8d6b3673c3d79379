import { createHash } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { defaultCacheDirectory } from './cache-directory.ts'
import { explainFileError, GuestError } from './errors.ts'
import { npmPack } from './npm-client.ts'
import { fetchPackage, isCached, type GuestProgress } from './package-store.ts'
import type { PinnedPackage } from './pins.ts'

function tarball(files: Record<string, Buffer>): Buffer {
  const blocks: Buffer[] = []
  for (const [path, content] of Object.entries(files)) {
    const header = Buffer.alloc(512)
    header.write(`package/${path}`)
    header.write(content.length.toString(8).padStart(11, '0'), 124)
    header.write('0', 156)
    header.write('ustar', 257)
    blocks.push(header, content, Buffer.alloc((512 - (content.length % 512)) % 512))
  }
  return gzipSync(Buffer.concat([...blocks, Buffer.alloc(1024)]))
}

const hash = (algorithm: string, bytes: Buffer, form: 'hex' | 'base64') => createHash(algorithm).update(bytes).digest(form)
const content = Buffer.from('kernel'.repeat(30_000))
const archive = tarball({ 'package.json': Buffer.from('{}'), 'lib/kernel': content, 'lib/other': Buffer.from('not wanted') })
const pinned: PinnedPackage = {
  name: '@some/thing',
  version: '1.2.3',
  integrity: `sha512-${hash('sha512', archive, 'base64')}`,
  size: archive.length,
  files: [{ path: 'lib/kernel', size: content.length, sha256: hash('sha256', content, 'hex') }],
}

let cacheDir: string
let packs: number
const packOf = (bytes: Buffer) => (_spec: string, folder: string) => {
  packs++
  const path = join(folder, 'thing.tgz')
  writeFileSync(path, bytes)
  return Promise.resolve(path)
}

beforeEach(() => {
  cacheDir = mkdtempSync(join(tmpdir(), 'guest-cache-'))
  packs = 0
})
afterEach(() => rmSync(cacheDir, { recursive: true }))

const problem = async (promise: Promise<unknown>): Promise<GuestError> => {
  const error: unknown = await promise.then(
    () => undefined,
    (e: unknown) => e,
  )
  expect(error).toBeInstanceOf(GuestError)
  return error as GuestError
}

describe('a pinned package', () => {
  test('is downloaded once, then comes from the cache, also offline', async () => {
    const steps: GuestProgress[] = []
    const first = await fetchPackage(pinned, { cacheDir, pack: packOf(archive), progress: (p) => steps.push(p) })
    expect(first.get('lib/kernel')?.bytes.equals(content)).toBe(true)
    expect(new Set(steps.map((s) => s.step))).toEqual(new Set(['download', 'unpack', 'check']))
    expect(await isCached(pinned, cacheDir)).toBe(true)
    const second = await fetchPackage(pinned, { cacheDir, pack: packOf(archive), offline: true })
    expect(readFileSync(second.get('lib/kernel')!.path).equals(content)).toBe(true)
    expect(packs).toBe(1)
    expect(readdirSync(cacheDir)).toEqual(['npm'])
  })

  test('that is not in the cache cannot be had offline', async () => {
    const error = await problem(fetchPackage(pinned, { cacheDir, offline: true, pack: packOf(archive) }))
    expect([error.problem, packs]).toEqual(['offline', 0])
  })

  test('whose download differs from the pinned hash is refused and leaves nothing', async () => {
    const corrupt = Buffer.from(archive)
    corrupt[100]! ^= 1
    const error = await problem(fetchPackage(pinned, { cacheDir, pack: packOf(corrupt) }))
    expect(error.problem).toBe('corrupt')
    expect(error.message).toMatch(/@some\/thing@1.2.3 is corrupt .* deleted/)
    expect(readdirSync(cacheDir)).toEqual([])
  })

  test('whose cached file was damaged is fetched again; offline that is an error', async () => {
    const { path } = (await fetchPackage(pinned, { cacheDir, pack: packOf(archive) })).get('lib/kernel')!
    const damage = () => writeFileSync(path, Buffer.from(content).fill(0, 5, 6))
    damage()
    expect((await fetchPackage(pinned, { cacheDir, pack: packOf(archive) })).get('lib/kernel')?.bytes.equals(content)).toBe(true)
    expect(packs).toBe(2)
    damage()
    const error = await problem(fetchPackage(pinned, { cacheDir, offline: true }))
    expect(error.problem).toBe('corrupt')
    expect(error.message).toMatch(/damaged/)
  })

  test('that needs more space than there is, is refused before the download', async () => {
    const error = await problem(fetchPackage({ ...pinned, size: 2 ** 50 }, { cacheDir, pack: packOf(archive) }))
    expect([error.problem, packs]).toEqual(['no-space', 0])
    expect(error.message).toMatch(/MB are needed .* MB are free/)
  })

  test('when the disk fills up on the way', () => {
    const error = explainFileError(Object.assign(new Error('write'), { code: 'ENOSPC' }), '/cache')
    expect(error).toBeInstanceOf(GuestError)
    expect((error as GuestError).message).toMatch(/no space left .*\/cache/)
  })

  test('when the cache cannot be written', async () => {
    const file = join(cacheDir, 'file')
    writeFileSync(file, '')
    const error = await problem(fetchPackage(pinned, { cacheDir: join(file, 'cache'), pack: packOf(archive) }))
    expect(error.problem).toBe('access')
  })
})

test('npm without a network says so', async () => {
  const before = process.env['npm_config_registry']
  process.env['npm_config_registry'] = 'http://127.0.0.1:9/'
  try {
    const error = await problem(npmPack('@some/thing@1.2.3', cacheDir, () => undefined))
    expect([error.problem, error.message]).toEqual([
      'no-network',
      expect.stringMatching(/Cannot reach the npm registry .*@some\/thing@1\.2\.3/),
    ])
  } finally {
    if (before === undefined) delete process.env['npm_config_registry']
    else process.env['npm_config_registry'] = before
  }
}, 60_000)

test('the cache is where the platform keeps caches', () => {
  const posix = (s: string) => s.replaceAll('\\', '/')
  expect(posix(defaultCacheDirectory({}, 'linux', '/home/u'))).toBe('/home/u/.cache/guestmode')
  expect(posix(defaultCacheDirectory({ XDG_CACHE_HOME: '/x' }, 'linux', '/home/u'))).toBe('/x/guestmode')
  expect(posix(defaultCacheDirectory({}, 'darwin', '/Users/u'))).toBe('/Users/u/Library/Caches/guestmode')
  expect(posix(defaultCacheDirectory({ LOCALAPPDATA: 'C:/L' }, 'win32', 'C:/u'))).toBe('C:/L/guestmode')
  expect(defaultCacheDirectory({ GUESTMODE_CACHE: '/c' }, 'win32', 'C:/u')).toBe('/c')
})
