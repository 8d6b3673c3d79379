import { mkdir, rm, stat } from 'node:fs/promises'
import { setTimeout } from 'node:timers/promises'

const STALE_MS = 10 * 60_000

/** Runs `body` while no other process does so for the same folder; the lock of a process that died counts for ten minutes. */
export async function withLock<T>(folder: string, body: () => Promise<T>): Promise<T> {
  const lock = `${folder}.lock`
  await mkdir(folder, { recursive: true })
  for (;;) {
    try {
      await mkdir(lock)
      break
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
      const age = await stat(lock).then(
        (s) => Date.now() - s.mtimeMs,
        () => 0,
      )
      if (age > STALE_MS) await rm(lock, { recursive: true, force: true })
      else await setTimeout(200)
    }
  }
  try {
    return await body()
  } finally {
    await rm(lock, { recursive: true, force: true })
  }
}
