import type { BootConfig } from '@guestmode/devmodel'
import type { GuestEntry, GuestFile, GuestManifest } from './manifest.ts'

const MANIFEST = 'guest/manifest.json'

export async function fetchManifest(): Promise<GuestManifest> {
  const response = await get(MANIFEST)
  try {
    return (await response.json()) as GuestManifest
  } catch {
    throw new Error(`${MANIFEST} beside this page is not what the page expects`)
  }
}

/** Fetches a guest's files; `progress` gets the part that has arrived. */
export async function fetchGuest(entry: GuestEntry, progress: (part: number) => void): Promise<BootConfig> {
  const total = entry.kernel.size + (entry.initrd?.size ?? 0)
  let done = 0
  const fetchFile = async ({ path, size }: GuestFile): Promise<Uint8Array<ArrayBuffer>> => {
    const bytes = new Uint8Array(size)
    let at = 0
    for await (const chunk of chunks(await get(`guest/${path}`))) {
      if (at + chunk.length > size) throw new Error(`guest/${path} is longer than ${size} bytes`)
      bytes.set(chunk, at)
      at += chunk.length
      done += chunk.length
      progress(done / total)
    }
    if (at < size) throw new Error(`guest/${path} ended after ${at} of ${size} bytes; reload the page to try again`)
    return bytes
  }
  const image = await fetchFile(entry.kernel)
  const initrd = entry.initrd && { initrd: await fetchFile(entry.initrd) }
  const { commandLine, raw } = entry
  return raw ? { kind: 'raw', image, commandLine, ...raw, ...initrd } : { kind: 'multiboot', image, commandLine }
}

async function* chunks({ body }: Response): AsyncGenerator<Uint8Array> {
  if (!body) return
  const reader = body.getReader()
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return
    yield value
  }
}

async function get(path: string): Promise<Response> {
  let response: Response
  try {
    response = await fetch(new URL(path, document.baseURI))
  } catch {
    throw new Error(`${path} could not be fetched: is the server still there?`)
  }
  if (!response.ok) throw new Error(`${path} could not be fetched: the server says ${response.status}`)
  return response
}
