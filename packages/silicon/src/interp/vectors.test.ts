import { describe, expect, test } from 'vitest'
import { Exception } from '@guestmode/x86'
import {
  integerVectors,
  MEMORY,
  MEMORY_SIZE,
  parseVector,
  runVector,
  VECTOR_FLAGS,
  type VectorOutcome,
  type VectorState,
} from '@guestmode/x86/vectors'
import type { Cpu } from '../cpu/cpu.ts'
import { GuestFault } from '../cpu/events.ts'
import { createStateView } from '../cpu/state-view.ts'
import { MachineMemory } from '../machine/memory.ts'
import { privateLayout } from '../machine/private-layout.ts'
import { namedMicrocode } from '../microcode/index.ts'
import { Engine } from './engine.ts'

const layout = privateLayout(1024, 1 << 20)
const codeHpa = 0x1_0000
const dataHpa = 0x2_0000
const dataSize = 0x1_0000
const dataLinear = Number(MEMORY) - 0x8000
const codeLinear = 0x1001_0000

/** A processor with nothing but an engine: linear pages of the code and of 64 KiB of data, no microcode. */
function createTestProcessor(): { engine: Engine; cpu: Cpu; raised: GuestFault[] } {
  const mem = new MachineMemory(layout.end, 0x4_0000)
  const state = createStateView(mem, layout.state)
  const raised: GuestFault[] = []
  const cpu = { mem, state, nextRip: 0n, nonRoot: undefined, hasFeature: () => true } as unknown as Cpu
  const walker = {
    writable: true,
    userOk: true,
    leaf: 1,
    walk: (_high: number, low: number): number => {
      if (low >= dataLinear && low < dataLinear + dataSize) return dataHpa + low - dataLinear
      return low >= codeLinear && low < codeLinear + 0x1000 ? codeHpa + low - codeLinear : -1
    },
  }
  const engine = new Engine({
    cpu,
    layout,
    walker,
    trapOf: () => new GuestFault(Exception.PF, 0),
    microcode: () => undefined,
    routines: new Map(Object.entries(namedMicrocode)) as never,
    fpuTrap: () => new GuestFault(Exception.NM),
    raise: (fault) => {
      raised.push(fault)
      state.activity = 2
    },
  })
  return { engine, cpu, raised }
}

const { engine, cpu, raised } = createTestProcessor()

function readFlags(): bigint {
  const { flagResult, flagAux, flagsSystem } = cpu.state
  const carry = flagAux >>> 31
  const parity = (value: number): boolean => value.toString(2).replaceAll('0', '').length % 2 === 0
  const sign = Number(flagResult >> 63n) ^ (flagAux & 1)
  const flags =
    carry |
    (parity((Number(flagResult & 0xffn) ^ (flagAux >>> 8)) & 0xff) ? 4 : 0) |
    ((flagAux & 8) << 1) |
    (flagResult === 0n ? 0x40 : 0) |
    (sign << 7) |
    ((carry ^ ((flagAux >>> 30) & 1)) << 11)
  return BigInt(flags | flagsSystem) & VECTOR_FLAGS
}

function writeFlags(image: number): void {
  const carry = image & 1
  const overflow = (image >> 11) & 1
  const zero = (image & 0x40) !== 0
  cpu.state.flagResult = zero ? 0n : 0x100n
  cpu.state.flagAux =
    ((carry << 31) |
      ((carry ^ overflow) << 30) |
      ((image & 0x10) >> 1) |
      ((image & 0x80) >> 7) |
      ((image & 4) !== 0 ? 0 : 0x100)) >>>
    0
}

/** Blocks: the instruction is followed by a jump to itself, so that a chain that has executed it stays behind it. */
const wasmEngine =
  (stepped: boolean) =>
  (vector: VectorState): VectorOutcome => {
    const { mem, state } = cpu
    Object.assign(cpu, { nonRoot: { singleStep: stepped, watching: false } })
    const wide = vector.width === 64
    state.efer = wide ? 0x500n : 0n
    state.cr0 = vector.width === 16 ? 0x10n : 0x8000_0031n
    for (let seg = 0; seg < 6; seg++) {
      state.segBase.set(seg, seg === 1 ? vector.codeBase : vector.dataBase)
      state.segLimit.set(seg, vector.width === 16 ? 0xffff : 0xffff_ffff)
      const size = vector.width === 16 ? 0 : 0x4000
      state.segAccess.set(seg, seg === 1 ? (wide ? 0xa09b : 0x809b | size) : 0x8093 | size)
    }
    vector.gpr.forEach((value, i) => state.gpr.set(i, value))
    state.flagsSystem = 0x202 | Number(vector.flags & 0x400n)
    writeFlags(Number(vector.flags))
    state.rip = vector.ip
    state.activity = 0
    raised.length = 0
    mem.u8.fill(0, mem.physBase + dataHpa, mem.physBase + dataHpa + dataSize)
    const memoryAt = mem.physBase + dataHpa + 0x8000
    mem.u8.set(vector.memory, memoryAt)
    const codeAt = codeHpa + (Number(vector.ip + vector.codeBase) - codeLinear)
    mem.u8.fill(0x90, mem.physBase + codeHpa, mem.physBase + codeHpa + 0x1000)
    mem.u8.set(vector.code, mem.physBase + codeAt)
    mem.u8.set([0xeb, 0xfe], mem.physBase + codeAt + vector.code.length)
    engine.written(codeHpa, 0x1000)
    engine.modeChanged()
    engine.flushTlb()
    // A repeated instruction stops between iterations when its budget runs out.
    for (let i = 0; i < 64 && state.activity === 0 && (i === 0 || state.rip === vector.ip); i++) engine.run(1)
    const fault = raised[0]
    if (fault) return { kind: 'fault', vector: fault.vector, errorCode: fault.errorCode }
    return {
      kind: 'done',
      ip: state.rip,
      gpr: Array.from({ length: 16 }, (_, i) => state.gpr.get(i)),
      flags: readFlags(),
      memory: mem.u8.slice(memoryAt, memoryAt + MEMORY_SIZE),
    }
  }

describe.each([
  ['one at a time', true],
  ['in blocks', false],
])('unit vectors on generated handlers, %s', (_, stepped) => {
  for (const [family, lines] of Object.entries(integerVectors)) {
    test(family, () => {
      const failures = lines.flatMap((line) => {
        const vector = parseVector(line)
        // What lies at a branch's target would run too.
        if (
          !stepped &&
          vector.expected.kind === 'done' &&
          vector.expected.ip !== vector.input.ip + BigInt(vector.input.code.length)
        )
          return []
        const differences = runVector(wasmEngine(stepped), vector)
        return differences.length === 0 ? [] : [`${line}\n    ${differences.join('; ')}`]
      })
      expect(failures.join('\n')).toBe('')
    })
  }
})
