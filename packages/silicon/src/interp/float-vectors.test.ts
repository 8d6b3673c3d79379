import { describe, expect, test } from 'vitest'
import { Exception, fpuMicrocode, type FpuMachine } from '@guestmode/x86'
import {
  FLOAT_FLAGS,
  FLOAT_MEMORY,
  FLOAT_MEMORY_SIZE,
  runFloatVector,
  sseVectors,
  x87Vectors,
  type FloatOutcome,
  type FloatVector,
} from '@guestmode/x86/vectors'
import type { Cpu } from '../cpu/cpu.ts'
import { GuestFault } from '../cpu/events.ts'
import { createStateView } from '../cpu/state-view.ts'
import { MachineMemory } from '../machine/memory.ts'
import { privateLayout } from '../machine/private-layout.ts'
import { Engine } from './engine.ts'

const layout = privateLayout(1024, 4 << 20)
const codeHpa = 0x1_0000
const dataHpa = 0x2_0000
const codeLinear = 0x2000_0000
const pageSize = 4096
/** JMP to the next instruction: ends the block, so that a budget of one instruction runs no further. */
const endOfBlock = [0xe9, 0, 0, 0, 0]

const mem = new MachineMemory(layout.end, 0x4_0000)
const state = createStateView(mem, layout.state)
const raised: GuestFault[] = []
const cpu = { mem, state, nextRip: 0n, nonRoot: undefined, hasFeature: () => true } as unknown as Cpu

const at = (address: bigint): number => mem.physBase + dataHpa + Number(address) - FLOAT_MEMORY
const machine: FpuMachine = {
  state,
  instruction: { operandSize: 32, codeWidth: 64, ip: 0n, opcode: 0 },
  load(address, size) {
    let value = 0n
    for (let i = size - 1; i >= 0; i--) value = (value << 8n) | BigInt(mem.u8[at(address) + i]!)
    return value
  },
  store(address, size, value) {
    for (let i = 0; i < size; i++) mem.u8[at(address) + i] = Number((value >> BigInt(8 * i)) & 0xffn)
  },
  probe: () => {},
  linear: (address) => address,
  fault(vector, errorCode) {
    throw new GuestFault(vector, errorCode)
  },
}

const engine = new Engine({
  cpu,
  layout,
  walker: {
    writable: true,
    userOk: true,
    leaf: 1,
    walk: (_high: number, low: number): number => {
      if (low >= FLOAT_MEMORY && low < FLOAT_MEMORY + pageSize) return dataHpa + low - FLOAT_MEMORY
      return low >= codeLinear && low < codeLinear + pageSize ? codeHpa + low - codeLinear : -1
    },
  },
  trapOf: () => new GuestFault(Exception.PF, 0),
  microcode: () => undefined,
  routines: new Map(
    ['popf', 'pushf', 'enter', 'pop', 'mov', 'div128', 'idiv128']
      .map((name): [string, (cpu: Cpu, args: bigint[]) => readonly bigint[]] => [name, () => []])
      .concat(Object.entries(fpuMicrocode).map(([name, routine]) => [name, (_, args) => routine(machine, args) ?? []])),
  ),
  fpuTrap: () => new GuestFault(Exception.MF),
  raise: (fault) => {
    raised.push(fault)
    state.activity = 2
  },
})

state.efer = 0x500n
state.cr0 = 0x8000_0031n
state.cr4 = 0x600n
for (let seg = 0; seg < 6; seg++) {
  state.segBase.set(seg, 0n)
  state.segLimit.set(seg, 0xffff_ffff)
  state.segAccess.set(seg, seg === 1 ? 0xa09b : 0xc093)
}
engine.modeChanged()
engine.flushTlb()

function readFlags(): bigint {
  const { flagResult, flagAux } = state
  const carry = flagAux >>> 31
  const ones = ((Number(flagResult & 0xffn) ^ (flagAux >>> 8)) & 0xff).toString(2).replaceAll('0', '').length
  const sign = Number(flagResult >> 63n) ^ (flagAux & 1)
  const overflow = carry ^ ((flagAux >>> 30) & 1)
  const parity = ones % 2 === 0 ? 4 : 0
  return (
    BigInt(carry | parity | ((flagAux & 8) << 1) | (flagResult === 0n ? 0x40 : 0) | (sign << 7) | (overflow << 11)) & FLOAT_FLAGS
  )
}

