/** Puts the guests beside the page: in development and preview from the user's cache, in a build those that are ours to give away. */
import { mkdir, writeFile } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { join } from 'node:path'
import { getDefaultGuest, GuestError } from 'guestmode/guest'
import { getDemoGuest } from 'guestmode/demo'
import type { Plugin } from 'vite'
import type { GuestEntry, GuestManifest } from '../src/guest/manifest.ts'

interface GuestFiles {
  manifest: GuestManifest
  files: ReadonlyMap<string, Uint8Array>
}

const MIB = 2 ** 20
const FOLDER = '/guest/'

/**
 * `GUESTMODE_SITE_GUEST=1` at build time also writes the default guest into the site: over 90 MB, under the licences of Linux (GPL-2.0)
 * and Nushell (MIT).
 */
export function guestFiles(): Plugin {
  let collected: Promise<GuestFiles> | undefined
  const serve = (request: IncomingMessage, response: ServerResponse, next: (error?: unknown) => void): void => {
    const path = new URL(request.url ?? '/', 'http://localhost').pathname
    if (!path.startsWith(FOLDER)) return next()
    collected ??= collect(true)
    collected.then((files) => answer(files, path.slice(FOLDER.length), response), next)
  }
  let outDir = ''
  return {
    name: 'guest-files',
    configResolved: (config) => {
      outDir = join(config.root, config.build.outDir)
    },
    configureServer: ({ middlewares }) => void middlewares.use(serve),
    configurePreviewServer: ({ middlewares }) => void middlewares.use(serve),
    writeBundle: async () => {
      const { manifest, files } = await collect(process.env['GUESTMODE_SITE_GUEST'] === '1')
      const folder = join(outDir, 'guest')
      await mkdir(folder, { recursive: true })
      for (const [name, bytes] of files) await writeFile(join(folder, name), bytes)
      await writeFile(join(folder, 'manifest.json'), JSON.stringify(manifest, null, 2))
    },
  }
}

async function collect(withDefault: boolean): Promise<GuestFiles> {
  const files = new Map<string, Uint8Array>()
  const add = (path: string, bytes: Uint8Array): { path: string; size: number } => {
    files.set(path, bytes)
    return { path, size: bytes.length }
  }
  const guests: GuestEntry[] = []
  const missing: GuestManifest['missing'] = []
  const title = 'Linux 6.12 with Nushell'
  try {
    if (!withDefault) throw new GuestError('offline', 'its files are not part of this site.')
    const { kernel, initrd, cmdline } = await getDefaultGuest({ offline: true })
    guests.push({
      name: 'default',
      title,
      memory: 512 * MIB,
      console: 'virtio',
      resetIsEnd: true,
      // The machine itself tells the guest where its devices are.
      commandLine: cmdline.replaceAll(/\s*virtio_mmio\.device=\S+/g, ''),
      kernel: add('default-kernel.bin', kernel.image),
      initrd: add('default-initrd.cpio', initrd),
      raw: { loadAddress: kernel.loadAddress, entry: kernel.entry64 },
    })
  } catch (error) {
    if (!(error instanceof GuestError)) throw error
    missing.push({ title, reason: `${error.message} (guestmode guests get)` })
  }
  guests.push({
    name: 'demo',
    title: 'the built-in demonstration guest',
    memory: 64 * MIB,
    console: 'serial',
    resetIsEnd: false,
    commandLine: '',
    kernel: add('demo-kernel.bin', getDemoGuest().kernel),
  })
  return { manifest: { guests, missing }, files }
}

function answer({ manifest, files }: GuestFiles, name: string, response: ServerResponse): void {
  if (name === 'manifest.json') {
    response.setHeader('Content-Type', 'application/json')
    response.end(JSON.stringify(manifest))
    return
  }
  const bytes = files.get(name)
  if (!bytes) {
    response.statusCode = 404
    response.end('not found')
    return
  }
  response.setHeader('Content-Type', 'application/octet-stream')
  response.setHeader('Content-Length', bytes.length)
  response.setHeader('Cache-Control', 'no-store')
  response.end(bytes)
}
