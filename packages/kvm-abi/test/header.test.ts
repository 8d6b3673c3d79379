import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import * as abi from '../src/index.ts'
import type { AnyType, ArrayType, Fields, Flexible, Struct } from '../src/index.ts'

/**
 * Holds every constant, size and offset against the system's <linux/kvm.h>: a C program is written from our declarations,
 * compiled and run, and what it prints must be what we have.
 */

const hasCompiler = process.platform === 'linux' && process.arch === 'x64' && spawnSync('gcc', ['--version']).status === 0
const hasHeader =
  hasCompiler && spawnSync('gcc', ['-fsyntax-only', '-x', 'c', '-'], { input: '#include <linux/kvm.h>\n' }).status === 0

interface Probe {
  /** C expression of an integer type. */
  c: string
  /** What we have. */
  ours: bigint
}

const isArray = (type: AnyType): type is ArrayType<unknown, unknown, unknown> => 'element' in type
const isFlexible = (value: unknown): value is Flexible<Fields, unknown, unknown> =>
  typeof value === 'object' && value !== null && 'elementsOffset' in value
const isLayout = (value: unknown): value is Struct<Fields> =>
  typeof value === 'object' && value !== null && 'fields' in value && 'cName' in value

const snakeCase = (name: string) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)

function* fieldProbes(root: string, prefix: string, layout: Struct<Fields>, base: number): Generator<Probe> {
  for (const [name, { type, offset, cPath }] of Object.entries(layout.fields)) {
    const path = prefix + (cPath ?? snakeCase(name))
    const at = base + offset
    yield { c: `offsetof(struct ${root}, ${path})`, ours: BigInt(at) }
    yield { c: `sizeof(((struct ${root} *)0)->${path})`, ours: BigInt(type.size) }
    if (abi.isStruct(type)) yield* fieldProbes(root, `${path}.`, type, at)
    else if (isArray(type) && abi.isStruct(type.element)) {
      const element = type.element
      yield { c: `sizeof(((struct ${root} *)0)->${path}[0])`, ours: BigInt(element.size) }
      yield* fieldProbes(root, `${path}[0].`, element, at)
    }
  }
}

function* layoutProbes(layout: Struct<Fields>): Generator<Probe> {
  yield { c: `sizeof(struct ${layout.cName})`, ours: BigInt(layout.size) }
  yield* fieldProbes(layout.cName, '', layout, 0)
}

function constants(): Probe[] {
  return Object.entries(abi)
    .filter(([name, value]) => (typeof value === 'number' || typeof value === 'bigint') && /^(KVM|E[A-Z0-9]+$)/.test(name))
    .map(([name, value]) => ({ c: name, ours: BigInt(value as number | bigint) }))
}

const layouts = Object.values(abi as Record<string, unknown>).filter(
  (value): value is Struct<Fields> => isLayout(value) && value.cName !== '',
)
const flexibles = Object.values(abi as Record<string, unknown>).filter(isFlexible)

function structProbes(): Probe[] {
  const flexibleProbes = flexibles.flatMap((flex) => [
    ...layoutProbes(flex.header),
    { c: `offsetof(struct ${flex.cName}, ${flex.elementsName})`, ours: BigInt(flex.elementsOffset) },
    { c: `sizeof(((struct ${flex.cName} *)0)->${flex.elementsName}[0])`, ours: BigInt(flex.element.size) },
  ])
  return [...layouts.flatMap((layout) => [...layoutProbes(layout)]), ...flexibleProbes]
}

function compileAndRun(probes: readonly Probe[]): bigint[] {
  const folder = mkdtempSync(join(tmpdir(), 'kvm-abi-'))
  try {
    const lines = probes.map(({ c }) => `  printf("%lld\\n", (long long)(${c}));`)
    const source = [
      '#include <errno.h>',
      '#include <stddef.h>',
      '#include <stdio.h>',
      '#include <linux/kvm.h>',
      'int main(void) {',
      ...lines,
      '  return 0;',
      '}',
    ]
    writeFileSync(join(folder, 'probe.c'), source.join('\n') + '\n')
    execFileSync('gcc', ['-O0', '-o', join(folder, 'probe'), join(folder, 'probe.c')], {
      stdio: ['ignore', 'inherit', 'inherit'],
    })
    return execFileSync(join(folder, 'probe'), { encoding: 'utf8' }).trim().split('\n').map(BigInt)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function expectEqual(probes: readonly Probe[]): void {
  const theirs = compileAndRun(probes)
  expect(theirs.length).toBe(probes.length)
  const differences = probes.flatMap(({ c, ours }, i) => (theirs[i] === ours ? [] : [`${c} is ${theirs[i]}, not ${ours}`]))
  expect(differences).toEqual([])
}

describe.skipIf(!hasHeader)('against <linux/kvm.h> (needs gcc and the header, on x86-64 Linux)', () => {
  test('request numbers, exit reasons, capabilities, flags and errno values', () => {
    const probes = constants()
    expect(probes.length).toBeGreaterThan(300)
    expectEqual(probes)
  })

  test('struct sizes, field offsets and field sizes', () => {
    const probes = structProbes()
    expect(probes.length).toBeGreaterThan(500)
    expectEqual(probes)
  })
})

describe('without a header', () => {
  test('fields lie inside their struct, at multiples of their scalar size', () => {
    const scalars = new Set<unknown>([abi.u8, abi.u16, abi.s16, abi.u32, abi.s32, abi.u64, abi.s64])
    for (const layout of layouts) {
      for (const [name, { type, offset }] of Object.entries(layout.fields)) {
        expect(offset + type.size, `${layout.cName}.${name}`).toBeLessThanOrEqual(layout.size)
        if (scalars.has(type)) expect(offset % type.size, `${layout.cName}.${name}`).toBe(0)
      }
    }
  })

  test('request numbers that are published', () => {
    expect(abi.KVM_GET_API_VERSION).toBe(0xae00)
    expect(abi.KVM_GET_SUPPORTED_CPUID).toBe(0xc008ae05)
    expect(abi.KVM_SET_USER_MEMORY_REGION).toBe(0x4020ae46)
    expect(abi.KVM_GET_IRQCHIP).toBe(0xc208ae62)
    expect(abi.KVM_SET_IRQCHIP).toBe(0x8208ae63)
    expect(abi.KVM_RUN).toBe(0xae80)
    expect(abi.KVM_GET_SREGS).toBe(0x8138ae83)
    expect(abi.KVM_SET_SIGNAL_MASK).toBe(0x4004ae8b)
    expect(abi.KVM_SET_VCPU_EVENTS).toBe(0x4040aea0)
  })
})
