import { homedir } from 'node:os'
import { join } from 'node:path'

/** Where downloads are kept: GUESTMODE_CACHE, or the platform's own place for caches. */
export function defaultCacheDirectory(
  env: NodeJS.ProcessEnv = process.env,
  platform: NodeJS.Platform = process.platform,
  home = homedir(),
): string {
  if (env['GUESTMODE_CACHE']) return env['GUESTMODE_CACHE']
  if (platform === 'win32') return join(env['LOCALAPPDATA'] || join(home, 'AppData', 'Local'), 'guestmode')
  if (platform === 'darwin') return join(home, 'Library', 'Caches', 'guestmode')
  return join(env['XDG_CACHE_HOME'] || join(home, '.cache'), 'guestmode')
}
