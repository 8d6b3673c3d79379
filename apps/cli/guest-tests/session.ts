import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export const program = fileURLToPath(new URL('../dist/bin.js', import.meta.url))

/** Waits for a text in what came since the step before, then types. */
export interface Step {
  wait: RegExp
  send?: string
}

export interface Result {
  output: string
  errors: string
  /** null when a signal ended it, or when the steps were done before it ended. */
  status: number | null
  signal: NodeJS.Signals | null
  /** To the end, and to the end of each step. */
  seconds: number
  stepSeconds: number[]
  /** Of the whole process tree that was waited for. */
  cpuSeconds: number
}

export interface Options {
  timeoutMs: number
  env?: NodeJS.ProcessEnv
  /** Ends with the steps, not with the program. */
  stopAfterSteps?: boolean
  /** Before it is killed, when the steps are done. */
  onDone?: (pid: number) => Promise<void>
  command?: readonly [string, ...string[]]
}

/** Runs the built program with its console on pipes. */
export function runGuestmode(args: readonly string[], steps: readonly Step[], options: Options): Promise<Result> {
  if (!existsSync(program)) throw new Error(`${program} is not built: npm run build`)
  const [command, ...rest] = options.command ?? [process.execPath, program, ...args]
  return new Promise((resolve, reject) => {
    const begin = performance.now()
    const cpuBefore = childCpu()
    const child = spawn(command, rest, { stdio: 'pipe', env: { ...process.env, ...options.env } })
    let output = ''
    let errors = ''
    let mark = 0
    let next = 0
    const stepSeconds: number[] = []
    const seconds = (): number => (performance.now() - begin) / 1000
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      const awaited = String(steps[next]?.wait ?? 'its end')
      reject(new Error(`${awaited} did not come in ${options.timeoutMs} ms; the last output:\n${output.slice(-3000)}\n${errors}`))
    }, options.timeoutMs)
    const onText = (text: string): void => {
      output += text
      // A line editor asks where the cursor is before it shows its prompt.
      for (let n = text.split('\x1b[6n').length; n > 1; n--) child.stdin.write('\x1b[10;1R')
      for (let step = steps[next]; step?.wait.test(output.slice(mark)); step = steps[next]) {
        mark = output.length
        next++
        stepSeconds.push(seconds())
        if (step.send !== undefined) child.stdin.write(step.send)
      }
      if (next === steps.length && options.stopAfterSteps) {
        next++
        void (options.onDone?.(child.pid ?? 0) ?? Promise.resolve()).finally(() => child.kill('SIGTERM'))
      }
    }
    child.stdin.on('error', () => {})
    child.stdout.setEncoding('latin1').on('data', onText)
    child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text))
    child.on('error', reject)
    child.on('close', (status, signal) => {
      clearTimeout(timer)
      if (next < steps.length) {
        const awaited = String(steps[next]?.wait)
        reject(new Error(`it ended (${status ?? signal}) before ${awaited}; the last output:\n${output.slice(-3000)}\n${errors}`))
      } else resolve({ output, errors, status, signal, seconds: seconds(), stepSeconds, cpuSeconds: childCpu() - cpuBefore })
    })
  })
}

/** CPU time of children that have ended, where the system tells. */
function childCpu(): number {
  const stat = existsSync('/proc/self/stat') ? readStat('/proc/self/stat') : undefined
  return stat ? stat.children : 0
}

/** Seconds of CPU time of a process, and of its children that have ended. [proc(5) /proc/pid/stat] */
export function readStat(path: string): { own: number; children: number } {
  const fields = readFileSync(path, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ')
    .map(Number)
  const [user = 0, system = 0, childUser = 0, childSystem = 0] = fields.slice(11, 15)
  return { own: (user + system) / 100, children: (childUser + childSystem) / 100 }
}
