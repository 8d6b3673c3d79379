import { describe, expect, test } from 'vitest'
import {
  CODE,
  GDT,
  longMode,
  protectedMode,
  realMode,
  sel,
  STACK0,
  STACK3,
  TSS,
  virtual8086,
  type FakeCpu,
} from '../../test/fake-cpu.ts'
import { loadSegment, raise, readFlags, writeFlags } from './index.ts'

const stack = (cpu: FakeCpu, at: number, count: number, size: 2 | 4 | 8): number[] =>
  Array.from({ length: count }, (_, i) => cpu.peek(at + i * size, size))

const le = (value: number | bigint, bytes: number): string =>
  Array.from({ length: bytes }, (_, i) => Number((BigInt(value) >> BigInt(8 * i)) & 0xffn).toString(16)).join(' ')

const jump32 = (selector: number, offset: number): string => `ea ${le(offset, 4)} ${le(selector, 2)}`
const call32 = (selector: number, offset: number): string => `9a ${le(offset, 4)} ${le(selector, 2)}`

/** A faulting instruction leaves the registers alone. */
function faultOf(cpu: FakeCpu, hex: string): [number, number | undefined] {
  const { state } = cpu
  const snapshot = (): unknown[] => [
    ...[1, 2, 6, 7].map((seg) => [state.segSelector.get(seg), state.segAccess.get(seg)]),
    state.gpr.get(4),
    state.cpl,
    readFlags(cpu),
  ]
  const before = snapshot()
  const fault = cpu.run(hex)
  expect(snapshot()).toEqual(before)
  if (fault === undefined) throw new Error(`${hex} does not fault`)
  return [fault.vector, fault.errorCode]
}

