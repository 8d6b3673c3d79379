import { expect, test } from 'vitest'
import { writeCpio } from './cpio.ts'

/** Reads an archive back, by the format's description. */
function read(archive: Uint8Array) {
  const bytes = Buffer.from(archive)
  const entries: { path: string; mode: number; content: string; device: string }[] = []
  for (let at = 0; ;) {
    expect(bytes.toString('latin1', at, at + 6)).toBe('070701')
    const field = (n: number) => parseInt(bytes.toString('latin1', at + 6 + 8 * n, at + 14 + 8 * n), 16)
    const nameLength = field(11)
    const path = bytes.toString('utf8', at + 110, at + 110 + nameLength - 1)
    expect(bytes[at + 110 + nameLength - 1]).toBe(0)
    const content = (at + 110 + nameLength + 3) & ~3
    if (path === 'TRAILER!!!') return entries
    entries.push({
      path,
      mode: field(1),
      content: bytes.toString('utf8', content, content + field(6)),
      device: `${field(9)},${field(10)}`,
    })
    at = (content + field(6) + 3) & ~3
  }
}

test('directories, files, links and devices', () => {
  const archive = writeCpio([
    { path: 'dev', kind: 'directory' },
    { path: 'dev/console', kind: 'character-device', major: 5, minor: 1 },
    { path: 'init', kind: 'file', content: new TextEncoder().encode('hello') },
    { path: 'empty', kind: 'file', mode: 0o600, content: new Uint8Array(0) },
    { path: 'sh', kind: 'symlink', target: 'init' },
  ])
  expect(archive.length % 4).toBe(0)
  expect(read(archive)).toEqual([
    { path: 'dev', mode: 0o040755, content: '', device: '0,0' },
    { path: 'dev/console', mode: 0o020600, content: '', device: '5,1' },
    { path: 'init', mode: 0o100755, content: 'hello', device: '0,0' },
    { path: 'empty', mode: 0o100600, content: '', device: '0,0' },
    { path: 'sh', mode: 0o120777, content: 'init', device: '0,0' },
  ])
})
