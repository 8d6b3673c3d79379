import { beforeEach, describe, expect, test } from 'vitest'
import { fpuMicrocode } from './index.ts'
import type { FpuElements, FpuMachine } from './machine.ts'

function elements<T>(count: number, initial: T): FpuElements<T> {
  const values = new Array<T>(count).fill(initial)
  return { get: (i) => values[i]!, set: (i, value) => void (values[i] = value) }
}

class Fault {
  readonly vector: number
  constructor(vector: number) {
    this.vector = vector
  }
}

const bytes = new Uint8Array(1024)
const view = new DataView(bytes.buffer)
let operandSize: 16 | 32 | 64 = 32
let codeWidth: 32 | 64 = 64
const createState = () => ({
  fpMant: elements(8, 0n),
  fpExp: elements(8, 0),
  fpControl: 0x37f,
  fpStatus: 0,
  fpTop: 0,
  fpEmpty: 0xff,
  fpOpcode: 0,
  fpIp: 0n,
  fpDp: 0n,
  mxcsr: 0x1f80,
  xmm: elements(16, 0n),
  scratch: elements(8, 0n),
  flagsSystem: 2,
  cr0: 0x31n,
  cr4: 0x600n,
  efer: 0n,
})
let state = createState()

const machine: FpuMachine = {
  get state() {
    return state
  },
  instruction: {
    get operandSize() {
      return operandSize
    },
    get codeWidth() {
      return codeWidth
    },
    ip: 0x1234_5678n,
    opcode: 0x1c1,
  },
  load: (address, size) =>
    [0n, 0n, 0n, 0n, 0n, 0n, 0n, 0n].reduce(
      (v, _, i) => (i < size ? v | (BigInt(bytes[Number(address) + i]!) << BigInt(8 * i)) : v),
      0n,
    ),
  store(address, size, value) {
    for (let i = 0; i < size; i++) bytes[Number(address) + i] = Number((value >> BigInt(8 * i)) & 0xffn)
  },
  probe: () => {},
  linear: (address) => address,
  fault(vector): never {
    throw new Fault(vector)
  },
}
const run = (name: string, ...args: bigint[]): readonly bigint[] | void => fpuMicrocode[name]!(machine, args)

beforeEach(() => {
  bytes.fill(0)
  state = createState()
  operandSize = 32
  codeWidth = 64
})

describe('FXSAVE and FXRSTOR', () => {
  function fill(): void {
    state.fpControl = 0x27f
    state.fpStatus = 0x4101
    state.fpTop = 5
    state.fpEmpty = 0b0001_1111
    state.fpOpcode = 0x5c1
    state.fpIp = 0x1122_3344_5566_7788n
    state.fpDp = 0x99aa_bbcc_ddee_ff00n
    state.mxcsr = 0x9fc1
    for (let i = 0; i < 8; i++) {
      state.fpMant.set(i, 0x8000_0000_0000_0000n + BigInt(i))
      state.fpExp.set(i, 0x4000 + i)
    }
    for (let i = 0; i < 16; i++) state.xmm.set(i, (BigInt(i) << 64n) | 0xabcdn)
  }

  test('layout of the 32-bit and 64-bit images', () => {
    fill()
    run('fxsave', 0n)
    expect([view.getUint16(0, true), view.getUint16(2, true), bytes[4], view.getUint16(6, true)]).toEqual([
      0x27f, 0x6901, 0xe0, 0x5c1,
    ])
    expect([view.getUint32(8, true), view.getUint16(12, true)]).toEqual([0x5566_7788, 0])
    expect([view.getUint32(16, true), view.getUint16(20, true)]).toEqual([0xddee_ff00, 0])
    expect([view.getUint32(24, true), view.getUint32(28, true)]).toEqual([0x9fc1, 0xffff])
    // ST(0) is physical register 5.
    expect([view.getBigUint64(32, true), view.getUint16(40, true)]).toEqual([0x8000_0000_0000_0005n, 0x4005])
    expect(view.getBigUint64(160 + 16 * 15 + 8, true)).toBe(15n)
    operandSize = 64
    run('fxsave', 0n)
    expect([view.getBigUint64(8, true), view.getBigUint64(16, true)]).toEqual([0x1122_3344_5566_7788n, 0x99aa_bbcc_ddee_ff00n])
  })

  test('FXRSTOR gives back what FXSAVE took', () => {
    fill()
    const before = { ...state, mant: state.fpMant.get(5), xmm: state.xmm.get(15) }
    operandSize = 64
    run('fxsave', 0n)
    state = createState()
    run('fxrstor', 0n)
    expect(state).toMatchObject({
      fpControl: 0x27f,
      fpStatus: 0x4101,
      fpTop: 5,
      fpEmpty: 0b0001_1111,
      fpOpcode: 0x5c1,
      mxcsr: 0x9fc1,
    })
    expect([state.fpIp, state.fpMant.get(5), state.fpExp.get(5), state.xmm.get(15)]).toEqual([
      before.fpIp,
      before.mant,
      0x4005,
      before.xmm,
    ])
  })

  test('outside 64-bit code eight vectors, without OSFXSR none', () => {
    fill()
    codeWidth = 32
    run('fxsave', 0n)
    expect([view.getUint16(160 + 16 * 7, true), view.getUint16(160 + 16 * 8, true)]).toEqual([0xabcd, 0])
    bytes.fill(0)
    state.cr4 = 0n
    run('fxsave', 0n)
    expect(view.getUint16(160, true)).toBe(0)
  })

  test('#GP for an unaligned area and for reserved bits of MXCSR', () => {
    expect(() => run('fxsave', 8n)).toThrow(Fault)
    view.setUint32(24, 0x1_0000, true)
    expect(() => run('fxrstor', 0n)).toThrow(Fault)
    expect(state.fpControl).toBe(0x37f)
  })
})