describe('far JMP and CALL', () => {
  test('real-address mode', () => {
    const cpu = realMode()
    expect(cpu.run('9a 34 12 00 09')).toBeUndefined()
    expect([cpu.state.rip, cpu.state.segBase.get(1), cpu.state.gpr.get(4)]).toEqual([0x1234n, 0x9000n, 0x6ffcn])
    expect(stack(cpu, 0x6ffc, 2, 2)).toEqual([0x105, 0x800])
    expect(cpu.run('cb')).toBeUndefined()
    expect([cpu.state.rip, cpu.state.segBase.get(1), cpu.state.gpr.get(4)]).toEqual([0x105n, 0x8000n, 0x7000n])
  })

  test('into protected mode and back: a 32-bit segment by its descriptor', () => {
    const cpu = protectedMode()
    loadSegment(cpu, 1, 0x800, 0x8000, 0xffff, 0x93)
    cpu.state.codeWidth = 16
    expect(cpu.run(`66 ${jump32(sel.code0, CODE)}`)).toBeUndefined()
    expect([cpu.state.segAccess.get(1), cpu.state.segLimit.get(1), cpu.state.codeWidth]).toEqual([0xc09b, 0xffff_ffff, 32])
  })

  test('the accessed bit is set, RPL becomes CPL', () => {
    const cpu = protectedMode(3)
    cpu.descriptor(sel.conforming, 0, 0xffff_ffff, 0xc09e)
    expect(cpu.run(jump32(sel.conforming, 0x100))).toBeUndefined()
    expect(cpu.peek(GDT + sel.conforming + 5, 1)).toBe(0x9f)
    expect([cpu.state.segSelector.get(1), cpu.state.cpl]).toEqual([sel.conforming | 3, 3])
  })

  const wrongJump: [string, 0 | 3, number, [number, number]][] = [
    ['null selector', 0, 0, [13, 0]],
    ['outside the GDT', 0, 0x500, [13, 0x500]],
    ['data segment', 0, sel.data0, [13, sel.data0]],
    ['RPL above CPL', 0, sel.code0 | 3, [13, sel.code0]],
    ['DPL below CPL', 3, sel.code0, [13, sel.code0]],
    ['DPL above CPL', 0, sel.code3 & ~3, [13, sel.code3 & ~3]],
    ['not present', 0, sel.absentCode, [11, sel.absentCode]],
    ['an LDT', 0, sel.ldt, [13, sel.ldt]],
    ['a busy TSS', 0, sel.tss, [13, sel.tss]],
  ]
  test.each(wrongJump)('%s', (_name, cpl, selector, expected) => {
    expect(faultOf(protectedMode(cpl), jump32(selector, CODE))).toEqual(expected)
    expect(faultOf(protectedMode(cpl), call32(selector, CODE))).toEqual(expected)
  })

  test('an offset beyond the limit is #GP(0)', () => {
    expect(faultOf(protectedMode(), jump32(sel.small, 0x1000))).toEqual([13, 0])
  })

  test('CALL pushes before it goes; a full stack is #SS(0)', () => {
    const cpu = protectedMode()
    expect(cpu.run(call32(sel.code0, 0x500))).toBeUndefined()
    expect(stack(cpu, STACK0 - 8, 2, 4)).toEqual([CODE + 7, sel.code0])
    const full = protectedMode()
    full.state.segLimit.set(2, 0xfff)
    expect(faultOf(full, call32(sel.code0, 0x500))).toEqual([12, 0])
  })

  test('memory operand; 64-bit code by REX.W', () => {
    const cpu = longMode()
    cpu.poke(0x5000, 8, 0xffff_8000_0000_1234n)
    cpu.poke(0x5008, 2, sel.code64)
    cpu.state.gpr.set(0, 0x5000n)
    expect(cpu.run('48 ff 28')).toBeUndefined()
    expect(cpu.state.rip).toBe(0xffff_8000_0000_1234n)
    cpu.state.rip = BigInt(CODE)
    cpu.poke(0x5000, 8, 0x8000_0000_0000n)
    expect(faultOf(cpu, '48 ff 28')).toEqual([13, 0])
  })

  test('from 64-bit to compatibility code', () => {
    const cpu = longMode(3)
    cpu.poke(0x5000, 4, 0x1234)
    cpu.poke(0x5004, 2, sel.code32compat)
    cpu.state.gpr.set(0, 0x5000n)
    expect(cpu.run('ff 28')).toBeUndefined()
    expect([cpu.state.codeWidth, cpu.state.stackWidth, cpu.state.rip]).toEqual([32, 32, 0x1234n])
  })
})

