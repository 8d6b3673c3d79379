import type { Outcome, TestCase } from './case.ts'
import { compare, kindOf, void_, type Difference } from './compare.ts'
import { settleKnown } from './known.ts'
import { decodeAt } from './decoding.ts'
import type { Example, Pair } from './run.ts'

interface Result {
  readonly test: TestCase
  readonly host: Outcome
  readonly ours: Outcome
  readonly differences: readonly Difference[]
}

/** The first of several cases in which the processors differ. */
function firstDifferent(pair: Pair, image: Uint8Array, candidates: readonly TestCase[]): Result | undefined {
  if (candidates.length === 0) return undefined
  const hosts = pair.host.run(image, candidates)
  for (const [i, test] of candidates.entries()) {
    const ours = pair.ours.run(image, test)
    const host = hosts[i]
    if ((void_(test, host, ours) ?? settleKnown(test, host!, ours)) !== undefined) continue
    const differences = compare(test, host!, ours)
    if (differences.length > 0) return { test, host: host!, ours, differences }
  }
  return undefined
}

/** The instruction with which the difference begins, and the sequence up to it. */
export function blame(pair: Pair, image: Uint8Array, test: TestCase): { mnemonic: string; kind: string; prefix: TestCase } {
  const prefixes = test.instructions.map((_, i) => ({ ...test, instructions: test.instructions.slice(0, i + 1) }))
  const result = firstDifferent(pair, image, prefixes)
  if (result === undefined) throw new Error(`case ${test.index} does not differ again`)
  const insn = decodeAt([...result.test.instructions.at(-1)!], test.mode)
  return { mnemonic: insn === undefined ? 'undefined' : insn.mnemonic, kind: kindOf(result.differences), prefix: result.test }
}

/** Fewer instructions, plainer registers, the usual control words: as long as the processors still differ. */
export function shrink(pair: Pair, image: Uint8Array, test: TestCase): Example {
  let best = firstDifferent(pair, image, [test])
  if (best === undefined) throw new Error(`case ${test.index} does not differ again`)
  for (let round = 0; round < 40; round++) {
    const simpler = firstDifferent(pair, image, reductions(best.test))
    if (simpler === undefined) break
    best = simpler
  }
  return { index: test.index, image, ...best }
}

function* variants(test: TestCase): Generator<TestCase> {
  if (test.instructions.length > 1) {
    for (let i = 0; i < test.instructions.length; i++)
      yield { ...test, instructions: test.instructions.filter((_, at) => at !== i) }
  }
  if (test.patches.length > 0) yield { ...test, patches: [] }
  if (test.rflags !== 0x202) yield { ...test, rflags: 0x202 }
  const zeros = (list: readonly bigint[]): bigint[] => list.map(() => 0n)
  if (test.fp.xmm.some((value) => value !== 0n)) yield { ...test, fp: { ...test.fp, xmm: zeros(test.fp.xmm) } }
  if (test.fp.st.some((value) => value !== 0n)) yield { ...test, fp: { ...test.fp, st: zeros(test.fp.st) } }
  if (test.gpr.some((value, i) => value !== 0n && i !== 4))
    yield { ...test, gpr: test.gpr.map((value, i) => (i === 4 ? value : 0n)) }
  for (const [i, value] of test.gpr.entries()) {
    for (const plain of [0n, 1n]) if (value > plain) yield { ...test, gpr: test.gpr.map((old, at) => (at === i ? plain : old)) }
  }
  const { fp } = test
  const plainer = {
    mxcsr: 0x1f80,
    control: 0x37f,
    status: fp.status & 0x3800,
    valid: 0xff,
    opcode: 0,
    ip: 0n,
    dp: 0n,
  }
  for (const [name, value] of Object.entries(plainer)) {
    if (fp[name as keyof typeof plainer] !== value) yield { ...test, fp: { ...fp, [name]: value } }
  }
  for (const name of ['st', 'xmm'] as const) {
    for (const [i, value] of fp[name].entries())
      if (value !== 0n) yield { ...test, fp: { ...fp, [name]: fp[name].map((old, at) => (at === i ? 0n : old)) } }
  }
  if (test.fsBase !== 0n) yield { ...test, fsBase: 0n }
  if (test.gsBase !== 0n) yield { ...test, gsBase: 0n }
}

const reductions = (test: TestCase): TestCase[] => [...variants(test)]