describe('FNSTENV and FLDENV', () => {
  beforeEach(() => {
    state.fpIp = 0x000a_bcden
    state.fpDp = 0x0001_2345n
    state.fpOpcode = 0x1c1
    state.fpEmpty = 0xfc
    state.fpMant.set(1, 1n << 63n)
    state.fpExp.set(1, 0x3fff)
  })
  const words = (size: 2 | 4): number[] =>
    Array.from({ length: 7 }, (_, i) => (size === 2 ? view.getUint16(2 * i, true) : view.getUint32(4 * i, true)))

  test('32-bit protected', () => {
    run('fnstenv', 0n)
    expect(words(4)).toEqual([0xffff_037f, 0xffff_0000, 0xffff_fff1, 0xabcde, 0x1c1_0000, 0x12345, 0xffff_0000])
  })
  test('16-bit protected', () => {
    operandSize = 16
    run('fnstenv', 0n)
    expect(words(2)).toEqual([0x37f, 0, 0xfff1, 0xbcde, 0, 0x2345, 0])
  })
  test('32-bit real', () => {
    state.cr0 = 0x30n
    run('fnstenv', 0n)
    expect(words(4)).toEqual([0xffff_037f, 0xffff_0000, 0xffff_fff1, 0xffff_bcde, 0xa1c1, 0xffff_2345, 0x1000])
  })
  test('16-bit real and virtual-8086', () => {
    operandSize = 16
    state.flagsSystem = 0x2_0002
    run('fnstenv', 0n)
    expect(words(2)).toEqual([0x37f, 0, 0xfff1, 0xbcde, 0xa1c1, 0x2345, 0x1000])
  })
  test('FNSTENV masks all exceptions; FLDENV makes a flagged unmasked one pending', () => {
    state.fpControl = 0x340
    state.fpStatus = 1
    run('fnstenv', 0n)
    expect(state.fpControl).toBe(0x37f)
    run('fldenv', 0n)
    expect([state.fpControl, state.fpStatus, state.fpEmpty]).toEqual([0x340, 0x8081, 0xfc])
  })
})

test('FNSAVE initializes, FRSTOR restores', () => {
  state.fpTop = 3
  state.fpEmpty = 0
  state.fpMant.set(3, 0x8000_0000_0000_0001n)
  state.fpExp.set(3, 0x3fff)
  run('fnsave', 0n)
  expect([state.fpTop, state.fpEmpty, state.fpControl]).toEqual([0, 0xff, 0x37f])
  expect(view.getBigUint64(28, true)).toBe(0x8000_0000_0000_0001n)
  state.fpMant.set(3, 0n)
  run('frstor', 0n)
  expect([state.fpTop, state.fpEmpty, state.fpMant.get(3)]).toEqual([3, 0, 0x8000_0000_0000_0001n])
})

describe('unmasked exceptions', () => {
  test('of x87: ES, and the pointers of the instruction', () => {
    state.fpControl = 0x37b
    state.fpEmpty = 0
    state.fpMant.set(0, 1n << 63n)
    state.fpExp.set(0, 0x3fff)
    run('fpu.div', 0n, 0n, 0n)
    expect(state).toMatchObject({ fpStatus: 0x8084, fpIp: 0x1234_5678n, fpOpcode: 0x1c1 })
    expect(state.fpMant.get(0)).toBe(1n << 63n)
  })
  test.each([
    [0x600n, 19],
    [0x200n, 6],
  ])('of SSE with CR4 = %x', (cr4, vector) => {
    state.cr4 = cr4
    state.mxcsr = 0x1d80
    expect(() => run('sse.div.f64', 0x3ff0_0000_0000_0000n, 0n)).toThrow(expect.objectContaining({ vector }))
    expect(state.mxcsr).toBe(0x1d84)
  })
})
