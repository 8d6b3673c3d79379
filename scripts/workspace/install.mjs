import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { inRoot, WorkspaceError } from './paths.mjs'
import { findPnpm } from './pnpm.mjs'
import { runNode } from './run.mjs'

const stamp = inRoot('node_modules', '.cache', 'guestmode', 'installed')
const decisive = ['package.json', 'pnpm-lock.yaml', 'pnpm-workspace.yaml']

/** Installs what the lockfile says, unless the last installation came from the very same lockfile and is still there. */
export async function ensureInstalled({ say }) {
  const wanted = fingerprint()
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted && modulesArePresent()) return
  rmSync(stamp, { force: true })
  const pnpm = await findPnpm({ say })
  say('installing dependencies ...')
  const reporter = process.stderr.isTTY ? 'default' : 'append-only'
  const args = [
    'install',
    '--frozen-lockfile',
    '--prefer-offline',
    `--reporter=${reporter}`,
    '--config.confirmModulesPurge=false',
  ]
  // pnpm's progress goes to stderr: stdout belongs to the job.
  const { ok } = await runNode([pnpm.program, ...args], { stdio: ['ignore', 2, 2] })
  if (!ok) throw new WorkspaceError('the dependencies could not be installed; the reason is above')
  mkdirSync(dirname(stamp), { recursive: true })
  writeFileSync(stamp, wanted)
}

function fingerprint() {
  const hash = createHash('sha256').update(`${process.platform} ${process.arch}\n`)
  for (const file of decisive) hash.update(readFileSync(inRoot(file)))
  return hash.digest('hex')
}

/** Every workspace package that depends on something has its own node_modules. */
function modulesArePresent() {
  return workspacePackages().every(({ dir, manifest }) => {
    const needs = Object.keys({ ...manifest.dependencies, ...manifest.devDependencies })
    return needs.every((name) => existsSync(join(dir, 'node_modules', name)))
  })
}

export function workspacePackages() {
  return ['packages', 'apps', 'tools'].flatMap((group) =>
    readdirSync(inRoot(group))
      .map((name) => ({ path: `${group}/${name}`, dir: inRoot(group, name) }))
      .filter(({ dir }) => existsSync(join(dir, 'package.json')))
      .map((found) => ({ ...found, manifest: JSON.parse(readFileSync(join(found.dir, 'package.json'), 'utf8')) })),
  )
}
