export type CpioEntry =
  | { path: string; kind: 'directory'; mode?: number }
  | { path: string; kind: 'file'; mode?: number; content: Uint8Array }
  | { path: string; kind: 'symlink'; target: string }
  | { path: string; kind: 'character-device'; mode?: number; major: number; minor: number }

const TYPE = { directory: 0o040000, file: 0o100000, symlink: 0o120000, 'character-device': 0o020000 } as const

/** An initramfs archive in the `newc` format. [Linux Documentation/driver-api/early-userspace/buffer-format.rst] */
export function writeCpio(entries: readonly CpioEntry[]): Uint8Array {
  const encoder = new TextEncoder()
  const parts: { at: number; bytes: Uint8Array }[] = []
  let size = 0
  const put = (bytes: Uint8Array) => {
    parts.push({ at: size, bytes })
    size = (size + bytes.length + 3) & ~3
  }
  const record = (inode: number, path: string, mode: number, content: Uint8Array, major = 0, minor = 0) => {
    const name = encoder.encode(path + '\0')
    const links = (mode & 0o170000) === TYPE.directory ? 2 : 1
    const fields = [inode, mode, 0, 0, links, 0, content.length, 0, 0, major, minor, name.length, 0]
    const header = encoder.encode('070701' + fields.map((f) => f.toString(16).padStart(8, '0')).join(''))
    const head = new Uint8Array(header.length + name.length)
    head.set(header)
    head.set(name, header.length)
    put(head)
    put(content)
  }
  const none = new Uint8Array(0)
  for (const [n, entry] of entries.entries()) {
    const type = TYPE[entry.kind]
    const permissions = entry.kind === 'symlink' ? 0o777 : (entry.mode ?? (entry.kind === 'character-device' ? 0o600 : 0o755))
    const content = entry.kind === 'file' ? entry.content : entry.kind === 'symlink' ? encoder.encode(entry.target) : none
    const [major, minor] = entry.kind === 'character-device' ? [entry.major, entry.minor] : [0, 0]
    record(n + 1, entry.path, type | permissions, content, major, minor)
  }
  record(0, 'TRAILER!!!', 0, none)
  const out = new Uint8Array(size)
  for (const { at, bytes } of parts) out.set(bytes, at)
  return out
}