function writeFlags(image: number): void {
  const carry = image & 1
  const overflow = (image >> 11) & 1
  state.flagResult = image & 0x40 ? 0n : 0x100n
  const sign = (image & 0x80) >> 7
  state.flagAux = ((carry << 31) | ((carry ^ overflow) << 30) | ((image & 0x10) >> 1) | sign | (image & 4 ? 0 : 0x100)) >>> 0
}

function wasmEngine({ code, input }: FloatVector): FloatOutcome {
  state.fpControl = input.control
  state.fpTop = (input.status >> 11) & 7
  state.fpStatus = input.status & 0xc7ff
  state.fpEmpty = ~input.valid & 0xff
  state.mxcsr = input.mxcsr
  input.st.forEach(({ mant, word }, i) => {
    state.fpMant.set((state.fpTop + i) & 7, mant)
    state.fpExp.set((state.fpTop + i) & 7, word)
  })
  input.xmm.forEach((value, i) => state.xmm.set(i, value))
  input.gpr.forEach((value, i) => state.gpr.set(i, value))
  state.gpr.set(7, BigInt(FLOAT_MEMORY))
  writeFlags(Number(input.flags))
  state.flagsSystem = 0x202
  state.rip = BigInt(codeLinear)
  state.activity = 0
  raised.length = 0
  mem.u8.set(input.memory, mem.physBase + dataHpa)
  mem.u8.set([...code, ...endOfBlock], mem.physBase + codeHpa)
  engine.written(codeHpa, code.length + endOfBlock.length)
  engine.run(1)
  const relative = (i: number): number => (state.fpTop + i) & 7
  return {
    fault: raised[0]?.vector,
    state: {
      control: state.fpControl,
      status: state.fpStatus | (state.fpTop << 11),
      valid: ~state.fpEmpty & 0xff,
      mxcsr: state.mxcsr,
      st: Array.from({ length: 8 }, (_, i) => ({ mant: state.fpMant.get(relative(i)), word: state.fpExp.get(relative(i)) })),
      xmm: Array.from({ length: 16 }, (_, i) => state.xmm.get(i)),
      memory: mem.u8.slice(mem.physBase + dataHpa, mem.physBase + dataHpa + FLOAT_MEMORY_SIZE),
      gpr: [state.gpr.get(0), state.gpr.get(1), state.gpr.get(2)],
      flags: raised.length > 0 ? input.flags : readFlags(),
    },
  }
}

describe.each([
  ['x87', x87Vectors],
  ['SSE', sseVectors],
])('%s vectors on generated handlers', (_, vectors) => {
  test.each(Object.entries(vectors))('%s', (_mnemonic, text) => {
    const failures = text
      .trim()
      .split('\n')
      .map((line) => runFloatVector(wasmEngine, line))
      .filter((difference) => difference !== '')
    expect(failures.join('\n')).toBe('')
  })
})

test.each([
  ['MOVAPS xmm0, [rdi+8]', '0f284708', 'fault=d'],
  ['MOVAPS [rdi+8], xmm0', '0f294708', 'fault=d'],
  ['ADDPS xmm0, [rdi+4]', '0f584704', 'fault=d'],
  ['PADDB xmm0, [rdi+1]', '660ffc4701', 'fault=d'],
  ['PSRLW xmm0, [rdi+8]', '660fd14708', 'fault=d'],
  ['CVTPD2PI mm0, [rdi+8]', '660f2d4708', 'fault=d'],
  ['FXSAVE [rdi+8]', '0fae4708', 'fault=d'],
  ['MOVUPS xmm0, [rdi+8]', '0f104708', ''],
  ['MOVSD xmm0, [rdi+1]', 'f20f104701', ''],
  ['CVTPS2PD xmm0, [rdi+4]', '0f5a4704', ''],
  ['LDDQU xmm0, [rdi+1]', 'f20ff04701', ''],
  ['PCMPISTRM xmm0, [rdi+1], 0x31', '660f3a62470131', 'fl=c0'],
])('alignment: %s', (_, code, changes) => {
  expect(runFloatVector(wasmEngine, `${code}||${changes}`)).toBe('')
})
