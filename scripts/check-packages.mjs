// Packs every package that is published and looks at the tarballs as their users will: publint, attw, no dependency on a package
// that is never published, and a project that has nothing but the tarballs compiles and runs.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import { tryAsConsumer } from './packages/consumer.mjs'
import { workspacePackages } from './workspace/install.mjs'
import { inRoot } from './workspace/paths.mjs'
import { findPnpm } from './workspace/pnpm.mjs'
import { runNode } from './workspace/run.mjs'

const attw = inRoot('node_modules', '@arethetypeswrong', 'cli', 'dist', 'index.js')
const quietly = { onLine: () => {} }
const all = workspacePackages()
const published = all.filter(({ manifest }) => !manifest.private)
const unpublished = new Set(all.filter(({ manifest }) => manifest.private).map(({ manifest }) => manifest.name))
const pnpm = await findPnpm({ say: console.log })
const work = mkdtempSync(join(tmpdir(), 'guestmode-pack-'))

try {
  const tarballs = []
  let bad = 0
  for (const { dir, manifest } of published) {
    const tarball = join(work, `${manifest.name.replace(/\W+/g, '-')}.tgz`)
    const packed = await runNode([pnpm.program, '--dir', dir, 'pack', '--out', tarball], quietly)
    if (packed.ok) tarballs.push({ dir, manifest, tarball })
    const complaints = packed.ok ? await inspect(manifest, tarball) : [`pnpm pack failed:\n${packed.output.trim()}`]
    bad += report(manifest.name, complaints)
  }
  bad += report('all of them in a project of their own', await tryAsConsumer(join(work, 'consumer'), tarballs))
  process.exitCode = bad ? 1 : 0
} finally {
  rmSync(work, { recursive: true, force: true })
}

async function inspect(manifest, tarball) {
  const complaints = Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies })
    .filter((name) => unpublished.has(name))
    .map((name) => `depends on ${name}, which is private and will not be on the registry`)
  const { messages, pkg } = await publint({ strict: true, pack: { tarball: new Uint8Array(readFileSync(tarball)).buffer } })
  complaints.push(...messages.map((message) => `publint: ${formatMessage(message, pkg, { color: false })}`))
  const types = await runNode([attw, tarball, '--profile', 'esm-only', '--format', 'ascii', '--no-color', '--no-emoji'], quietly)
  if (!types.ok) complaints.push(`attw:\n${types.output.trim()}`)
  return complaints
}

function report(name, complaints) {
  console.log(`${complaints.length ? 'bad' : 'ok '} ${name}`)
  for (const complaint of complaints) console.log(complaint.replace(/^/gm, '      '))
  return complaints.length ? 1 : 0
}
