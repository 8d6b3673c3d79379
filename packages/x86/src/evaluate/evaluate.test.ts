import { describe, expect, test } from 'vitest'
import { decode } from '../decode/decode.ts'
import type { CodeWidth, Insn } from '../decode/insn.ts'
import { Exception } from '../facts/index.ts'
import { makeFlags, type FlagsCore } from '../semantics/flags.ts'
import type { Val } from '../semantics/builder.ts'
import { cpuState, type CpuField } from '../state/cpu-state.ts'
import {
  MEMORY,
  MEMORY_SIZE,
  parseVector,
  runVector,
  VECTOR_FLAGS,
  vectorState,
  type VectorOutcome,
  type VectorState,
} from '../semantics/vector.ts'
import { integerVectors } from '../vectors.ts'
import { IntegerArithmetic } from './arithmetic.ts'
import { evaluate } from './evaluate.ts'
import type { EvaluatorMachine, Refusal } from './machine.ts'
import { bitsOf, Value } from './value.ts'

const BASE = MEMORY - 0x8000n
const SIZE = 0x1_0000
const fieldWidth = { u8: 8, u16: 16, u32: 32, u64: 64, v128: 128 } as const

/** 64 KiB of memory round `MEMORY`, and a state in a map; `mmio`, when set, answers accesses elsewhere. */
class TestMachine implements EvaluatorMachine {
  readonly memory = new Uint8Array(SIZE)
  readonly state = new Map<string, bigint>()
  mmio?: { load(linear: bigint, size: number): bigint | Refusal; store(linear: bigint, size: number, value: bigint): void }
  readonly width: CodeWidth

  constructor(from: VectorState) {
    this.width = from.width
    this.memory.set(from.memory, Number(MEMORY - BASE))
    this.set('rip', 0, from.ip)
    from.gpr.forEach((value, n) => this.set('gpr', n, value))
    for (let seg = 0; seg < 6; seg++) {
      this.set('segBase', seg, seg === 1 ? from.codeBase : from.dataBase)
      this.set('segLimit', seg, from.width === 16 ? 0xffffn : 0xffff_ffffn)
      this.set('segAccess', seg, seg === 1 ? 0xc09bn : 0xc093n)
    }
    this.set('cr0', 0, from.width === 16 ? 0x10n : 0x8000_0031n)
    this.set('codeWidth', 0, BigInt(from.width))
    this.set('stackWidth', 0, BigInt(from.width))
    this.set('flagsSystem', 0, 0x202n | (from.flags & 0x400n))
    this.flags().write(new Value(32, from.flags & 0x8d5n))
  }

  get(field: CpuField, index: number): bigint {
    return this.state.get(`${field}.${index}`) ?? 0n
  }

  set(field: CpuField, index: number, value: bigint): void {
    this.state.set(`${field}.${index}`, value)
  }

  load(linear: bigint, size: number, forWrite: boolean): bigint | Refusal {
    const at = this.offset(linear, size)
    if (at === undefined)
      return this.mmio?.load(linear, size) ?? { kind: 'fault', vector: Exception.PF, errorCode: forWrite ? 2 : 0 }
    let value = 0n
    for (let i = size - 1; i >= 0; i--) value = (value << 8n) | BigInt(this.memory[at + i]!)
    return value
  }

  store(linear: bigint, size: number, value: bigint): Refusal | undefined {
    const at = this.offset(linear, size)
    if (at === undefined) {
      if (!this.mmio) return { kind: 'fault', vector: Exception.PF, errorCode: 2 }
      this.mmio.store(linear, size, value)
      return undefined
    }
    for (let i = 0; i < size; i++) this.memory[at + i] = Number((value >> BigInt(8 * i)) & 0xffn)
    return undefined
  }

  flags(): ReturnType<typeof makeFlags> {
    const core = Object.assign(new IntegerArithmetic(), {
      get: (field: CpuField): Val => new Value(fieldWidth[cpuState.fields[field].type], this.get(field, 0)),
      set: (field: CpuField, value: Val): void => this.set(field, 0, bitsOf(value)),
    })
    return makeFlags(core as FlagsCore)
  }

  outcome(): VectorOutcome {
    const at = Number(MEMORY - BASE)
    return {
      kind: 'done',
      ip: this.get('rip', 0),
      gpr: Array.from({ length: 16 }, (_, n) => this.get('gpr', n)),
      flags: (bitsOf(this.flags().read()) | this.get('flagsSystem', 0)) & VECTOR_FLAGS,
      memory: this.memory.slice(at, at + MEMORY_SIZE),
    }
  }

  private offset(linear: bigint, size: number): number | undefined {
    const at = linear - BASE
    return at >= 0n && at + BigInt(size) <= BigInt(SIZE) ? Number(at) : undefined
  }
}

function decoded(code: Uint8Array, width: CodeWidth): Insn {
  const result = decode(code, 0, code.length, width)
  if (!result.ok) throw new Error(`not an instruction: ${result.reason}`)
  expect(result.insn.length).toBe(code.length)
  return result.insn
}

