import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { getGuest } from '@guestmode/guests'
import { benchGuest, enginesOf } from './boot.ts'
import { runGuest } from './engines/engine.ts'
import { environment, parseOptions, positiveInteger, writeJson } from './report/options.ts'
import { formatTable } from './report/table.ts'

const help = `bench checksums: the guest benchmark must compute in a guest what it computes natively

  --guests LIST      kernels (default: 686-pae,cloud-amd64)
  --cases LIST       cases of the benchmark, or all (default)
  --engines LIST     of guestmode, v86, v86-jit (default: guestmode)
  --memory MIB       default 256
  --timeout SECONDS  of one guest (default 1800)
  --guestmode CMD    the command instead of the built CLI
  --json FILE        writes the figures
  --help

Times are the host's, from START to END of each case; CPU time is that of the emulator's busiest thread. The status is 1 when a checksum
differs or a case is missing.`

interface Case {
  readonly chk: string
  readonly wall: number
  readonly cpu: number | undefined
}

const endLine = /@@ END (\S+) .*?chk=([0-9a-f]+)/

const applets = ['sh', 'md5sum', 'gzip', 'find', 'cut', 'wc', 'rm', 'cat', 'tr']

/** Runs the guest's own script on this host, with the guest's shell. */
function native(program: string, busybox: string, cases: string): Map<string, Case> {
  const script = fileURLToPath(new URL('../guest/bench.sh', import.meta.url))
  const bin = mkdtempSync(join(tmpdir(), 'guestmode-bench-'))
  let stdout: string
  let status: number | null
  try {
    symlinkSync(program, join(bin, 'vmbench'))
    for (const applet of applets) symlinkSync(busybox, join(bin, applet))
    const options = { encoding: 'latin1', maxBuffer: 1 << 24, env: { PATH: bin, SEL: cases } } as const
    const run = spawnSync(join(bin, 'sh'), ['-c', `. ${script}`], options)
    if (run.error) throw run.error
    ;({ stdout, status } = run)
  } finally {
    rmSync(bin, { recursive: true, force: true })
  }
  const found = new Map<string, Case>()
  for (const line of stdout.split('\n')) {
    const [, name, chk] = endLine.exec(line) ?? []
    const ms = /guest_ms=([\d.]+)/.exec(line)?.[1]
    if (name && chk) found.set(name, { chk, wall: Number(ms), cpu: Number(/cpu_ms=([\d.]+)/.exec(line)?.[1] ?? ms) })
  }
  if (found.size === 0) throw new Error(`${program} gave no results (status ${status})`)
  return found
}

export async function checksums(args: readonly string[]): Promise<number> {
  const string = { type: 'string' } as const
  const options = parseOptions(args, help, {
    guests: string,
    cases: string,
    engines: string,
    memory: string,
    timeout: string,
    guestmode: string,
  })
  if (!options) return 0
  const cases = (options['cases'] as string | undefined) ?? 'all'
  const seconds = positiveInteger(options['timeout'] ?? '1800', 'timeout')
  const memory = positiveInteger(options['memory'] ?? '256', 'memory')
  const engines = enginesOf((options['engines'] as string | undefined) ?? 'guestmode', options['guestmode'] as string | undefined)
  const all: unknown[] = []
  let wrong = 0
  for (const name of ((options['guests'] as string | undefined) ?? '686-pae,cloud-amd64').split(',')) {
    const guest = await benchGuest(name, memory, cases)
    const { vmbench } = await getGuest(`bench-${name.includes('amd64') ? 'amd64' : 'i386'}`)
    const { busybox } = await getGuest(name)
    const expected = native(vmbench!, busybox!, cases)
    for (const engine of engines) {
      const run = await runGuest(engine, guest, /@@ DONE/, seconds)
      const rows: string[][] = []
      const found = new Map<string, Case>()
      for (const mark of run.marks) {
        const [, each, chk] = endLine.exec(mark.line) ?? []
        if (!each || !chk) continue
        const start = run.marks.find(({ line }) => line.startsWith(`@@ START ${each}`))
        if (!start) continue
        const cpu = mark.cpu === undefined || start.cpu === undefined ? undefined : mark.cpu - start.cpu
        found.set(each, { chk, wall: mark.wall - start.wall, cpu })
      }
      for (const [each, { chk, cpu }] of expected) {
        const got = found.get(each)
        const verdict = !got ? 'missing' : got.chk === chk ? 'equal' : `differs: ${got.chk}, not ${chk}`
        if (verdict !== 'equal') wrong++
        rows.push([each, verdict, cpu?.toFixed(1) ?? '-', got?.wall.toFixed(0) ?? '-', got?.cpu?.toFixed(0) ?? '-'])
      }
      console.log(`\n${name} on ${engine.name}, Node ${process.version}`)
      console.log(formatTable([['case', 'checksum', 'native ms', 'wall ms', 'CPU ms'], ...rows]))
      if (!run.marks.some(({ line }) => line.startsWith('@@ DONE'))) {
        wrong++
        console.log(`The guest did not come to its end (status ${run.status}):\n${run.tail}`)
      }
      all.push({ guest: name, engine: engine.name, expected: Object.fromEntries(expected), found: Object.fromEntries(found) })
    }
  }
  writeJson(options['json'], { environment: environment(), results: all })
  console.log(wrong === 0 ? '\nAll checksums are equal.' : `\n${wrong} cases differ or are missing.`)
  return wrong === 0 ? 0 : 1
}
