import { getGuest, GUESTS } from './guests.ts'
import { GuestUnavailable } from './unavailable.ts'

const USAGE = `Gets guests into the cache and prints the paths of their files.

  bin.ts list                      names and what they are
  bin.ts get [--offline] NAME...   'all' for every guest; progress goes to the standard error output

A guest that cannot be had is named with the reason, and the exit status is 1.
`

async function main(args: readonly string[]): Promise<number> {
  const [command, ...rest] = args
  if (command === 'list') {
    for (const [name, { about }] of Object.entries(GUESTS)) console.log(`${name.padEnd(16)} ${about}`)
    return 0
  }
  const offline = rest.includes('--offline')
  const names = rest.filter((word) => word !== '--offline')
  if (command !== 'get' || names.length === 0) {
    process.stderr.write(USAGE)
    return 2
  }
  let status = 0
  for (const name of names.includes('all') ? Object.keys(GUESTS) : names) {
    if (GUESTS[name] === undefined) {
      process.stderr.write(`no guest is called '${name}'; 'list' shows the names\n`)
      return 2
    }
    try {
      const files = await getGuest(name, { offline, progress: (text) => process.stderr.write(`${name}: ${text}\n`) })
      for (const [key, path] of Object.entries(files)) console.log(`${name} ${key} ${path}`)
    } catch (error) {
      if (!(error instanceof GuestUnavailable)) throw error
      process.stderr.write(`${name} cannot be had: ${error.message}\n`)
      status = 1
    }
  }
  return status
}

process.exitCode = await main(process.argv.slice(2))
