import { readdirSync, readFileSync } from 'node:fs'

/** Nanoseconds on a processor, of a Linux thread. */
function scheduled(path: string): number | undefined {
  try {
    return Number(readFileSync(path, 'utf8').split(' ')[0])
  } catch {
    return undefined
  }
}

/** CPU milliseconds of the main thread; of the process where the system does not tell. */
export function threadCpu(): number {
  const own = scheduled(`/proc/self/task/${process.pid}/schedstat`)
  if (own !== undefined) return own / 1e6
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

/** CPU milliseconds by thread of another process; empty where the system does not tell. */
export function threadsCpu(pid: number): Map<string, number> {
  const times = new Map<string, number>()
  let tasks: string[]
  try {
    tasks = readdirSync(`/proc/${pid}/task`)
  } catch {
    return times
  }
  for (const task of tasks) {
    const time = scheduled(`/proc/${pid}/task/${task}/schedstat`)
    if (time !== undefined) times.set(task, time / 1e6)
  }
  return times
}
