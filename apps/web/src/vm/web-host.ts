import type { SessionHost } from '@guestmode/session'

const NS_PER_MS = 1_000_000
const SHORT = 500_000

/** A task of its own, without the delay that timers get in a page. */
function createTurn(): () => Promise<void> {
  const { port1, port2 } = new MessageChannel()
  const waiting: (() => void)[] = []
  port1.onmessage = () => waiting.shift()?.()
  return () =>
    new Promise((resolve) => {
      waiting.push(resolve)
      port2.postMessage(0)
    })
}

/** What a machine needs of a browser. */
export function createWebHost(): SessionHost {
  const turn = createTurn()
  return {
    clock: { now: () => BigInt(Math.round(performance.now() * NS_PER_MS)) },
    loop: {
      turn,
      after: (ns, callback) => {
        if (ns < SHORT) {
          let live = true
          void turn().then(() => live && callback())
          return () => void (live = false)
        }
        const timer = setTimeout(callback, Math.min(Number(ns) / NS_PER_MS, 2 ** 31 - 1))
        return () => clearTimeout(timer)
      },
    },
    random: (bytes) => {
      // A call fills 64 KiB at most. [Web Cryptography API "The getRandomValues method"]
      for (let at = 0; at < bytes.length; at += 65536) {
        const piece = new Uint8Array(Math.min(65536, bytes.length - at))
        bytes.set(crypto.getRandomValues(piece), at)
      }
    },
    unixTime: () => Date.now() / 1000,
  }
}
