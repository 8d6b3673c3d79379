import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { loadCliGuest } from './cli-guest.ts'
import { debianFiles, type DebianArchitecture, type Fetch } from './debian.ts'
import { benchInitramfs } from './initramfs/bench.ts'
import { busyboxInitramfs } from './initramfs/busybox.ts'
import { GuestUnavailable } from './unavailable.ts'

export type GetGuestOptions = {
  /** One line per thing that is fetched or built. */
  progress?: (text: string) => void
  cacheDir?: string
  offline?: boolean
}

export type GuestFiles = Record<string, string>
type Guest = { about: string; get: (fetch: Fetch) => Promise<GuestFiles> }

const busybox = (architecture: DebianArchitecture, fetch: Fetch) =>
  debianFiles('busybox-static', architecture, { busybox: /^bin\/busybox$/ }, fetch)

async function withBusybox(architecture: DebianArchitecture, fetch: Fetch): Promise<GuestFiles> {
  const files = await busybox(architecture, fetch)
  return {
    ...files,
    initrd: await store(fetch, `busybox-${architecture}.cpio`, await busyboxInitramfs(files['busybox'] as string)),
  }
}

const kernel = (name: string, architecture: DebianArchitecture, about: string): Guest => ({
  about,
  get: async (fetch) => ({
    ...(await debianFiles(name, architecture, { kernel: /^boot\/vmlinuz-/ }, fetch)),
    ...(await withBusybox(architecture, fetch)),
  }),
})

const installer = (architecture: DebianArchitecture): Guest => ({
  about: `Debian 12's installer for ${architecture}: kernel and initrd`,
  get: (fetch) => {
    const text = new RegExp(`images/12/${architecture}/text/debian-installer/${architecture}/`)
    const wanted = { kernel: new RegExp(text.source + 'linux$'), initrd: new RegExp(text.source + 'initrd.gz$') }
    // The images of both architectures are data for any machine.
    return debianFiles(`debian-installer-12-netboot-${architecture}`, 'amd64', wanted, fetch)
  },
})

const bench = (architecture: DebianArchitecture): Guest => ({
  about: `initramfs with the benchmark for ${architecture}`,
  get: async (fetch) => {
    const { busybox: shell } = await busybox(architecture, fetch)
    const { initrd, vmbench } = await benchInitramfs(architecture, shell as string, fetch)
    return {
      initrd: await store(fetch, `bench-${architecture}.cpio`, initrd),
      vmbench,
    }
  },
})

export const GUESTS: Readonly<Record<string, Guest>> = {
  default: {
    about: 'Linux 6.12 and Nushell, from npm: raw 64-bit kernel, initrd, and boot.json with addresses and command line',
    get: async (fetch) => {
      const guest = await (await loadCliGuest()).getDefaultGuest(npmOptions(fetch))
      const { loadAddress, entry64 } = guest.kernel
      const boot = JSON.stringify({ loadAddress, entry64, cmdline: guest.cmdline }, null, 2) + '\n'
      return {
        kernel: await store(fetch, 'default-kernel.bin', guest.kernel.image),
        initrd: await store(fetch, 'default-initrd.cpio', guest.initrd),
        boot: await store(fetch, 'default-boot.json', new TextEncoder().encode(boot)),
      }
    },
  },
  firmware: {
    about: 'SeaBIOS and its VGA BIOS, from npm',
    get: async (fetch) => {
      const { seabios, vgabios } = await (await loadCliGuest()).getFirmware(npmOptions(fetch))
      return { seabios: await store(fetch, 'seabios.bin', seabios), vgabios: await store(fetch, 'vgabios.bin', vgabios) }
    },
  },
  'cloud-amd64': kernel('linux-image-cloud-amd64', 'amd64', "Debian's 64-bit kernel for clouds, with a busybox initramfs"),
  amd64: kernel('linux-image-amd64', 'amd64', "Debian's stock 64-bit kernel, with a busybox initramfs"),
  '686-pae': kernel('linux-image-686-pae', 'i386', "Debian's 32-bit kernel with PAE, with a busybox initramfs"),
  '686': kernel('linux-image-686', 'i386', "Debian's 32-bit kernel without PAE, with a busybox initramfs"),
  'installer-amd64': installer('amd64'),
  'installer-i386': installer('i386'),
  'memtest86+': {
    about: 'memtest86+, as kernels (ia32, x64) and as a CD',
    get: (fetch) =>
      debianFiles(
        'memtest86+',
        'amd64',
        { ia32: /^boot\/memtest86\+ia32\.bin$/, x64: /^boot\/memtest86\+x64\.bin$/, iso: /memtest86\+x64\.iso$/ },
        fetch,
      ),
  },
  'bench-amd64': bench('amd64'),
  'bench-i386': bench('i386'),
}

/** The paths of a guest's files in the cache. Throws `GuestUnavailable` with the reason when this host cannot have it. */
export async function getGuest(name: string, options: GetGuestOptions = {}): Promise<GuestFiles> {
  const guest = GUESTS[name]
  if (guest === undefined) throw new RangeError(`no guest is called '${name}'; there are ${Object.keys(GUESTS).join(', ')}`)
  const cacheDir = options.cacheDir ?? (await loadCliGuest()).defaultCacheDirectory()
  try {
    return await guest.get({ cacheDir, offline: options.offline ?? false, note: options.progress ?? (() => undefined) })
  } catch (error) {
    if ((error as Error).name === 'GuestError') throw new GuestUnavailable((error as Error).message, { cause: error })
    throw error
  }
}

/** For tests: the files, or the reason to skip. */
export async function tryGuest(
  name: string,
  options: GetGuestOptions = {},
): Promise<{ files: GuestFiles; reason?: undefined } | { files?: undefined; reason: string }> {
  try {
    return { files: await getGuest(name, options) }
  } catch (error) {
    if (error instanceof GuestUnavailable) return { reason: `${name}: ${error.message}` }
    throw error
  }
}

function npmOptions(fetch: Fetch) {
  let last = ''
  return {
    cacheDir: fetch.cacheDir,
    offline: fetch.offline,
    progress: ({ step, name, done, total }: { step: string; name: string; done: number; total: number }) => {
      const text = `${step} ${name} ${Math.floor((done / total) * 10) * 10}%`
      if (text !== last) fetch.note(text)
      last = text
    },
  }
}

/** Writes a derived file unless the cache has it already with the same contents; readers never see half of it. */
async function store(fetch: Fetch, name: string, bytes: Uint8Array): Promise<string> {
  const folder = join(fetch.cacheDir, 'guests')
  const path = join(folder, name)
  const sum = (b: Uint8Array) => createHash('sha256').update(b).digest('hex')
  if (existsSync(path) && sum(await readFile(path)) === sum(bytes)) return path
  await mkdir(folder, { recursive: true })
  const fresh = `${path}.${process.pid}`
  await writeFile(fresh, bytes)
  await rename(fresh, path)
  return path
}
