import type { Feature } from '@guestmode/x86'
import type { Mode, Outcome, TestCase } from './case.ts'
import { compare, void_, type Difference } from './compare.ts'
import { CASES_PER_IMAGE, createGenerator, type Generator } from './generate.ts'
import { settleKnown } from './known.ts'
import { openHost, type Host } from './host.ts'
import { announced, openOurs, type Ours } from './ours.ts'
import type { Group } from './rows.ts'
import { blame, shrink } from './shrink.ts'

export interface RunOptions {
  readonly seed: number
  readonly count: number
  readonly group: Group | 'all'
  readonly first?: number
  readonly modes?: readonly Mode[] | undefined
  readonly mnemonics?: readonly string[] | undefined
  /** Differences of one mnemonic that are shrunk and shown. */
  readonly shown?: number
  /** Stops beginning new batches after these milliseconds. */
  readonly milliseconds?: number | undefined
  readonly progress?: (done: number) => void
}

export interface Finding {
  readonly mnemonic: string
  readonly kind: string
  readonly count: number
  readonly examples: readonly Example[]
}

export interface Example {
  readonly index: number
  readonly test: TestCase
  readonly host: Outcome
  readonly ours: Outcome
  readonly image: Uint8Array
  readonly differences: readonly Difference[]
}

export interface Report {
  readonly cases: number
  readonly voided: ReadonlyMap<string, number>
  readonly different: number
  readonly findings: readonly Finding[]
  readonly hostSeconds: number
  readonly oursSeconds: number
}

/** Finding out which instruction began it takes a run of the host for each case. */
const MAX_EXPLAINED = 400

/** Both processors, ready to run cases. */
export interface Pair {
  readonly host: Host
  readonly ours: Ours
  readonly features: ReadonlySet<Feature>
  readonly hasLow: boolean
  readonly modes: readonly Mode[]
}

/** Or why there is no pair. */
export function openPair(): Pair | string {
  const host = openHost()
  if (typeof host === 'string') return host
  const features = announced(host.hello)
  return {
    host,
    ours: openOurs(host.hello, features),
    features,
    hasLow: (host.hello.mapped & 0b100000) !== 0,
    modes: host.hello.ldt ? [64, 32, 16] : [64, 32],
  }
}

export function runDifftest(pair: Pair, options: RunOptions): Report {
  const generator = createGenerator({
    seed: options.seed,
    group: options.group,
    features: pair.features,
    modes: pair.modes.filter((mode) => options.modes?.includes(mode) ?? true),
    mnemonics: options.mnemonics === undefined ? undefined : new Set(options.mnemonics),
    hasLow: pair.hasLow,
  })
  const voided = new Map<string, number>()
  const failing: TestCase[] = []
  let hostSeconds = 0
  let oursSeconds = 0
  let done = 0
  const started = performance.now()
  const first = options.first ?? 0
  for (let index = first; index < first + options.count;) {
    if (options.milliseconds !== undefined && performance.now() - started > options.milliseconds) break
    const image = Math.floor(index / CASES_PER_IMAGE)
    const end = Math.min(first + options.count, (image + 1) * CASES_PER_IMAGE)
    const cases: TestCase[] = []
    for (; index < end; index++) cases.push(generator.make(index))
    const memory = generator.image(image)
    const t0 = performance.now()
    const hosts = pair.host.run(memory, cases)
    const t1 = performance.now()
    cases.forEach((test, i) => {
      const ours = pair.ours.run(memory, test)
      const reason = void_(test, hosts[i], ours) ?? settleKnown(test, hosts[i]!, ours)
      if (reason !== undefined) voided.set(reason, (voided.get(reason) ?? 0) + 1)
      else if (compare(test, hosts[i]!, ours).length > 0) failing.push(test)
    })
    hostSeconds += (t1 - t0) / 1000
    oursSeconds += (performance.now() - t1) / 1000
    done += cases.length
    options.progress?.(done)
  }
  return {
    cases: done,
    voided,
    different: failing.length,
    findings: explain(pair, generator, failing, options.shown ?? 1),
    hostSeconds,
    oursSeconds,
  }
}

function explain(pair: Pair, generator: Generator, failing: readonly TestCase[], shown: number): Finding[] {
  const found = new Map<string, { mnemonic: string; kind: string; tests: TestCase[] }>()
  for (const test of failing.slice(0, MAX_EXPLAINED)) {
    const { mnemonic, kind, prefix } = blame(pair, generator.image(test.image), test)
    const entry = found.get(`${mnemonic} ${kind}`) ?? { mnemonic, kind, tests: [] }
    found.set(`${mnemonic} ${kind}`, entry)
    entry.tests.push(prefix)
  }
  return [...found.values()]
    .map(({ mnemonic, kind, tests }) => ({
      mnemonic,
      kind,
      count: tests.length,
      examples: tests.slice(0, shown).map((test) => shrink(pair, generator.image(test.image), test)),
    }))
    .sort((a, b) => b.count - a.count)
}
