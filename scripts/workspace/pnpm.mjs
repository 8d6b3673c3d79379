import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, delimiter, dirname, join } from 'node:path'
import process from 'node:process'
import { promisify } from 'node:util'
import { inRoot, manifest, root, WorkspaceError } from './paths.mjs'

/** The pinned package manager, as `packageManager` in package.json names it: `pnpm@10.34.9`. */
const pinned = manifest.packageManager
const memo = inRoot('node_modules', '.cache', 'guestmode', 'pnpm-location')

/** @typedef {{ program: string, binDir: string }} Pnpm  a script for Node, and the folder that has `pnpm` for a PATH */

/** @returns {Promise<Pnpm>} */
export async function findPnpm({ say }) {
  const known = existsSync(memo) ? at(readFileSync(memo, 'utf8')) : undefined
  if (known) return known
  say(`fetching ${pinned} ...`)
  const binDir = await fetchThroughNpm()
  mkdirSync(dirname(memo), { recursive: true })
  writeFileSync(memo, binDir)
  return at(binDir)
}

/** @returns {Pnpm | undefined} */
function at(binDir) {
  const home = join(binDir, '..', 'pnpm')
  if (!existsSync(join(home, 'package.json'))) return undefined
  const { name, version } = JSON.parse(readFileSync(join(home, 'package.json'), 'utf8'))
  return `${name}@${version}` === pinned ? { program: join(home, 'bin', 'pnpm.cjs'), binDir } : undefined
}

/** `npm exec` keeps the package in npm's own cache and puts its bin folder on the PATH of what it runs. */
async function fetchThroughNpm() {
  // npm's own pauses between attempts add up to more than a minute without a network.
  const patience = ['--prefer-offline', '--fetch-retry-mintimeout=1000', '--fetch-retry-maxtimeout=4000']
  const args = ['exec', '--yes', '--loglevel=error', ...patience, `--package=${pinned}`, '--', 'node', '-p', 'process.env.PATH']
  const npm = process.env.npm_execpath
  const viaNode = npm !== undefined && basename(npm) === 'npm-cli.js'
  try {
    const { stdout } = viaNode
      ? await promisify(execFile)(process.execPath, [npm, ...args], { cwd: root })
      : await promisify(execFile)('npm', args, { cwd: root, shell: process.platform === 'win32' })
    const found = stdout.trim().split(delimiter).find(at)
    if (found) return found
    throw new Error(`npm exec put no ${pinned} on its PATH`)
  } catch (error) {
    const reason = error.stderr?.trim() || error.message
    throw new WorkspaceError(
      `could not get ${pinned} through npm. Is the network there, and npm's registry reachable?\n${reason}`,
    )
  }
}
