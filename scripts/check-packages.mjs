// Packs every package that is published and looks at the tarball as a user of it would: publint, attw, and no dependency on
// a package that is never published.

import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import { workspacePackages } from './workspace/install.mjs'
import { inRoot } from './workspace/paths.mjs'
import { findPnpm } from './workspace/pnpm.mjs'
import { runNode } from './workspace/run.mjs'

const attw = inRoot('node_modules', '@arethetypeswrong', 'cli', 'dist', 'index.js')
const packages = workspacePackages()
const unpublished = new Set(packages.filter(({ manifest }) => manifest.private).map(({ manifest }) => manifest.name))
const pnpm = await findPnpm({ say: console.log })
let bad = 0

for (const { dir, manifest } of packages.filter(({ manifest }) => !manifest.private)) {
  const complaints = await check(dir, manifest)
  console.log(`${complaints.length ? 'bad' : 'ok '} ${manifest.name}`)
  for (const complaint of complaints) console.log(complaint.replace(/^/gm, '      '))
  if (complaints.length) bad += 1
}
process.exitCode = bad ? 1 : 0

async function check(dir, manifest) {
  const complaints = Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies })
    .filter((name) => unpublished.has(name))
    .map((name) => `depends on ${name}, which is private and will not be on the registry`)
  const work = mkdtempSync(join(tmpdir(), 'guestmode-pack-'))
  try {
    const packed = await runNode([pnpm.program, '--dir', dir, 'pack', '--pack-destination', work], { onLine: () => {} })
    if (!packed.ok) return [...complaints, `pnpm pack failed:\n${packed.output.trim()}`]
    const tarball = join(work, readdirSync(work)[0])
    const bytes = readFileSync(tarball)
    const { messages, pkg } = await publint({ pkgDir: dir, strict: true, pack: { tarball: new Uint8Array(bytes).buffer } })
    complaints.push(...messages.map((message) => `publint: ${formatMessage(message, pkg, { color: false })}`))
    const types = await runNode([attw, tarball, '--profile', 'esm-only', '--format', 'ascii', '--no-color', '--no-emoji'], {
      onLine: () => {},
    })
    if (!types.ok) complaints.push(`attw:\n${types.output.trim()}`)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
  return complaints
}
