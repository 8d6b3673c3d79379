import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { loadCliGuest } from '../cli-guest.ts'
import { run } from '../command.ts'
import { debianTree, type DebianArchitecture, type Fetch } from '../debian.ts'
import { GuestUnavailable } from '../unavailable.ts'
import { skeleton } from './busybox.ts'

const SOURCES = fileURLToPath(new URL('../../../bench/guest/', import.meta.url))
const COMMON = ['-O2', '-static', '-fno-pie', '-no-pie', '-s']

/** Flags as in the benchmark's Makefile: no SSE in general code on i386, as in Debian's port; x87 and SSE2 maths in files of their own. */
const FLAGS: Readonly<Record<DebianArchitecture, { all: string[]; x87: string[]; sse2: string[] }>> = {
  i386: { all: ['-m32', '-march=i686'], x87: ['-mfpmath=387'], sse2: ['-msse2', '-mfpmath=sse'] },
  amd64: { all: [], x87: ['-mfpmath=387'], sse2: ['-mfpmath=sse'] },
}

export async function benchInitramfs(
  architecture: DebianArchitecture,
  busybox: string,
  fetch: Fetch,
): Promise<{ initrd: Uint8Array; vmbench: string }> {
  const vmbench = await buildBench(architecture, fetch)
  const { writeCpio } = await loadCliGuest()
  const initrd = writeCpio([
    ...skeleton(),
    { path: 'bin/busybox', kind: 'file', content: await readFile(busybox) },
    { path: 'bin/sh', kind: 'symlink', target: 'busybox' },
    { path: 'bin/vmbench', kind: 'file', content: await readFile(vmbench) },
    { path: 'bench.sh', kind: 'file', content: await readFile(join(SOURCES, 'bench.sh')) },
    { path: 'init', kind: 'file', content: await readFile(join(SOURCES, 'init')) },
  ])
  return { initrd, vmbench }
}

/** Compiles the benchmark once per state of its sources. */
async function buildBench(architecture: DebianArchitecture, fetch: Fetch): Promise<string> {
  const files = ['bench.c', 'fp_x87.c', 'fp_sse2.c', 'fp.h']
  const hash = createHash('sha256')
  for (const file of files) hash.update(await readFile(join(SOURCES, file)))
  const folder = join(fetch.cacheDir, 'guests')
  const output = join(folder, `vmbench-${hash.digest('hex').slice(0, 12)}.${architecture}`)
  if (existsSync(output)) return output
  if (process.arch !== 'x64')
    throw new GuestUnavailable('the benchmark is compiled by an x86 gcc, and this host is another architecture')
  if ((await run('gcc', ['--version'])).status !== 0)
    throw new GuestUnavailable('the benchmark needs gcc (apt-get install gcc libc6-dev)')
  await mkdir(folder, { recursive: true })
  const { all, x87, sse2 } = FLAGS[architecture]
  const base = [...COMMON, ...all, ...(architecture === 'i386' ? await library32(fetch) : [])]
  const work = await mkdtemp(join(folder, '.build-'))
  try {
    const compile = async (name: string, ...flags: string[]) => {
      await gcc([...base, ...flags, '-c', '-o', join(work, `${name}.o`), join(SOURCES, `${name}.c`)])
      return join(work, `${name}.o`)
    }
    fetch.note(`gcc: vmbench for ${architecture}`)
    const objects = [
      await compile('bench', ...(architecture === 'i386' ? x87 : [])),
      await compile('fp_x87', ...x87, '-fno-math-errno'),
      await compile('fp_sse2', ...sse2, '-fno-math-errno'),
    ]
    await gcc([...base, '-o', join(work, 'vmbench'), ...objects, '-lm'])
    await rename(join(work, 'vmbench'), output)
  } finally {
    await rm(work, { recursive: true, force: true })
  }
  return output
}

async function gcc(args: string[]): Promise<void> {
  const { status, stderr } = await run('gcc', args)
  if (status !== 0) throw new GuestUnavailable(`gcc could not build the benchmark: ${stderr.split('\n').slice(0, 3).join(' ')}`)
}

/** Flags for 32-bit code: none where gcc-multilib is installed, else the places of a private copy of its libraries. */
async function library32(fetch: Fetch): Promise<string[]> {
  const probe = await run('gcc', ['-m32', '-print-file-name=libc.a'])
  if (probe.status === 0 && existsSync(probe.stdout.trim()) && /32/.test(probe.stdout)) return []
  const version = (await run('gcc', ['-dumpversion'])).stdout.trim().split('.')[0] as string
  let libc: string
  let libgcc: string
  let linux: string
  try {
    libc = await debianTree('libc6-dev', 'i386', fetch)
    linux = await debianTree('linux-libc-dev', 'i386', fetch)
    libgcc = await debianTree(`libgcc-${version}-dev`, 'i386', fetch)
  } catch (error) {
    if (!(error instanceof GuestUnavailable)) throw error
    throw new GuestUnavailable(
      `32-bit code needs gcc-multilib (apt-get install gcc-multilib), and its libraries cannot be fetched: ${error.message}`,
    )
  }
  const libraries = [join(libc, 'usr/lib/i386-linux-gnu'), join(libgcc, 'usr/lib/gcc/i686-linux-gnu', version)]
  const includes = [libc, linux].map((tree) => join(tree, 'usr/include/i386-linux-gnu'))
  return [...libraries.flatMap((path) => [`-B${path}`, `-L${path}`]), ...includes.flatMap((path) => ['-isystem', path])]
}
