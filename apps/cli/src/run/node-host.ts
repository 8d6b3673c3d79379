import { randomFillSync } from 'node:crypto'
import type { SessionHost } from '@guestmode/session'

const NS_PER_MS = 1_000_000
/** Timers of Node have a resolution of a millisecond; below this it is nearer to be early. */
const SHORT = 200_000

/** What a machine needs of Node. */
export const nodeHost: SessionHost = {
  clock: { now: () => process.hrtime.bigint() },
  loop: {
    turn: () => new Promise((resolve) => setImmediate(resolve)),
    after: (ns, callback) => {
      if (ns < SHORT) {
        const immediate = setImmediate(callback)
        return () => clearImmediate(immediate)
      }
      const timer = setTimeout(callback, Math.min(Number(ns) / NS_PER_MS, 2 ** 31 - 1))
      return () => clearTimeout(timer)
    },
  },
  random: (bytes) => void randomFillSync(bytes),
  unixTime: () => Date.now() / 1000,
}
