import { readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { formatSize } from '../args/size.ts'
import { CliError } from '../errors.ts'
import { defaultCacheDirectory, getDefaultGuest, getFirmware, isDefaultGuestCached } from '../guest/index.ts'
import type { Streams } from '../streams.ts'
import { explainGuestError, fetching } from './fetch.ts'

const GUESTS = {
  default: { about: 'Linux 6.12 and Nushell, 64-bit, from npm', get: getDefaultGuest },
  firmware: { about: 'SeaBIOS and its VGA BIOS, from npm', get: getFirmware },
}

/** `guestmode guests list|get|clean` */
export async function guestsCommand(
  request: { action: 'list' | 'get' | 'clean'; offline: boolean; names: readonly string[] },
  streams: Streams,
): Promise<number> {
  const cacheDir = defaultCacheDirectory(streams.env)
  const say = (text: string): void => void streams.stdout.write(`${text}\n`)
  switch (request.action) {
    case 'list': {
      const state = (await isDefaultGuestCached({ cacheDir })) ? 'in the cache' : 'not fetched yet'
      say(`default   ${GUESTS.default.about}: ${state}`)
      say('demo      the demonstration guest: built in')
      say(`cache     ${cacheDir}: ${formatSize(sizeOf(cacheDir))}`)
      return 0
    }
    case 'get':
      for (const name of request.names.length ? request.names : ['default']) {
        if (!Object.hasOwn(GUESTS, name)) {
          throw new CliError(`guests get ${name}: there are ${Object.keys(GUESTS).join(', ')}`)
        }
        const guest = GUESTS[name as keyof typeof GUESTS]
        try {
          await fetching<unknown>(streams, request.offline, (ways) => guest.get({ cacheDir, ...ways }))
        } catch (error) {
          throw explainGuestError(error)
        }
        say(`${name}: ${guest.about}: ready`)
      }
      return 0
    case 'clean': {
      const before = sizeOf(cacheDir)
      for (const name of entries(cacheDir)) {
        if (name === 'npm' || name.startsWith('.download-')) rmSync(join(cacheDir, name), { recursive: true, force: true })
      }
      say(`${formatSize(before - sizeOf(cacheDir))} deleted from ${cacheDir}`)
      return 0
    }
  }
}

function entries(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

function sizeOf(folder: string): number {
  let sum = 0
  for (const name of entries(folder)) {
    const found = statSync(join(folder, name), { throwIfNoEntry: false })
    sum += found?.isDirectory() ? sizeOf(join(folder, name)) : (found?.size ?? 0)
  }
  return sum
}