describe('call gates', () => {
  test('CALL to an inner level copies parameters', () => {
    const cpu = protectedMode(3)
    cpu.gate(GDT + sel.gate, sel.code0, 0x4321, 0xec, 2)
    cpu.poke(STACK3, 4, 0x11)
    cpu.poke(STACK3 + 4, 4, 0x22)
    expect(cpu.run(call32(sel.gate, 0xdead))).toBeUndefined()
    expect([cpu.state.rip, cpu.state.cpl, cpu.state.gpr.get(4)]).toEqual([0x4321n, 0, BigInt(STACK0 - 24)])
    expect(stack(cpu, STACK0 - 24, 6, 4)).toEqual([CODE + 7, sel.code3, 0x11, 0x22, STACK3, sel.data3])
    // Far RET 8 releases them on both stacks, and drops data segments of level 0.
    loadSegment(cpu, 3, sel.data0, 0, 0xffff_ffff, 0xc093)
    expect(cpu.run('ca 08 00')).toBeUndefined()
    expect([cpu.state.cpl, cpu.state.gpr.get(4), cpu.state.segSelector.get(2)]).toEqual([3, BigInt(STACK3 + 8), sel.data3])
    expect([cpu.state.segSelector.get(3), cpu.state.segSelector.get(0)]).toEqual([0, sel.data3])
  })

  test('JMP can not change the level; conforming code keeps it', () => {
    const cpu = protectedMode(3)
    cpu.gate(GDT + sel.gate, sel.code0, 0x4321, 0xec)
    expect(faultOf(cpu, jump32(sel.gate, 0))).toEqual([13, sel.code0])
    cpu.gate(GDT + sel.gate, sel.conforming, 0x4321, 0xec)
    expect(cpu.run(jump32(sel.gate, 0))).toBeUndefined()
    expect([cpu.state.cpl, cpu.state.rip]).toEqual([3, 0x4321n])
  })

  const wrong: [string, (cpu: FakeCpu) => void, [number, number]][] = [
    ['gate DPL below CPL', (cpu) => cpu.gate(GDT + sel.gate, sel.code0, 0, 0x8c), [13, sel.gate]],
    ['gate not present', (cpu) => cpu.gate(GDT + sel.gate, sel.code0, 0, 0x6c), [11, sel.gate]],
    ['null code', (cpu) => cpu.gate(GDT + sel.gate, 0, 0, 0xec), [13, 0]],
    ['code is data', (cpu) => cpu.gate(GDT + sel.gate, sel.data0, 0, 0xec), [13, sel.data0]],
    ['code not present', (cpu) => cpu.gate(GDT + sel.gate, sel.absentCode, 0, 0xec), [11, sel.absentCode]],
    ['null stack', (cpu) => (cpu.gate(GDT + sel.gate, sel.code0, 0, 0xec), cpu.poke(TSS + 8, 4, 0)), [10, 0]],
    [
      'stack not present',
      (cpu) => (cpu.gate(GDT + sel.gate, sel.code0, 0, 0xec), cpu.poke(TSS + 8, 4, sel.absentData)),
      [12, sel.absentData],
    ],
    [
      'stack too small',
      (cpu) => (cpu.gate(GDT + sel.gate, sel.code0, 0, 0xec), cpu.descriptor(sel.data0, 0, 0xfff, 0x4093)),
      [12, sel.data0],
    ],
  ]
  test.each(wrong)('%s', (_name, spoil, expected) => {
    const cpu = protectedMode(3)
    spoil(cpu)
    expect(faultOf(cpu, call32(sel.gate, 0))).toEqual(expected)
  })

  test('64-bit gate: no parameters, null SS', () => {
    const cpu = longMode(3)
    cpu.gate(GDT + sel.gate, sel.code64, 0x4321, 0xec, 7)
    cpu.poke(GDT + sel.gate2, 8, 0xffff_8000)
    cpu.poke(0x5000, 4, 0)
    cpu.poke(0x5004, 2, sel.gate)
    cpu.state.gpr.set(0, 0x5000n)
    expect(cpu.run('ff 18')).toBeUndefined()
    expect([cpu.state.rip, cpu.state.cpl, cpu.state.segSelector.get(2)]).toEqual([0xffff_8000_0000_4321n, 0, 0])
    expect(stack(cpu, STACK0 - 32, 4, 8)).toEqual([CODE + 2, sel.code64user, STACK3, sel.data3])
    cpu.poke(GDT + sel.gate2 + 4, 4, 0x100)
    const spoiled = longMode(3)
    spoiled.gate(GDT + sel.gate, sel.code64, 0, 0xec)
    spoiled.poke(GDT + sel.gate2 + 4, 4, 0x100)
    spoiled.poke(0x5004, 2, sel.gate)
    spoiled.state.gpr.set(0, 0x5000n)
    expect(faultOf(spoiled, 'ff 18')).toEqual([13, sel.gate])
  })
})

