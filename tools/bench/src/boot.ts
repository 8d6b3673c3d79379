import { getGuest } from '@guestmode/guests'
import { guestmode, runGuest, v86, type Engine, type Guest, type Run } from './engines/engine.ts'
import { environment, parseOptions, positiveInteger, UsageError, writeJson } from './report/options.ts'
import { formatTable, median } from './report/table.ts'

const help = `bench boot: boot time against v86, on the same kernel and initramfs, by turns in one run

  --guest NAME       686 (default), 686-pae; amd64 and cloud-amd64 boot only here
  --engines LIST     of guestmode, v86 (JIT off), v86-jit (default: guestmode,v86)
  --runs N           turns (default 2)
  --memory MIB       default 256
  --timeout SECONDS  of one boot (default 400)
  --guestmode CMD    the command instead of the built CLI
  --json FILE        writes the figures
  --help

The CPU time is that of the emulator's busiest thread, up to the first line of /init (@@ USERSPACE). MIPS: by v86's instruction count
of the same boot, where v86 takes part.`

export function enginesOf(list: string, command: string | undefined): Engine[] {
  const known: Record<string, Engine> = { guestmode: guestmode(command), v86: v86(false), 'v86-jit': v86(true) }
  return list.split(',').map((name) => {
    const engine = known[name]
    if (!engine) throw new UsageError(`--engines: '${name}' is none of ${Object.keys(known).join(', ')}`)
    return engine
  })
}

/** Debian's kernel of that name with the benchmark's initramfs. */
export async function benchGuest(name: string, memory: number, cases: string): Promise<Guest> {
  const architecture = name.includes('amd64') ? 'amd64' : 'i386'
  const { kernel } = await getGuest(name, { progress: (text) => process.stderr.write(`${text}\n`) })
  const { initrd } = await getGuest(`bench-${architecture}`, { progress: (text) => process.stderr.write(`${text}\n`) })
  if (kernel === undefined || initrd === undefined) throw new UsageError(`--guest: '${name}' is no Linux kernel`)
  return { kernel, initrd, append: `console=ttyS0 tsc=reliable vmbench=${cases}`, memory }
}

const marker = '@@ USERSPACE'

export async function boot(args: readonly string[]): Promise<number> {
  const string = { type: 'string' } as const
  const options = parseOptions(args, help, {
    guest: string,
    engines: string,
    runs: string,
    memory: string,
    timeout: string,
    guestmode: string,
  })
  if (!options) return 0
  const name = (options['guest'] as string | undefined) ?? '686'
  const runs = positiveInteger(options['runs'] ?? '2', 'runs')
  const seconds = positiveInteger(options['timeout'] ?? '400', 'timeout')
  const guest = await benchGuest(name, positiveInteger(options['memory'] ?? '256', 'memory'), 'none')
  const engines = enginesOf(
    (options['engines'] as string | undefined) ?? 'guestmode,v86',
    options['guestmode'] as string | undefined,
  )
  const done: Run[] = []
  let failed = false
  for (let turn = 0; turn < runs; turn++) {
    for (const engine of engines) {
      const run = await runGuest(engine, guest, /@@ USERSPACE/, seconds)
      done.push(run)
      const mark = run.marks.find(({ line }) => line.startsWith(marker))
      if (mark) process.stderr.write(`${engine.name}: ${time(mark.wall)} s, CPU ${time(mark.cpu)} s\n`)
      else {
        failed = true
        process.stderr.write(`${engine.name}: no '${marker}' (status ${run.status}):\n${run.tail}\n`)
      }
    }
  }
  const counts = done.flatMap(({ marks }) =>
    marks.filter(({ line }) => line.startsWith(marker)).flatMap((m) => m.instructions ?? []),
  )
  const instructions = counts.length > 0 ? median(counts) : undefined
  const rows = engines.map(({ name: engine }) => {
    const marks = done
      .filter((run) => run.engine === engine)
      .flatMap((run) => run.marks.filter(({ line }) => line.startsWith(marker)))
    if (marks.length === 0) return [engine, '-', '-', '-']
    const wall = median(marks.map((mark) => mark.wall))
    const cpus = marks.flatMap((mark) => mark.cpu ?? [])
    const cpu = cpus.length > 0 ? median(cpus) : undefined
    const mips = instructions !== undefined && cpu !== undefined ? (instructions / cpu / 1000).toFixed(0) : '-'
    return [engine, time(wall), time(cpu), mips]
  })
  console.log(`${name} to '${marker}', ${guest.memory} MB, Node ${process.version}, medians of ${runs}`)
  console.log(formatTable([['', 'wall s', 'CPU s', 'MIPS'], ...rows]))
  writeJson(options['json'], { environment: environment(), guest: name, memory: guest.memory, instructions, runs: done })
  return failed ? 1 : 0
}

const time = (milliseconds: number | undefined): string => (milliseconds === undefined ? '-' : (milliseconds / 1000).toFixed(1))
