import { getGuest } from '@guestmode/guests'
import { threadCpu } from '../report/cpu-time.ts'
import { environment, parseOptions, positiveInteger, writeJson } from '../report/options.ts'
import { formatTable } from '../report/table.ts'
import { executors, shapesOf, type Executor } from './executors.ts'
import { loops } from './loops.ts'
import { measureTranslation, readElfCode } from './translate.ts'

const help = `bench spike: one source of semantics, measured

Runs four loops of twenty instructions by handlers generated from the semantics and by handlers written by hand, chained by tail
calls and as cases of one loop, and by a first sketch of the compiler; then compiles a program whole. All by turns in one run, CPU
time of the thread, best of the rounds.

  --rounds N      rounds round each guest loop (default 4000000)
  --turns N       turns (default 5)
  --program FILE  32-bit ELF program to translate (default: busybox of the guest 686)
  --json FILE     writes the figures
  --help`

const ratioOf = 'by hand, one loop'

export async function spike(args: readonly string[]): Promise<number> {
  const options = parseOptions(args, help, { rounds: { type: 'string' }, turns: { type: 'string' }, program: { type: 'string' } })
  if (!options) return 0
  const rounds = positiveInteger(options['rounds'] ?? '4000000', 'rounds')
  const turns = positiveInteger(options['turns'] ?? '5', 'turns')
  const mips: Record<string, Record<string, number>> = {}
  for (const loop of loops) {
    const shapes = shapesOf(loop)
    const made = Object.entries(executors).map(([name, make]): [string, Executor] => [name, make(loop, rounds, shapes)])
    const best: Record<string, number> = {}
    const results = new Set<string>()
    for (let turn = 0; turn <= turns; turn++) {
      for (const [name, executor] of made) {
        const start = threadCpu()
        const count = executor.run()
        const speed = count / (threadCpu() - start) / 1000
        // The first turn warms the engine up, and runs on fresh memory: all must come to the same.
        if (turn === 0) results.add(executor.result())
        else best[name] = Math.max(best[name] ?? 0, speed)
      }
    }
    if (results.size !== 1) throw new Error(`loop ${loop.name}: the executors differ:\n${[...results].join('\n')}`)
    mips[loop.name] = best
  }
  const rows = Object.keys(executors).map((name) => [
    name,
    ...loops.map((loop) => mips[loop.name]![name]!.toFixed(0)),
    ...loops.map((loop) => (mips[loop.name]![ratioOf]! / mips[loop.name]![name]!).toFixed(2)),
  ])
  const heads = loops.map(({ name }) => name)
  console.log(`Node ${process.version}: MIPS; times slower than '${ratioOf}'`)
  console.log(formatTable([['', ...heads, ...heads], ...rows]))
  const program = typeof options['program'] === 'string' ? options['program'] : (await getGuest('686'))['busybox']!
  const translation = measureTranslation(readElfCode(program))
  console.log(
    `\nTranslation: ${translation.instructions} guest instructions (${translation.left} left to the interpreter) to ${translation.modules} modules of ${(translation.bytes / translation.modules / 1024).toFixed(0)} KiB:` +
      ` ${(translation.perSecond / 1e6).toFixed(2)} M/s; compiled and instantiated too: ${(translation.perSecondInstantiated / 1e6).toFixed(2)} M/s`,
  )
  writeJson(options['json'], { environment: environment(), mips, translation })
  return 0
}
