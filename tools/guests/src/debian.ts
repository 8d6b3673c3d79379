import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { copyFile, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { run, type CommandResult } from './command.ts'
import { withLock } from './lock.ts'
import { GuestUnavailable } from './unavailable.ts'

export type DebianArchitecture = 'amd64' | 'i386'
export type Fetch = { cacheDir: string; offline: boolean; note: (text: string) => void }

/**
 * apt in a root of its own, so that a foreign architecture can be had without touching the system's package state. The system's sources,
 * keys and settings hold.
 */
class PrivateApt {
  readonly #root: string
  readonly #architecture: DebianArchitecture

  constructor(cacheDir: string, architecture: DebianArchitecture) {
    this.#root = join(cacheDir, 'debian', architecture, 'apt')
    this.#architecture = architecture
  }

  async #run(program: 'apt-get' | 'apt-cache', ...args: string[]): Promise<CommandResult> {
    const option = (name: string, value: string) => ['-o', `${name}=${value}`]
    const options = [
      ...option('APT::Architecture', this.#architecture),
      ...option('APT::Architectures', this.#architecture),
      ...option('Dir::State', join(this.#root, 'state')),
      ...option('Dir::State::status', join(this.#root, 'status')),
      ...option('Dir::Cache', join(this.#root, 'cache')),
      ...option('APT::Sandbox::User', ''),
    ]
    return run(program, [...options, ...args], { cwd: this.#root, env: { ...process.env, LC_ALL: 'C' } })
  }

  async prepare(): Promise<void> {
    await mkdir(join(this.#root, 'state', 'lists', 'partial'), { recursive: true })
    await mkdir(join(this.#root, 'cache', 'archives', 'partial'), { recursive: true })
    if (!existsSync(join(this.#root, 'status'))) await writeFile(join(this.#root, 'status'), '')
  }

  /** An update may fail in part (an index that is out of step on a mirror); what counts is whether the package is there. */
  async update(): Promise<string> {
    const { status, stderr } = await this.#run('apt-get', 'update')
    if (status === 127)
      throw new GuestUnavailable('apt-get is not installed: Debian guests can be had on Debian and its derivatives only')
    return status === 0 ? '' : firstError(stderr)
  }

  async show(name: string): Promise<Map<string, string> | undefined> {
    const { status, stdout } = await this.#run('apt-cache', 'show', '--no-all-versions', name)
    if (status !== 0 || stdout.trim() === '') return undefined
    const fields = new Map<string, string>()
    for (const line of stdout.split('\n')) {
      const field = /^([A-Za-z0-9-]+): (.*)$/.exec(line)
      if (field !== null && !fields.has(field[1] as string)) fields.set(field[1] as string, field[2] as string)
    }
    return fields
  }

  /** Downloads the package file; apt checks it against the signed index. */
  async download(name: string): Promise<string> {
    for (const old of await readdir(this.#root)) if (old.endsWith('.deb')) await rm(join(this.#root, old))
    const { status, stderr } = await this.#run('apt-get', 'download', name)
    const file = (await readdir(this.#root)).find((f) => f.endsWith('.deb'))
    if (status !== 0 || file === undefined)
      throw new GuestUnavailable(`apt-get download ${name}:${this.#architecture}: ${firstError(stderr)}`)
    return join(this.#root, file)
  }
}

const firstError = (stderr: string): string =>
  stderr.split('\n').find((line) => line.startsWith('E:')) ?? (stderr.split('\n')[0] || 'failed')

type Record_ = { package: string; version: string; sha256: string; files: Record<string, string> }

/**
 * Files of a Debian package, by path patterns; from the cache, or by apt. A meta package of a kernel stands for the kernel that it
 * depends on. Returns the cached path for each name of `wanted`.
 */
export async function debianFiles(
  name: string,
  architecture: DebianArchitecture,
  wanted: Readonly<Record<string, RegExp>>,
  fetch: Fetch,
): Promise<Record<string, string>> {
  const folder = join(fetch.cacheDir, 'debian', architecture, name)
  const cached = await readRecord(folder, wanted)
  if (cached !== undefined) return cached
  if (fetch.offline)
    throw new GuestUnavailable(`${name}:${architecture} is not in the cache (${fetch.cacheDir}), and fetching is off`)
  return withLock(
    join(fetch.cacheDir, 'debian', architecture, 'apt'),
    async () => (await readRecord(folder, wanted)) ?? install(name, architecture, wanted, folder, fetch),
  )
}

async function readRecord(folder: string, wanted: Readonly<Record<string, RegExp>>): Promise<Record<string, string> | undefined> {
  const file = join(folder, 'package.json')
  if (!existsSync(file)) return undefined
  const record = JSON.parse(await readFile(file, 'utf8')) as Record_
  const paths: Record<string, string> = {}
  for (const key of Object.keys(wanted)) {
    const path = join(folder, key)
    const sum = record.files[key]
    if (sum === undefined || !existsSync(path) || sha256(await readFile(path)) !== sum) return undefined
    paths[key] = path
  }
  return paths
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

async function install(
  name: string,
  architecture: DebianArchitecture,
  wanted: Readonly<Record<string, RegExp>>,
  folder: string,
  fetch: Fetch,
): Promise<Record<string, string>> {
  const apt = new PrivateApt(fetch.cacheDir, architecture)
  await apt.prepare()
  let fields = await apt.show(name)
  let complaint = ''
  if (fields === undefined) {
    fetch.note(`apt-get update (${architecture})`)
    complaint = await apt.update()
    fields = await apt.show(name)
  }
  if (fields === undefined)
    throw new GuestUnavailable(
      `${name}:${architecture} is not among this host's packages${complaint === '' ? '' : ` (${complaint})`}`,
    )
  let real = name
  const dependency = /^(linux-image-\d[^ ,(]*)/.exec(fields.get('Depends') ?? '')?.[1]
  if (dependency !== undefined) {
    real = dependency
    fields = await apt.show(real)
    if (fields === undefined)
      throw new GuestUnavailable(`${real}:${architecture}, which ${name} stands for, is not among this host's packages`)
  }
  fetch.note(`${real}:${architecture} ${fields.get('Version')} (${Math.ceil(Number(fields.get('Size')) / 1e6)} MB)`)
  let deb: string
  try {
    deb = await apt.download(real)
  } catch (error) {
    // A mirror drops the versions that its old index names.
    if (!(error instanceof GuestUnavailable)) throw error
    await apt.update()
    fields = (await apt.show(real)) ?? fields
    deb = await apt.download(real)
  }
  const sum = sha256(await readFile(deb))
  const expected = fields.get('SHA256')
  if (expected !== undefined && sum !== expected)
    throw new GuestUnavailable(`${real}:${architecture}: the download's hash differs from the package index`)
  return extract(deb, { package: real, version: fields.get('Version') ?? '', sha256: sum, files: {} }, wanted, folder)
}

async function extract(
  deb: string,
  record: Record_,
  wanted: Readonly<Record<string, RegExp>>,
  folder: string,
): Promise<Record<string, string>> {
  const unpacked = `${folder}.unpack`
  const fresh = `${folder}.new`
  for (const path of [unpacked, fresh]) await rm(path, { recursive: true, force: true })
  await mkdir(fresh, { recursive: true })
  const { status, stderr } = await run('dpkg-deb', ['-x', deb, unpacked])
  if (status !== 0) throw new GuestUnavailable(`dpkg-deb: ${stderr.trim()}`)
  const all = await readdir(unpacked, { recursive: true })
  const paths: Record<string, string> = {}
  for (const [key, pattern] of Object.entries(wanted)) {
    const found = all.find((path) => pattern.test(path))
    if (found === undefined) throw new GuestUnavailable(`${record.package} ${record.version} has no file like ${pattern.source}`)
    await copyFile(join(unpacked, found), join(fresh, key))
    record.files[key] = sha256(await readFile(join(fresh, key)))
    paths[key] = join(folder, key)
  }
  await writeFile(join(fresh, 'package.json'), JSON.stringify(record, null, 2) + '\n')
  await rm(folder, { recursive: true, force: true })
  await rename(fresh, folder)
  await rm(unpacked, { recursive: true, force: true })
  await rm(deb, { force: true })
  return paths
}

/** Unpacks a whole package into a folder; for build inputs. */
export async function debianTree(name: string, architecture: DebianArchitecture, fetch: Fetch): Promise<string> {
  const folder = join(fetch.cacheDir, 'debian', architecture, `${name}.tree`)
  if (existsSync(folder)) return folder
  if (fetch.offline)
    throw new GuestUnavailable(`${name}:${architecture} is not in the cache (${fetch.cacheDir}), and fetching is off`)
  return withLock(join(fetch.cacheDir, 'debian', architecture, 'apt'), async () => {
    if (existsSync(folder)) return folder
    const apt = new PrivateApt(fetch.cacheDir, architecture)
    await apt.prepare()
    if ((await apt.show(name)) === undefined) await apt.update()
    fetch.note(`${name}:${architecture}`)
    const deb = await apt.download(name)
    const { status, stderr } = await run('dpkg-deb', ['-x', deb, `${folder}.new`])
    if (status !== 0) throw new GuestUnavailable(`dpkg-deb: ${stderr.trim()}`)
    await rename(`${folder}.new`, folder)
    await rm(deb, { force: true })
    return folder
  })
}
