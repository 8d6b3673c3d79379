import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Outcome, TestCase } from './case.ts'
import { code, endOf, regions } from './layout.ts'
import { decodeBatch, encodeBatch, type Hello } from './wire.ts'

/** Runs cases on the processor of the host. */
export interface Host {
  readonly hello: Hello
  /** All of one memory image. Undefined: the runner did not survive the case. */
  run(image: Uint8Array, cases: readonly TestCase[]): (Outcome | undefined)[]
  close(): void
}

const source = fileURLToPath(new URL('../native/runner.c', import.meta.url))
/** The runner stays above all addresses that 32-bit code reaches, and away from those that 64-bit code is likely to make up. */
const flags = [
  ...['-O2', '-ffreestanding', '-fno-stack-protector', '-fno-pie', '-no-pie', '-mgeneral-regs-only', '-mfsgsbase', '-mfxsr'],
  ...['-mcmodel=large', '-static', '-nostdlib', '-Wl,-Ttext-segment=0x300000000000', '-Wl,--build-id=none'],
]

/** Why this host can't take part, or the host. */
export function openHost(): Host | string {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    return `needs Linux on x86-64, not ${process.platform} on ${process.arch}`
  const folder = mkdtempSync(join(tmpdir(), 'difftest-'))
  const close = (): void => rmSync(folder, { recursive: true, force: true })
  const runner = join(folder, 'runner')
  const compiled = spawnSync('gcc', [...flags, '-o', runner, source], { encoding: 'utf8' })
  if (compiled.status !== 0) {
    close()
    return compiled.error ? 'needs gcc' : `gcc does not compile the runner: ${compiled.stderr}`
  }
  const start = (image: Uint8Array, cases: readonly TestCase[]): ReturnType<typeof decodeBatch> => {
    const result = spawnSync(runner, { input: encodeBatch(image, cases), maxBuffer: 1 << 30 })
    return decodeBatch(result.stdout)
  }
  const image = new Uint8Array(Number(regions.slice(1).reduce((sum, each) => sum + endOf(each) - each.address, 0n)))
  const { hello } = start(image, [])
  if (hello === undefined || (hello.mapped & 0b11111) !== 0b11111) {
    close()
    return `the runner can't map its pages (code at ${code.address.toString(16)}h)`
  }
  return {
    hello,
    close,
    run(memory, cases) {
      const all: (Outcome | undefined)[] = []
      while (all.length < cases.length) {
        const { outcomes } = start(memory, cases.slice(all.length))
        all.push(...outcomes)
        if (all.length < cases.length) all.push(undefined)
      }
      return all
    },
  }
}
