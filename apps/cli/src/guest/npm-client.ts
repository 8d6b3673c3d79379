import { spawn } from 'node:child_process'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { GuestError } from './errors.ts'

/**
 * Fetches a package's tarball into `folder` with the user's own npm, so that registries, proxies and credentials of npm's configuration
 * hold. A package that is limited to another platform can be packed all the same. Returns the tarball's path.
 */
export async function npmPack(
  spec: string,
  folder: string,
  onBytes: (bytes: number) => void,
  signal?: AbortSignal,
): Promise<string> {
  // A cache of its own makes the bytes that have arrived countable.
  const npmCache = join(folder, 'npm')
  await mkdir(npmCache, { recursive: true })
  const args = ['pack', spec, '--json', '--ignore-scripts', '--pack-destination', folder, '--cache', npmCache]
  args.push(
    '--fetch-retries',
    '2',
    '--fetch-retry-mintimeout',
    '1000',
    '--fetch-retry-maxtimeout',
    '5000',
    '--no-update-notifier',
    '--loglevel',
    'error',
  )
  const timer = setInterval(() => onBytes(bytesIn(npmCache)), 200)
  try {
    const { stdout, stderr, status } = await runNpm(args, folder, signal)
    if (status !== 0) throw npmFailure(spec, stdout, stderr)
    const tarball = readdirSync(folder).find((name) => name.endsWith('.tgz'))
    if (tarball === undefined) throw new GuestError('npm', `npm pack ${spec} left no tarball.\n${tail(stderr)}`)
    return join(folder, tarball)
  } finally {
    clearInterval(timer)
  }
}

type Run = { stdout: string; stderr: string; status: number }

function runNpm(args: string[], cwd: string, signal?: AbortSignal): Promise<Run> {
  const script = npmScript()
  // Windows starts npm through a batch file, which only a shell can run; paths with spaces then need quotes.
  const shell = script === undefined && process.platform === 'win32'
  const [command, all] =
    script === undefined ? ['npm', shell ? args.map((a) => `"${a}"`) : args] : [process.execPath, [script, ...args]]
  return new Promise((resolve, reject) => {
    const child = spawn(command, all, {
      cwd,
      shell,
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(signal === undefined ? {} : { signal }),
    })
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
    child.on('error', (error: NodeJS.ErrnoException) =>
      reject(
        error.code === 'ENOENT'
          ? new GuestError('npm', 'npm is not installed; it fetches the guest. It comes with Node (nodejs.org).', error)
          : error,
      ),
    )
    child.on('close', (status) => resolve({ stdout, stderr, status: status ?? 1 }))
  })
}

/** npm as a script for this Node; undefined when only the PATH can tell. */
function npmScript(): string | undefined {
  const running = process.env['npm_execpath']
  if (running !== undefined && /npm-cli\.[cm]?js$/.test(running) && existsSync(running)) return running
  const bin = dirname(process.execPath)
  return [
    join(bin, 'node_modules', 'npm', 'bin', 'npm-cli.js'),
    join(bin, '..', 'lib', 'node_modules', 'npm', 'bin', 'npm-cli.js'),
  ].find((path) => existsSync(path))
}

function bytesIn(folder: string): number {
  let sum = 0
  try {
    for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true })) {
      if (entry.isFile()) sum += statSync(join(entry.parentPath ?? entry.path, entry.name)).size
    }
  } catch {
    // npm moves its files about while they are counted.
  }
  return sum
}

const NETWORK =
  /\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ENETDOWN|ERR_SOCKET_TIMEOUT|FETCH_ERROR|ENOTCACHED)\b/

function npmFailure(spec: string, stdout: string, stderr: string): GuestError {
  const text = `${stdout}\n${stderr}`
  const said = tail(stderr)
  if (/\b(ENOSPC|EDQUOT)\b/.test(text)) return new GuestError('no-space', `There is no space left to download ${spec}.`)
  if (/\bEINTEGRITY\b/.test(text))
    return new GuestError('corrupt', `The download of ${spec} is corrupt: npm refused its hash. Try again.`)
  const network = NETWORK.exec(text)
  if (network !== null)
    return new GuestError(
      'no-network',
      `Cannot reach the npm registry to download ${spec} (${network[1]}). A network is needed once; after that the guest starts from the cache.`,
    )
  return new GuestError('npm', `npm could not fetch ${spec}:\n${said}`)
}

const tail = (text: string): string =>
  text
    .split('\n')
    .filter((line) => line.trim() !== '' && !/^npm (warn|notice)/i.test(line))
    .slice(0, 6)
    .join('\n')
