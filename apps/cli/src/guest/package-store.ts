import { createHash, randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, readFile, rename, rm, stat, statfs, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { explainFileError, GuestError } from './errors.ts'
import { npmPack } from './npm-client.ts'
import type { PinnedFile, PinnedPackage } from './pins.ts'
import { readTarball } from './tar.ts'

export type GuestProgress = {
  step: 'download' | 'check' | 'unpack'
  /** The package's name. */
  name: string
  /** Bytes. */
  done: number
  total: number
}

export type FetchOptions = {
  cacheDir: string
  progress?: (progress: GuestProgress) => void
  /** Use only what the cache has. */
  offline?: boolean
  signal?: AbortSignal
  /** For tests. */
  pack?: typeof npmPack
}

/**
 * The pinned files of a package, by path, from the cache or from the registry. Every file is checked against its hash each time it is
 * used; one that differs is deleted and fetched again.
 */
export async function fetchPackage(
  pinned: PinnedPackage,
  options: FetchOptions,
): Promise<Map<string, { path: string; bytes: Buffer }>> {
  const folder = packageFolder(pinned, options.cacheDir)
  try {
    const { files, damaged } = await readCached(folder, pinned, options)
    if (files !== undefined) return files
    if (options.offline)
      throw damaged === undefined
        ? new GuestError(
            'offline',
            `${pinned.name}@${pinned.version} is not in the cache (${options.cacheDir}). A network is needed once to download it.`,
          )
        : new GuestError(
            'corrupt',
            `${damaged} in the cache (${folder}) was damaged and has been deleted. A network is needed to download it again.`,
          )
    await download(folder, pinned, options)
    const again = await readCached(folder, pinned, options)
    if (again.files === undefined)
      throw new GuestError(
        'corrupt',
        `${pinned.name}@${pinned.version} was damaged on its way into the cache (${folder}). Check the disk.`,
      )
    return again.files
  } catch (error) {
    throw explainFileError(error, options.cacheDir)
  }
}

const packageFolder = (pinned: PinnedPackage, cacheDir: string): string =>
  join(cacheDir, 'npm', `${pinned.name.replace(/^@/, '').replace('/', '-')}-${pinned.version}`)

/** Whether all files are there with their sizes. */
export async function isCached(pinned: PinnedPackage, cacheDir: string): Promise<boolean> {
  try {
    for (const file of pinned.files)
      if ((await stat(join(packageFolder(pinned, cacheDir), cachedName(file)))).size !== file.size) return false
    return true
  } catch {
    return false
  }
}

const cachedName = (file: PinnedFile): string => basename(file.path)

async function readCached(folder: string, pinned: PinnedPackage, options: FetchOptions) {
  const files = new Map<string, { path: string; bytes: Buffer }>()
  const total = pinned.files.reduce((sum, file) => sum + file.size, 0)
  let done = 0
  for (const file of pinned.files) {
    const path = join(folder, cachedName(file))
    let bytes: Buffer
    try {
      bytes = await readFile(path, options.signal === undefined ? {} : { signal: options.signal })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { files: undefined, damaged: undefined }
      throw error
    }
    if (createHash('sha256').update(bytes).digest('hex') !== file.sha256) {
      await rm(path, { force: true })
      return { files: undefined, damaged: basename(path) }
    }
    files.set(file.path, { path, bytes })
    done += file.size
    options.progress?.({ step: 'check', name: pinned.name, done, total })
  }
  return { files, damaged: undefined }
}

async function download(folder: string, pinned: PinnedPackage, options: FetchOptions): Promise<void> {
  const { name, version, size } = pinned
  await mkdir(options.cacheDir, { recursive: true })
  // npm's copy, the tarball and the files exist side by side for a while.
  const needed = 2 * size + pinned.files.reduce((sum, file) => sum + file.size, 0)
  const { bavail, bsize } = await statfs(options.cacheDir)
  if (bavail * bsize < needed) {
    const mega = (bytes: number) => Math.ceil(bytes / 1e6)
    throw new GuestError(
      'no-space',
      `There is no space for ${name}: ${mega(needed)} MB are needed in the cache (${options.cacheDir}), ${mega(bavail * bsize)} MB are free. GUESTMODE_CACHE names another place for it.`,
    )
  }
  const temporary = join(options.cacheDir, `.download-${process.pid}-${randomBytes(4).toString('hex')}`)
  await mkdir(temporary, { recursive: true })
  try {
    options.progress?.({ step: 'download', name, done: 0, total: size })
    const report = (bytes: number) => options.progress?.({ step: 'download', name, done: Math.min(bytes, size), total: size })
    const tarball = await (options.pack ?? npmPack)(`${name}@${version}`, temporary, report, options.signal)
    report(size)
    await checkIntegrity(tarball, pinned)
    options.progress?.({ step: 'unpack', name, done: 0, total: size })
    const contents = await readTarball(tarball, new Set(pinned.files.map((file) => file.path)), options.signal)
    const fresh = join(temporary, 'files')
    await mkdir(fresh)
    await mkdir(folder, { recursive: true })
    for (const file of pinned.files) {
      const bytes = contents.get(file.path)
      if (bytes === undefined) throw new GuestError('corrupt', `${name}@${version} does not contain ${file.path}.`)
      await writeFile(join(fresh, cachedName(file)), bytes)
    }
    // Each file appears whole or not at all, also when two processes fetch at once.
    for (const file of pinned.files) await rename(join(fresh, cachedName(file)), join(folder, cachedName(file)))
    options.progress?.({ step: 'unpack', name, done: size, total: size })
  } finally {
    await rm(temporary, { recursive: true, force: true, maxRetries: 3 })
  }
}

async function checkIntegrity(tarball: string, pinned: PinnedPackage): Promise<void> {
  const hash = createHash('sha512')
  for await (const chunk of createReadStream(tarball)) hash.update(chunk as Buffer)
  if (`sha512-${hash.digest('base64')}` === pinned.integrity) return
  await rm(tarball, { force: true })
  throw new GuestError(
    'corrupt',
    `The download of ${pinned.name}@${pinned.version} is corrupt (its hash differs) and has been deleted. Try again.`,
  )
}
