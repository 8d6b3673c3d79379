import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { getGuest } from '@guestmode/guests'
import { threadsCpu } from '../report/cpu-time.ts'
import { UsageError } from '../report/options.ts'

/** What is to run: a Linux kernel, or one that boots by Multiboot. */
export interface Guest {
  readonly kernel?: string
  readonly initrd?: string
  readonly append?: string
  readonly multiboot?: string
  /** MiB. */
  readonly memory: number
}

export interface Engine {
  readonly name: string
  /** Program and arguments whose standard output is the guest's serial console. */
  command(guest: Guest): Promise<readonly string[]>
  /** Guest instructions so far, from a line of its standard error output. */
  readonly instructions?: RegExp
}

/** How this tool was started, for a script of its own: from sources or built. */
const script = (name: string): string[] => {
  const here = import.meta.url
  const path = fileURLToPath(new URL(here.endsWith('.ts') ? `${name}.ts` : `${name}.js`, here))
  return [process.execPath, ...process.execArgv, path]
}

const option = (name: string, value: string | undefined): string[] => (value === undefined ? [] : [name, value])

export const v86 = (jit: boolean): Engine => ({
  name: jit ? 'v86, JIT' : 'v86, interpreter',
  instructions: /^@@ INSTRUCTIONS (\d+)/,
  command: async (guest) => {
    const { seabios, vgabios } = await getGuest('firmware')
    return [
      ...script('v86-child'),
      ...['--seabios', seabios!, '--vgabios', vgabios!, '--memory', String(guest.memory)],
      ...option('--kernel', guest.kernel),
      ...option('--initrd', guest.initrd),
      ...option('--append', guest.append),
      ...option('--multiboot', guest.multiboot),
      ...(jit ? [] : ['--no-jit']),
    ]
  },
})

/** `words`: the command instead of the built CLI. */
export const guestmode = (words?: string): Engine => ({
  name: 'guestmode',
  command: async (guest) => {
    const built = fileURLToPath(new URL('../../../../apps/cli/dist/bin.js', import.meta.url))
    if (words === undefined && !existsSync(built))
      throw new UsageError('apps/cli is not built: run `npx tsc -b apps/cli`, or give --guestmode')
    return [
      ...(words === undefined ? [process.execPath, built, 'run'] : words.split(' ')),
      ...['-m', `${guest.memory}M`, '-nographic', '-no-reboot'],
      ...option('-kernel', guest.kernel ?? guest.multiboot),
      ...option('-initrd', guest.initrd),
      ...option('-append', guest.append),
    ]
  },
})

export interface Mark {
  readonly line: string
  /** Milliseconds since the start of the process, on the wall and of its busiest thread. */
  readonly wall: number
  readonly cpu: number | undefined
  instructions: number | undefined
}

export interface Run {
  readonly engine: string
  readonly marks: readonly Mark[]
  /** The last lines, for when something is missing. */
  readonly tail: string
  readonly status: number | null
}

/** Runs a guest until a console line matches `until`, or the process ends, or `seconds` are over. Lines with @@ are marks. */
export async function runGuest(engine: Engine, guest: Guest, until: RegExp, seconds: number): Promise<Run> {
  const [program, ...args] = await engine.command(guest)
  const marks: Mark[] = []
  const lines: string[] = []
  return new Promise((resolve, reject) => {
    const start = performance.now()
    const child = spawn(program!, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    const timer = setTimeout(() => child.kill('SIGKILL'), seconds * 1000)
    const onLine = (line: string): void => {
      lines.push(line)
      if (lines.length > 30) lines.shift()
      if (!line.includes('@@ ')) return
      const times = [...threadsCpu(child.pid!).values()]
      const cpu = times.length > 0 ? Math.max(...times) : undefined
      marks.push({ line: line.slice(line.indexOf('@@ ')), wall: performance.now() - start, cpu, instructions: undefined })
      if (until.test(line)) setTimeout(() => child.kill('SIGKILL'), 200)
    }
    eachLine(child.stdout, onLine)
    let answered = 0
    eachLine(child.stderr, (line) => {
      const found = engine.instructions?.exec(line)
      const mark = found ? marks[answered++] : undefined
      if (mark) mark.instructions = Number(found![1])
      else if (!found) lines.push(line)
    })
    child.on('error', reject)
    child.on('close', (status) => {
      clearTimeout(timer)
      resolve({ engine: engine.name, marks, tail: lines.slice(-12).join('\n'), status })
    })
  })
}

function eachLine(stream: NodeJS.ReadableStream, take: (line: string) => void): void {
  let rest = ''
  stream.setEncoding('latin1').on('data', (text: string) => {
    const parts = (rest + text).split(/\r*\n/)
    rest = parts.pop()!
    parts.forEach(take)
  })
}