describe('IRET', () => {
  const push = (cpu: FakeCpu, size: 2 | 4 | 8, ...values: (number | bigint)[]): void => {
    for (const value of values.reverse()) {
      const sp = cpu.state.gpr.get(4) - BigInt(size)
      cpu.poke(Number(sp), size, value)
      cpu.state.gpr.set(4, sp)
    }
  }

  test('real-address mode: IOPL and IF by the image', () => {
    const cpu = realMode()
    push(cpu, 2, 0x1234, 0x900, 0x3fd7)
    expect(cpu.run('cf')).toBeUndefined()
    expect([cpu.state.rip, cpu.state.segBase.get(1), readFlags(cpu)]).toEqual([0x1234n, 0x9000n, 0x3fd7])
  })

  test('same level', () => {
    const cpu = protectedMode()
    push(cpu, 4, 0x1234, sel.code0, 0x24_7fd7)
    expect(cpu.run('cf')).toBeUndefined()
    expect([cpu.state.rip, cpu.state.gpr.get(4), readFlags(cpu)]).toEqual([0x1234n, BigInt(STACK0), 0x24_7fd7])
  })

  test('to level 3: IF and IOPL by the old CPL; privileged data segments become null', () => {
    const cpu = protectedMode()
    loadSegment(cpu, 4, sel.data3, 0, 0xffff_ffff, 0xc0f3)
    push(cpu, 4, 0x1234, sel.code3, 0x3202, STACK3, sel.data3)
    cpu.state.interruptibility = 8
    expect(cpu.run('cf')).toBeUndefined()
    const { state } = cpu
    expect([state.cpl, state.rip, state.gpr.get(4), readFlags(cpu)]).toEqual([3, 0x1234n, BigInt(STACK3), 0x3202])
    expect([0, 3, 4].map((seg) => state.segSelector.get(seg))).toEqual([0, 0, sel.data3])
    expect(state.interruptibility).toBe(0)
  })

  test('at level 3 IOPL stays, and IF with IOPL below CPL', () => {
    const cpu = protectedMode(3)
    push(cpu, 4, 0x1234, sel.code3, 0x3002)
    expect(cpu.run('cf')).toBeUndefined()
    expect(readFlags(cpu)).toBe(0x202)
  })

  test('a 16-bit stack takes 16 bits of ESP', () => {
    const cpu = protectedMode()
    cpu.descriptor(sel.data3, 0, 0xffff, 0xf3)
    cpu.state.gpr.set(4, 0x1_9000n)
    push(cpu, 4, 0x1234, sel.code3, 0x202, 0x7abc_1234, sel.data3)
    expect(cpu.run('cf')).toBeUndefined()
    expect([cpu.state.gpr.get(4) & 0xffffn, cpu.state.stackWidth]).toEqual([0x1234n, 16])
  })

  test('to virtual-8086 mode', () => {
    const cpu = protectedMode()
    push(cpu, 4, 0x100, 0x800, 0x2_3202, 0x1000, 0x810, 0x820, 0x830, 0x840, 0x850)
    expect(cpu.run('cf')).toBeUndefined()
    const { state } = cpu
    expect([state.cpl, state.codeWidth, state.rip, state.gpr.get(4)]).toEqual([3, 16, 0x100n, 0x1000n])
    expect([1, 2, 0, 3, 4, 5].map((seg) => state.segSelector.get(seg))).toEqual([0x800, 0x810, 0x820, 0x830, 0x840, 0x850])
    expect([state.segBase.get(3), state.segLimit.get(3), state.segAccess.get(3)]).toEqual([0x8300n, 0xffff, 0xf3])
    expect(readFlags(cpu)).toBe(0x2_3202)
  })

  test('in virtual-8086 mode by IOPL and VME', () => {
    const cpu = virtual8086(3)
    cpu.poke(0x8ffa, 2, 0x1234)
    cpu.poke(0x8ffc, 2, 0x900)
    cpu.poke(0x8ffe, 2, 0x0002)
    cpu.state.gpr.set(4, 0x0ffan)
    expect(cpu.run('cf')).toBeUndefined()
    expect([cpu.state.segBase.get(1), readFlags(cpu)]).toEqual([0x9000n, 0x2_3002])
    expect(faultOf(virtual8086(0), 'cf')).toEqual([13, 0])
    const vme = virtual8086(0)
    vme.state.cr4 = 1n
    vme.poke(0x9000, 2, 0x10)
    vme.poke(0x9002, 2, 0x800)
    vme.poke(0x9004, 2, 0x3202)
    expect(vme.run('cf')).toBeUndefined()
    expect(readFlags(vme)).toBe(0xa_0202)
  })

  const wrong: [string, [number, number], (number | bigint)[]][] = [
    ['null CS', [13, 0], [0, 3, 2]],
    ['CS outside the GDT', [13, 0x500], [0, 0x503, 2]],
    ['CS is data', [13, sel.data3 & ~3], [0, sel.data3, 2]],
    ['RPL below CPL', [13, sel.code3 & ~3], [0, sel.code3 & ~3, 2]],
    ['DPL is not RPL', [13, sel.code0], [0, sel.code0 | 3, 2]],
  ]
  test.each(wrong)('%s', (_name, expected, frame) => {
    const cpu = protectedMode(3)
    push(cpu, 4, ...frame)
    expect(faultOf(cpu, 'cf')).toEqual(expected)
  })

  const wrongStack: [string, [number, number], number][] = [
    ['null SS', [13, 0], 0],
    ['RPL of SS', [13, sel.data0], sel.data0],
    ['DPL of SS', [13, sel.data0], sel.data0 | 3],
    ['SS read-only', [13, sel.readOnly], sel.readOnly | 3],
    ['SS not present', [12, sel.absentData], sel.absentData | 3],
  ]
  test.each(wrongStack)('outer stack: %s', (_name, expected, selector) => {
    const cpu = protectedMode()
    cpu.descriptor(sel.readOnly, 0, 0xfffff, 0xc0f1)
    cpu.descriptor(sel.absentData, 0, 0xfffff, 0xc073)
    push(cpu, 4, 0x100, sel.code3, 0x202, STACK3, selector)
    expect(faultOf(cpu, 'cf')).toEqual(expected)
  })

  test('64-bit: SS and RSP always; null SS at level 0; canonical target', () => {
    const cpu = longMode()
    push(cpu, 8, 0xffff_8000_0000_1234n, sel.code64, 0x4_0246, 0x8888, 0)
    expect(cpu.run('48 cf')).toBeUndefined()
    expect([cpu.state.rip, cpu.state.gpr.get(4), readFlags(cpu)]).toEqual([0xffff_8000_0000_1234n, 0x8888n, 0x4_0246])
    expect(cpu.state.segAccess.get(2)).toBe(0x10000)
    const user = longMode()
    user.state.segBase.set(5, 0x7777n)
    loadSegment(user, 4, 0, 0, 0, 0x10000)
    user.state.segBase.set(4, 0x1234_5678_9000n)
    push(user, 8, 0x1234, sel.code64user, 0x202, STACK3, sel.data3)
    expect(user.run('48 cf')).toBeUndefined()
    expect([user.state.cpl, user.state.codeWidth]).toEqual([3, 64])
    expect(user.state.segBase.get(4)).toBe(0x1234_5678_9000n)
    const wild = longMode()
    push(wild, 8, 0x8000_0000_0000n, sel.code64, 2, 0, 0)
    expect(faultOf(wild, '48 cf')).toEqual([13, 0])
    const nested = longMode()
    writeFlags(nested, 0x4002)
    expect(faultOf(nested, '48 cf')).toEqual([13, 0])
    const nullUser = longMode()
    push(nullUser, 8, 0x1234, sel.code64user, 0x202, STACK3, 3)
    expect(faultOf(nullUser, '48 cf')).toEqual([13, 0])
  })

  test('to compatibility code', () => {
    const cpu = longMode()
    push(cpu, 8, 0x1234, sel.code32compat, 0x202, STACK3, sel.data3)
    expect(cpu.run('48 cf')).toBeUndefined()
    expect([cpu.state.codeWidth, cpu.state.stackWidth]).toEqual([32, 32])
    const wide = longMode()
    push(wide, 8, 0x1_0000_0000n, sel.code32compat, 0x202, STACK3, sel.data3)
    expect(faultOf(wide, '48 cf')).toEqual([13, 0])
  })
})