function evaluatorEngine(state: VectorState): VectorOutcome {
  const machine = new TestMachine(state)
  const insn = decoded(state.code, state.width)
  for (;;) {
    const result = evaluate(insn, machine)
    if (result.kind === 'fault') return result
    if (result.kind !== 'done') throw new Error(`${insn.mnemonic}: ${result.kind}`)
    machine.set('rip', 0, result.nextIp)
    if (result.nextIp !== state.ip || insn.rep === 0) return machine.outcome()
  }
}

describe('unit vectors', () => {
  for (const [family, lines] of Object.entries(integerVectors)) {
    test(family, () => {
      const failures = lines.flatMap((line) => {
        const differences = runVector(evaluatorEngine, parseVector(line))
        return differences.length === 0 ? [] : [`${line}\n    ${differences.join('; ')}`]
      })
      expect(failures.join('\n')).toBe('')
    })
  }
})

test('flags survive any change of any of them', () => {
  const machine = new TestMachine(vectorState(64, '90'))
  const bit = { cf: 0x1, pf: 0x4, af: 0x10, zf: 0x40, sf: 0x80, of: 0x800 } as const
  const names = Object.keys(bit) as (keyof typeof bit)[]
  for (let start = 0; start < 64; start++) {
    const image = names.reduce((all, name, i) => (start & (1 << i) ? all | bit[name] : all), 0)
    for (let mask = 0; mask < 64; mask++) {
      for (const value of [0, 1]) {
        machine.flags().write(new Value(32, BigInt(image)))
        const changed = names.filter((_, i) => mask & (1 << i))
        machine.flags().set(Object.fromEntries(changed.map((name) => [name, new Value(1, BigInt(value))])))
        const expected = changed.reduce((all, name) => (value ? all | bit[name] : all & ~bit[name]), image)
        expect(Number(bitsOf(machine.flags().read()))).toBe(expected)
      }
    }
  }
})

test('conditions are what the manual makes of the flags', () => {
  const machine = new TestMachine(vectorState(64, '90'))
  for (let n = 0; n < 64; n++) {
    const flag = (bit: number): boolean => (n & (1 << bit)) !== 0
    const [cf, pf, af, zf, sf, of] = [flag(0), flag(1), flag(2), flag(3), flag(4), flag(5)]
    const image = (cf ? 1 : 0) | (pf ? 4 : 0) | (af ? 0x10 : 0) | (zf ? 0x40 : 0) | (sf ? 0x80 : 0) | (of ? 0x800 : 0)
    machine.flags().write(new Value(32, BigInt(image)))
    const plain = [of, cf, zf, cf || zf, sf, pf, sf !== of, zf || sf !== of]
    for (let cc = 0; cc < 16; cc++) {
      const expected = plain[cc >> 1]! !== ((cc & 1) !== 0)
      expect(bitsOf(machine.flags().condition(cc)), `condition ${cc} of ${image.toString(16)}`).toBe(expected ? 1n : 0n)
    }
  }
})

