import { createReadStream } from 'node:fs'
import { createGunzip } from 'node:zlib'

const BLOCK = 512

/**
 * Regular files of a `.tgz` whose paths, without the first folder, are wanted; each as its bytes. ustar headers are all that npm
 * writes. [POSIX "pax: ustar Interchange Format"]
 */
export async function readTarball(file: string, wanted: ReadonlySet<string>, signal?: AbortSignal): Promise<Map<string, Buffer>> {
  const found = new Map<string, Buffer>()
  let pending: Buffer = Buffer.alloc(0)
  /** The file being collected, or skipped when `parts` is undefined. */
  let entry: { path: string; left: number; padding: number; parts: Buffer[] | undefined } | undefined
  const source = createReadStream(file, signal === undefined ? {} : { signal })
  const gunzip = createGunzip()
  source.on('error', (error) => gunzip.destroy(error))
  for await (const chunk of source.pipe(gunzip) as AsyncIterable<Buffer>) {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk])
    for (;;) {
      if (entry === undefined) {
        if (pending.length < BLOCK) break
        entry = parseHeader(pending.subarray(0, BLOCK), wanted)
        pending = pending.subarray(BLOCK)
        if (entry === undefined) continue
      }
      const take = Math.min(entry.left, pending.length)
      if (take > 0) entry.parts?.push(pending.subarray(0, take))
      entry.left -= take
      pending = pending.subarray(take)
      if (entry.left > 0 || pending.length < entry.padding) break
      pending = pending.subarray(entry.padding)
      if (entry.parts !== undefined) found.set(entry.path, Buffer.concat(entry.parts))
      entry = undefined
    }
  }
  return found
}

function parseHeader(header: Buffer, wanted: ReadonlySet<string>) {
  const text = (from: number, length: number) => header.toString('utf8', from, from + length).replace(/\0.*$/s, '')
  const name = text(0, 100)
  if (name === '') return undefined
  const prefix = text(257, 5) === 'ustar' ? text(345, 155) : ''
  const path = (prefix === '' ? name : `${prefix}/${name}`).replace(/^[^/]*\//, '')
  const size = parseInt(text(124, 12).trim() || '0', 8)
  const type = text(156, 1)
  const regular = type === '' || type === '0'
  return {
    path,
    left: size,
    padding: (BLOCK - (size % BLOCK)) % BLOCK,
    parts: regular && wanted.has(path) ? ([] as Buffer[]) : undefined,
  }
}