describe('INT, INT3, INTO', () => {
  test('pushed RIP is behind the instruction; gate DPL is checked', () => {
    const cpu = protectedMode(3)
    cpu.gate(0x2000 + 0x80 * 8, sel.code0, 0x100, 0xef)
    expect(cpu.run('cd 80')).toBeUndefined()
    expect(stack(cpu, STACK0 - 20, 2, 4)).toEqual([CODE + 2, sel.code3])
    expect([cpu.state.rip, cpu.state.cpl]).toEqual([0x100n, 0])

    const denied = protectedMode(3)
    denied.gate(0x2000 + 0x80 * 8, sel.code0, 0x100, 0x8f)
    denied.gate(0x2000 + 13 * 8, sel.code0, 0x200, 0x8e)
    expect(denied.run('cd 80')).toBeUndefined()
    expect(denied.state.rip).toBe(0x200n)
    expect(stack(denied, STACK0 - 24, 2, 4)).toEqual([0x80 * 8 + 2, CODE])
  })

  test('INT3 and INTO', () => {
    const cpu = protectedMode()
    cpu.gate(0x2000 + 3 * 8, sel.code0, 0x300, 0x8e)
    cpu.gate(0x2000 + 4 * 8, sel.code0, 0x400, 0x8e)
    writeFlags(cpu, 0x202)
    expect(cpu.run('ce')).toBeUndefined()
    expect(cpu.state.rip).toBe(BigInt(CODE + 1))
    writeFlags(cpu, 0xa02)
    cpu.state.rip = BigInt(CODE)
    raise(cpu, cpu.run('ce')!)
    expect([cpu.state.rip, ...stack(cpu, STACK0 - 12, 3, 4)]).toEqual([0x400n, CODE + 1, sel.code0, 0xa02])
    cpu.state.rip = BigInt(CODE)
    raise(cpu, cpu.run('cc')!)
    expect([cpu.state.rip, cpu.peek(STACK0 - 24)]).toEqual([0x300n, CODE + 1])
  })

  test('INT3 of level 3 needs a gate of DPL 3', () => {
    const cpu = protectedMode(3)
    cpu.gate(0x2000 + 3 * 8, sel.code0, 0x300, 0x8e)
    cpu.gate(0x2000 + 13 * 8, sel.code0, 0xd00, 0x8e)
    raise(cpu, cpu.run('cc')!)
    expect([cpu.state.rip, cpu.peek(STACK0 - 24), cpu.peek(STACK0 - 20)]).toEqual([0xd00n, 3 * 8 + 2, CODE])
  })

  test('virtual-8086 mode: INT n by IOPL, by the redirection bitmap under VME', () => {
    expect(faultOf(virtual8086(0), 'cd 80')).toEqual([13, 0])
    const cpu = virtual8086(0)
    cpu.state.cr4 = 1n
    cpu.state.segLimit.set(7, 0xff)
    cpu.poke(TSS + 0x66, 2, 0x88)
    cpu.poke(0x80 * 4, 4, 0x0900_0040)
    cpu.state.flagsSystem |= 0x80000
    expect(cpu.run('cd 80')).toBeUndefined()
    expect([cpu.state.rip, cpu.state.segBase.get(1)]).toEqual([0x40n, 0x9000n])
    expect(stack(cpu, 0x8ffa, 3, 2)).toEqual([0x102, 0x800, 0x3202])
    expect(readFlags(cpu) & 0x80000).toBe(0)
  })

  test('BOUND', () => {
    const cpu = protectedMode()
    cpu.poke(0x5000, 4, -4)
    cpu.poke(0x5004, 4, 4)
    cpu.state.gpr.set(0, 0x5000n)
    for (const [index, vector] of [
      [-4, undefined],
      [4, undefined],
      [5, 5],
      [-5, 5],
    ] as const) {
      cpu.state.gpr.set(1, BigInt.asUintN(32, BigInt(index)))
      expect(cpu.run('62 08')?.vector).toBe(vector)
    }
  })
})

