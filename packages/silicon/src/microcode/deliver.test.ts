import { describe, expect, test } from 'vitest'
import {
  CODE,
  IDT,
  idtGate,
  idtGate64,
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
import { EventKind, GuestFault, VmExit, type CpuEvent } from '../cpu/events.ts'
import type { NonRoot } from '../cpu/non-root.ts'
import { deliverEvent, raise, readFlags, writeFlags } from './index.ts'

const interrupt = (vector: number): CpuEvent => ({ kind: EventKind.externalInterrupt, vector })
const exception = (vector: number, errorCode?: number): CpuEvent => ({ kind: EventKind.hardwareException, vector, errorCode })

const stack = (cpu: FakeCpu, at: number, count: number, size: 2 | 4 | 8): number[] =>
  Array.from({ length: count }, (_, i) => cpu.peek(at + i * size, size))

describe('real-address mode', () => {
  test('pushes FLAGS, CS, IP and goes through the vector table', () => {
    const cpu = realMode()
    cpu.poke(0x20 * 4, 4, 0x0900_1234)
    cpu.state.interruptibility = 3
    writeFlags(cpu, 0x346)
    deliverEvent(cpu, interrupt(0x20))
    expect(cpu.state.rip).toBe(0x1234n)
    expect(cpu.state.segSelector.get(1)).toBe(0x900)
    expect(cpu.state.segBase.get(1)).toBe(0x9000n)
    expect(cpu.state.gpr.get(4)).toBe(0x6ffan)
    expect(stack(cpu, 0x6ffa, 3, 2)).toEqual([0x100, 0x800, 0x346])
    expect(readFlags(cpu)).toBe(0x46)
    expect(cpu.state.interruptibility).toBe(0)
  })

  test('an exception pushes no error code', () => {
    const cpu = realMode()
    cpu.poke(13 * 4, 4, 0x0900_0040)
    raise(cpu, new GuestFault(13, 0))
    expect(cpu.state.gpr.get(4)).toBe(0x6ffan)
    expect(cpu.state.rip).toBe(0x40n)
  })

  test('beyond the table: #GP, then double fault, then shutdown', () => {
    const cpu = realMode()
    cpu.state.idtrLimit = 0
    raise(cpu, new GuestFault(13, 0))
    expect(cpu.state.activity).toBe(2)
  })
})

describe('protected mode', () => {
  test('interrupt gate at the same level', () => {
    const cpu = protectedMode()
    idtGate(cpu, 0x20, sel.code0, 0x1_2345, 0x8e)
    writeFlags(cpu, 0x4347)
    deliverEvent(cpu, interrupt(0x20))
    expect(cpu.state.rip).toBe(0x1_2345n)
    expect(stack(cpu, STACK0 - 12, 3, 4)).toEqual([CODE, sel.code0, 0x4347])
    expect(readFlags(cpu)).toBe(0x47)
  })

  test('trap gate keeps IF', () => {
    const cpu = protectedMode()
    idtGate(cpu, 0x20, sel.code0, 0x100, 0x8f)
    deliverEvent(cpu, interrupt(0x20))
    expect(readFlags(cpu) & 0x200).toBe(0x200)
  })

  test('from level 3: stack by the TSS, error code, RF in the image of a fault', () => {
    const cpu = protectedMode(3)
    idtGate(cpu, 14, sel.code0, 0x100, 0x8e)
    raise(cpu, new GuestFault(14, 6))
    const { state } = cpu
    expect(state.cpl).toBe(0)
    expect(state.segSelector.get(1)).toBe(sel.code0)
    expect(state.segSelector.get(2)).toBe(sel.data0)
    expect(state.gpr.get(4)).toBe(BigInt(STACK0 - 24))
    expect(stack(cpu, STACK0 - 24, 6, 4)).toEqual([6, CODE, sel.code3, 0x1_0202, STACK3, sel.data3])
    expect(cpu.accesses.filter(({ access }) => (access & 2) !== 0)).toEqual([])
  })

  test('16-bit gate pushes words', () => {
    const cpu = protectedMode()
    idtGate(cpu, 0x20, sel.code0, 0x100, 0x86)
    deliverEvent(cpu, interrupt(0x20))
    expect(cpu.state.gpr.get(4)).toBe(BigInt(STACK0 - 6))
    expect(stack(cpu, STACK0 - 6, 3, 2)).toEqual([0, sel.code0, 0x202])
  })

  test('from virtual-8086 mode: data segments are pushed and nulled', () => {
    const cpu = virtual8086()
    idtGate(cpu, 0x20, sel.code0, 0x100, 0x8e)
    deliverEvent(cpu, interrupt(0x20))
    const { state } = cpu
    expect(stack(cpu, STACK0 - 36, 9, 4)).toEqual([0x100, 0x800, 0x2_3202, 0x1000, 0x800, 0x800, 0x800, 0x800, 0x800])
    expect([0, 3, 4, 5].map((seg) => state.segSelector.get(seg))).toEqual([0, 0, 0, 0])
    expect(state.segAccess.get(3) & 0x10000).toBe(0x10000)
    expect(state.flagsSystem & 0x20000).toBe(0)
    expect([state.cpl, state.codeWidth, state.stackWidth]).toEqual([0, 32, 32])
  })

  /** What the IDT entry and its target have wrong, and the exception that comes of an external interrupt and of INT. */
  const wrong: [string, (cpu: FakeCpu) => void, number, number][] = [
    ['outside the IDT', (cpu) => (cpu.state.idtrLimit = 0xff), 13, 0x20 * 8 + 2],
    ['no gate', (cpu) => idtGate(cpu, 0x20, sel.code0, 0, 0x82), 13, 0x20 * 8 + 2],
    ['gate not present', (cpu) => idtGate(cpu, 0x20, sel.code0, 0, 0x6e), 11, 0x20 * 8 + 2],
    ['null selector', (cpu) => idtGate(cpu, 0x20, 3, 0, 0xee), 13, 0],
    ['outside the GDT', (cpu) => idtGate(cpu, 0x20, 0x1000, 0, 0xee), 13, 0x1000],
    ['LDT without LDTR', (cpu) => idtGate(cpu, 0x20, 0xc, 0, 0xee), 13, 0xc],
    ['data segment', (cpu) => idtGate(cpu, 0x20, sel.data0, 0, 0xee), 13, sel.data0],
    ['code not present', (cpu) => idtGate(cpu, 0x20, sel.absentCode, 0, 0xee), 11, sel.absentCode],
    ['offset beyond the limit', (cpu) => idtGate(cpu, 0x20, sel.small, 0x2000, 0xee), 13, 0],
  ]
  test.each(wrong)('%s', (_name, spoil, vector, errorCode) => {
    for (const [event, ext] of [
      [interrupt(0x20), 1],
      [{ kind: EventKind.softwareInterrupt, vector: 0x20, instructionLength: 2 }, 0],
    ] as const) {
      const cpu = protectedMode()
      spoil(cpu)
      const caught: GuestFault[] = []
      cpu.nonRoot = {
        exception: (fault: GuestFault) => void caught.push(fault),
        tripleFault: () => undefined,
      } as unknown as NonRoot
      deliverEvent(cpu, event)
      expect([caught[0]!.vector, caught[0]!.errorCode]).toEqual([vector, errorCode | ext])
    }
  })

  const wrongStack: [string, number, number, (cpu: FakeCpu) => void][] = [
    ['null SS', 10, 1, (cpu) => cpu.poke(TSS + 8, 4, 0)],
    ['SS of another level', 10, (sel.data3 & ~3) | 1, (cpu) => cpu.poke(TSS + 8, 4, sel.data3)],
    ['SS not writable', 10, sel.readOnly | 1, (cpu) => cpu.poke(TSS + 8, 4, sel.readOnly)],
    ['SS not present', 12, sel.absentData | 1, (cpu) => cpu.poke(TSS + 8, 4, sel.absentData)],
    ['TSS too small', 10, sel.tss | 1, (cpu) => cpu.state.segLimit.set(7, 6)],
    ['no room', 12, sel.data0 | 1, (cpu) => cpu.descriptor(sel.data0, 0, 0xfff, 0x4093)],
  ]
  test.each(wrongStack)('inner stack: %s', (_name, vector, errorCode, spoil) => {
    const cpu = protectedMode(3)
    idtGate(cpu, 0x20, sel.code0, 0x100, 0x8e)
    spoil(cpu)
    const caught: GuestFault[] = []
    cpu.nonRoot = {
      exception: (fault: GuestFault) => void caught.push(fault),
      tripleFault: () => undefined,
    } as unknown as NonRoot
    deliverEvent(cpu, interrupt(0x20))
    expect([caught[0]!.vector, caught[0]!.errorCode]).toEqual([vector, errorCode])
  })
})

describe('64-bit mode', () => {
  test('same level: SS and RSP are pushed on a stack aligned to 16 bytes', () => {
    const cpu = longMode()
    cpu.state.gpr.set(4, 0x8fffn)
    idtGate64(cpu, 0x20, sel.code64, 0x1_2345, 0x8e)
    cpu.poke(IDT + 0x20 * 16 + 8, 4, 0xffff_8000)
    deliverEvent(cpu, interrupt(0x20))
    expect(cpu.state.rip).toBe(0xffff_8000_0001_2345n)
    expect(cpu.state.gpr.get(4)).toBe(0x8ff0n - 40n)
    expect(stack(cpu, 0x8ff0 - 40, 5, 8)).toEqual([CODE, sel.code64, 0x202, 0x8fff, sel.data0])
    expect(cpu.state.segSelector.get(2)).toBe(sel.data0)
  })

  test('from level 3 with an error code: RSP0, null SS', () => {
    const cpu = longMode(3)
    idtGate64(cpu, 13, sel.code64, 0x100, 0x8e)
    raise(cpu, new GuestFault(13, 0x33))
    const { state } = cpu
    expect([state.cpl, state.segSelector.get(2)]).toEqual([0, 0])
    expect(state.segAccess.get(2)).toBe(0x10000)
    expect(stack(cpu, STACK0 - 48, 6, 8)).toEqual([0x33, CODE, sel.code64user, 0x1_0202, STACK3, sel.data3])
  })

  test('an IST entry takes its stack at every level', () => {
    const cpu = longMode()
    idtGate64(cpu, 2, sel.code64, 0x100, 0x8e, 1)
    deliverEvent(cpu, { kind: EventKind.nmi, vector: 2 })
    expect(cpu.state.gpr.get(4)).toBe(0x5000n - 40n)
    expect(cpu.state.interruptibility & 8).toBe(8)
  })

  test('a non-canonical RSP0 is #SS; a 32-bit code segment #GP', () => {
    for (const [spoil, vector, errorCode] of [
      [(cpu: FakeCpu) => cpu.poke(TSS + 4, 8, 0x8000_0000_0000n), 12, 1],
      [(cpu: FakeCpu) => idtGate64(cpu, 0x20, sel.code0, 0, 0x8e), 13, sel.code0 | 1],
    ] as const) {
      const cpu = longMode(3)
      idtGate64(cpu, 0x20, sel.code64, 0x100, 0x8e)
      spoil(cpu)
      const caught: GuestFault[] = []
      cpu.nonRoot = {
        exception: (fault: GuestFault) => void caught.push(fault),
        tripleFault: () => undefined,
      } as unknown as NonRoot
      deliverEvent(cpu, interrupt(0x20))
      expect([caught[0]!.vector, caught[0]!.errorCode]).toEqual([vector, errorCode])
    }
  })
})

describe('exceptions that meet exceptions', () => {
  const combined = (first: CpuEvent, spoil: (cpu: FakeCpu) => void): number[] => {
    const cpu = protectedMode()
    for (const vector of [8, 10, 11, 12, 13, 14]) idtGate(cpu, vector, sel.code0, vector, 0x8e)
    spoil(cpu)
    const seen: number[] = []
    cpu.nonRoot = { exception: (fault: GuestFault) => void seen.push(fault.vector) } as unknown as NonRoot
    if (first.kind === EventKind.hardwareException) raise(cpu, new GuestFault(first.vector, first.errorCode))
    else deliverEvent(cpu, first)
    return [...seen, Number(cpu.state.rip)]
  }
  const noGate = (vector: number) => (cpu: FakeCpu) => cpu.poke(IDT + vector * 8, 8, 0)

  test('benign, then contributory: handled one after the other', () => {
    expect(combined(exception(6), noGate(6))).toEqual([6, 13, 13])
    expect(combined(interrupt(0x20), noGate(0x20))).toEqual([13, 13])
  })
  test('contributory twice, page fault then contributory: double fault', () => {
    expect(combined(exception(11, 0), noGate(11))).toEqual([11, 13, 8, 8])
    expect(combined(exception(14, 0), noGate(14))).toEqual([14, 13, 8, 8])
  })
  test('contributory, then page fault: the page fault', () => {
    // The gate of vector 0 lies in an absent page of its own; the others do not.
    const cpu = protectedMode()
    cpu.state.idtrBase = BigInt(IDT - 8)
    for (const vector of [8, 14]) cpu.gate(IDT - 8 + vector * 8, sel.code0, vector, 0x8e)
    cpu.absent.add((IDT - 8) >> 12)
    cpu.state.gdtrBase = 0x6000n
    for (let at = 0; at < 0xd0; at += 4) cpu.mem.u32[(cpu.mem.physBase + 0x6000 + at) >> 2] = 0
    cpu.poke(0x6000 + sel.code0, 8, 0x00cf_9b00_0000_ffffn)
    raise(cpu, new GuestFault(0))
    expect(cpu.state.rip).toBe(14n)
  })
  test('a double fault that faults: triple fault exits, or shuts down', () => {
    const cpu = protectedMode()
    cpu.nonRoot = {
      exception: () => undefined,
      tripleFault() {
        throw new VmExit(2)
      },
    } as unknown as NonRoot
    expect(() => raise(cpu, new GuestFault(13, 0))).toThrow(VmExit)
    expect(cpu.nonRoot.delivering?.vector).toBe(8)
    cpu.nonRoot = undefined
    raise(cpu, new GuestFault(13, 0))
    expect(cpu.state.activity).toBe(2)
  })
  test('an exit on the second exception records the event in delivery', () => {
    const cpu = protectedMode()
    cpu.nonRoot = {
      delivering: undefined,
      exception() {
        throw new VmExit(0)
      },
    } as unknown as NonRoot
    expect(() => deliverEvent(cpu, interrupt(0x21))).toThrow(VmExit)
    expect(cpu.nonRoot.delivering).toEqual(interrupt(0x21))
  })
})
