import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { enginesOf } from './boot.ts'
import { runGuest } from './engines/engine.ts'
import { hotLoopKernel, hotLoops } from './hot-loops.ts'
import { environment, parseOptions, positiveInteger, writeJson } from './report/options.ts'
import { formatTable } from './report/table.ts'

const help = `bench hotloops: loops of ten instructions or so, 32-bit code without paging, by turns in one run

  --rounds N         rounds of each loop (default 20000000)
  --engines LIST     of guestmode, v86 (JIT off), v86-jit (default: all)
  --runs N           turns (default 2)
  --timeout SECONDS  of one run (default 300)
  --guestmode CMD    the command instead of the built CLI
  --json FILE        writes the figures
  --help

MIPS, by the CPU time of the emulator's busiest thread between two markers on the serial console; best of the turns.`

export async function hotloops(args: readonly string[]): Promise<number> {
  const string = { type: 'string' } as const
  const options = parseOptions(args, help, { rounds: string, engines: string, runs: string, timeout: string, guestmode: string })
  if (!options) return 0
  const rounds = positiveInteger(options['rounds'] ?? '20000000', 'rounds')
  const runs = positiveInteger(options['runs'] ?? '2', 'runs')
  const seconds = positiveInteger(options['timeout'] ?? '300', 'timeout')
  const list = (options['engines'] as string | undefined) ?? 'guestmode,v86,v86-jit'
  const engines = enginesOf(list, options['guestmode'] as string | undefined)
  const folder = mkdtempSync(join(tmpdir(), 'guestmode-bench-'))
  const mips: Record<string, Record<string, number>> = {}
  let failed = false
  try {
    const kernel = join(folder, 'hotloops')
    writeFileSync(kernel, hotLoopKernel(rounds))
    for (let turn = 0; turn < runs; turn++) {
      for (const engine of engines) {
        const run = await runGuest(engine, { multiboot: kernel, memory: 64 }, /@@ DONE/, seconds)
        const best = (mips[engine.name] ??= {})
        for (const { name, instructions } of hotLoops) {
          const start = run.marks.find(({ line }) => line.startsWith(`@@ START ${name}`))
          const end = run.marks.find(({ line }) => line.startsWith(`@@ END ${name}`))
          if (!start || !end) {
            failed = true
            process.stderr.write(`${engine.name}: loop ${name} is missing (status ${run.status}):\n${run.tail}\n`)
            break
          }
          const spent = end.cpu === undefined || start.cpu === undefined ? end.wall - start.wall : end.cpu - start.cpu
          best[name] = Math.max(best[name] ?? 0, (instructions * rounds) / spent / 1000)
        }
      }
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  const rows = engines.map(({ name }) => [name, ...hotLoops.map((loop) => mips[name]?.[loop.name]?.toFixed(0) ?? '-')])
  console.log(`MIPS, Node ${process.version}`)
  console.log(formatTable([['', ...hotLoops.map(({ name }) => name)], ...rows]))
  writeJson(options['json'], { environment: environment(), rounds, mips })
  return failed ? 1 : 0
}