describe('hardware task switch', () => {
  const tasks = (): FakeCpu => {
    const cpu = protectedMode()
    const tss2 = 0x3800
    cpu.descriptor(sel.tss2, tss2, 0x67, 0x89)
    cpu.poke(tss2 + 0x20, 4, 0x4444)
    cpu.poke(tss2 + 0x24, 4, 0x202)
    cpu.poke(tss2 + 0x28, 4, 0xaaaa)
    cpu.poke(tss2 + 0x38, 4, 0x6000)
    for (const [at, selector] of [
      [0x48, sel.data3],
      [0x4c, sel.code3],
      [0x50, sel.data3],
      [0x54, sel.data3],
      [0x60, 0],
    ] as const)
      cpu.poke(tss2 + at, 4, selector)
    return cpu
  }

  test('CALL and IRET back', () => {
    const cpu = tasks()
    cpu.state.gpr.set(0, 0x1111n)
    expect(cpu.run(call32(sel.tss2, 0))).toBeUndefined()
    const { state } = cpu
    expect([state.rip, state.gpr.get(0), state.gpr.get(4), state.cpl]).toEqual([0x4444n, 0xaaaan, 0x6000n, 3])
    expect([state.segSelector.get(7), state.segAccess.get(7), state.cr0 & 8n]).toEqual([sel.tss2, 0x8b, 8n])
    expect(readFlags(cpu)).toBe(0x4202)
    expect([cpu.peek(0x3800, 2), cpu.peek(TSS + 0x20), cpu.peek(TSS + 0x28)]).toEqual([sel.tss, CODE + 7, 0x1111])
    expect([cpu.peek(GDT + sel.tss + 5, 1), cpu.peek(GDT + sel.tss2 + 5, 1)]).toEqual([0x8b, 0x8b])
    state.gpr.set(0, 0x2222n)
    expect(cpu.run('cf')).toBeUndefined()
    expect([state.rip, state.gpr.get(0), state.cpl, state.segSelector.get(7)]).toEqual([BigInt(CODE + 7), 0x1111n, 0, sel.tss])
    expect([cpu.peek(GDT + sel.tss2 + 5, 1), cpu.peek(0x3800 + 0x28), cpu.peek(0x3800 + 0x24)]).toEqual([0x89, 0x2222, 0x202])
  })

  test('JMP frees the old task; through a task gate', () => {
    const cpu = tasks()
    cpu.gate(GDT + sel.taskGate, sel.tss2, 0, 0xe5)
    expect(cpu.run(jump32(sel.taskGate, 0))).toBeUndefined()
    expect(cpu.state.rip).toBe(0x4444n)
    expect(cpu.peek(GDT + sel.tss + 5, 1)).toBe(0x89)
    expect(readFlags(cpu) & 0x4000).toBe(0)
  })

  test('faults before the switch leave everything; those after it belong to the new task', () => {
    const small = tasks()
    small.descriptor(sel.tss2, 0x3800, 0x60, 0x89)
    expect(faultOf(small, call32(sel.tss2, 0))).toEqual([10, sel.tss2])
    const stackless = tasks()
    stackless.poke(0x3800 + 0x50, 4, sel.data0)
    const fault = stackless.run(call32(sel.tss2, 0))
    expect([fault?.vector, fault?.errorCode, stackless.state.rip]).toEqual([10, sel.data0, 0x4444n])
    const trapped = tasks()
    trapped.poke(0x3800 + 0x64, 2, 1)
    expect(trapped.run(call32(sel.tss2, 0))?.vector).toBe(1)
    expect(trapped.state.dr.get(6) & 0x8000n).toBe(0x8000n)
  })

  test('an interrupt through a task gate', () => {
    const cpu = tasks()
    cpu.gate(0x2000 + 0x80 * 8, sel.tss2, 0, 0xe5)
    expect(cpu.run('cd 80')).toBeUndefined()
    expect([cpu.state.rip, cpu.peek(TSS + 0x20)]).toEqual([0x4444n, CODE + 2])
  })
})