describe('one instruction at a time', () => {
  const machineFor = (width: CodeWidth, code: string): { machine: TestMachine; insn: Insn } => {
    const state = vectorState(width, code)
    return { machine: new TestMachine(state), insn: decoded(state.code, width) }
  }

  test('a repeated instruction stays where it is until its count is used up', () => {
    const { machine, insn } = machineFor(64, 'f3a4')
    machine.set('gpr', 1, 2n)
    expect(evaluate(insn, machine)).toEqual({ kind: 'done', nextIp: 0x1001_0000n })
    expect(machine.get('gpr', 1)).toBe(1n)
    expect(evaluate(insn, machine)).toEqual({ kind: 'done', nextIp: 0x1001_0002n })
    expect(machine.get('gpr', 1)).toBe(0n)
    expect(evaluate(insn, machine)).toEqual({ kind: 'done', nextIp: 0x1001_0002n })
    expect(machine.get('gpr', 6)).toBe(MEMORY + 2n)
  })

  test('a fault changes nothing', () => {
    const { machine, insn } = machineFor(64, '668f03')
    machine.set('gpr', 3, 0x4000_0000n)
    const before = new Map(machine.state)
    expect(evaluate(insn, machine)).toEqual({ kind: 'fault', vector: Exception.PF, errorCode: 2 })
    expect(machine.state).toEqual(before)
  })

  test('an access that has to wait changes nothing, and is repeated', () => {
    const { machine, insn } = machineFor(64, '480303')
    machine.set('gpr', 3, 0xfee0_0000n)
    let ready = false
    machine.mmio = { load: () => (ready ? 7n : { kind: 'retry' }), store: () => {} }
    const before = new Map(machine.state)
    expect(evaluate(insn, machine)).toEqual({ kind: 'retry' })
    expect(machine.state).toEqual(before)
    ready = true
    expect(evaluate(insn, machine)).toEqual({ kind: 'done', nextIp: 0x1001_0003n })
    expect(machine.get('gpr', 0)).toBe(0x0101_0101_0101_0108n)
  })

  test('a read-modify-write of a device loads once and stores once', () => {
    const { machine, insn } = machineFor(32, '830b10')
    machine.set('gpr', 3, 0xfee0_0000n)
    const log: string[] = []
    machine.mmio = {
      load: (linear, size) => (log.push(`load ${linear.toString(16)} ${size}`), 1n),
      store: (linear, size, value) => log.push(`store ${linear.toString(16)} ${size} ${value}`),
    }
    expect(evaluate(insn, machine).kind).toBe('done')
    expect(log).toEqual(['load fee00000 4', 'store fee00000 4 17'])
  })

  test('segments are checked', () => {
    const read = (prepare: (machine: TestMachine) => void): unknown => {
      const { machine, insn } = machineFor(32, '8b06')
      prepare(machine)
      return evaluate(insn, machine)
    }
    const gp = { kind: 'fault', vector: Exception.GP, errorCode: 0 }
    expect(read((m) => m.set('segLimit', 3, MEMORY + 2n))).toEqual(gp)
    expect(read((m) => m.set('segLimit', 3, MEMORY + 3n))).toMatchObject({ kind: 'done' })
    expect(read((m) => m.set('segAccess', 3, 0x1_0000n))).toEqual(gp)
    expect(read((m) => m.set('segAccess', 3, 0xc099n))).toEqual(gp)
    expect(read((m) => (m.set('segAccess', 3, 0xc097n), m.set('segLimit', 3, MEMORY)))).toEqual(gp)
    expect(read((m) => (m.set('segAccess', 3, 0xc097n), m.set('segLimit', 3, MEMORY - 1n)))).toMatchObject({ kind: 'done' })
  })

  test('64-bit code has bases for FS and GS only', () => {
    const { machine, insn } = machineFor(64, '65488b03')
    machine.set('gpr', 3, 0x10n)
    machine.set('segBase', 5, MEMORY - 0x10n)
    machine.memory.set([1, 2, 3, 4, 5, 6, 7, 8], 0x8000)
    expect(evaluate(insn, machine).kind).toBe('done')
    expect(machine.get('gpr', 0)).toBe(0x0807_0605_0403_0201n)
  })

  test('vector moves reach devices', () => {
    const moves = {
      'movdqu xmm1,[rbx]': ['f30f6f0b', 16],
      'movdqa [rbx],xmm1': ['660f7f0b', 16],
      'movups xmm1,[rbx]': ['0f100b', 16],
      'movaps [rbx],xmm1': ['0f290b', 16],
      'movntdq [rbx],xmm1': ['660fe70b', 16],
      'movntps [rbx],xmm1': ['0f2b0b', 16],
      'movq xmm1,[rbx]': ['f30f7e0b', 8],
      'movq [rbx],xmm1': ['660fd60b', 8],
      'movd xmm1,[rbx]': ['660f6e0b', 4],
      'movd [rbx],xmm1': ['660f7e0b', 4],
    } as const
    for (const [name, [code, size]] of Object.entries(moves)) {
      const { machine, insn } = machineFor(64, code)
      const held = 0x0f0e_0d0c_0b0a_0908_0706_0504_0302_0100n
      const part = BigInt.asUintN(8 * size, held)
      let stored: bigint | undefined
      machine.set('gpr', 3, 0xfee0_0000n)
      machine.mmio = {
        load: (_, bytes) => (expect(bytes, name).toBe(size), part),
        store: (_, bytes, value) => (expect(bytes, name).toBe(size), (stored = value)),
      }
      const store = name.includes('],')
      machine.set('xmm', 1, store ? held : (1n << 128n) - 1n)
      expect(evaluate(insn, machine).kind, name).toBe('done')
      expect(store ? stored : machine.get('xmm', 1), name).toBe(part)
    }
  })

  test('a misaligned MOVDQA is a general-protection fault', () => {
    const { machine, insn } = machineFor(64, '660f6f0b')
    machine.set('gpr', 3, MEMORY + 8n)
    expect(evaluate(insn, machine)).toEqual({ kind: 'fault', vector: Exception.GP, errorCode: 0 })
  })

  test('vector moves ask for the FPU', () => {
    const { machine, insn } = machineFor(64, 'f30f6f0b')
    machine.set('fpuTrap', 0, 2n)
    machine.set('cr0', 0, 0x8000_0039n)
    expect(evaluate(insn, machine)).toEqual({ kind: 'fault', vector: Exception.NM })
  })

  test('what microcode executes is unsupported', () => {
    for (const code of ['0fa2', '0f22c0', 'f4', 'cf']) {
      const { machine, insn } = machineFor(64, code)
      expect(evaluate(insn, machine)).toEqual({ kind: 'unsupported', mnemonic: insn.mnemonic })
    }
  })
})
