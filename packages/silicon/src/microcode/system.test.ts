import { allRows, semantics } from '@guestmode/x86'
import { describe, expect, test } from 'vitest'
import {
  CODE,
  GDT,
  IDT,
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
import { VmExit } from '../cpu/events.ts'
import type { NonRoot } from '../cpu/non-root.ts'
import {
  createCpuid,
  defaultModel,
  init,
  loadSegment,
  microcode,
  namedMicrocode,
  powerUp,
  raise,
  readFlags,
  readMsr,
  writeCr0,
  writeCr4,
  writeEfer,
  writeFlags,
  writeMsr,
} from './index.ts'

function faultOf(cpu: FakeCpu, hex: string): [number, number | undefined] | undefined {
  const fault = cpu.run(hex)
  return fault === undefined ? undefined : [fault.vector, fault.errorCode]
}
const GP0 = [13, 0]
const UD = [6, undefined]

function withRegister(cpu: FakeCpu, index: number, value: number | bigint): FakeCpu {
  cpu.state.gpr.set(index, BigInt(value))
  return cpu
}

test('every instruction that the model announces is implemented', () => {
  const { features } = defaultModel()
  const missing = allRows.filter(
    ({ mnemonic, feature }) =>
      (feature === 'base' || features.has(feature)) && semantics[mnemonic] === undefined && microcode[mnemonic] === undefined,
  )
  expect(missing.map(({ mnemonic }) => mnemonic)).toEqual([])
})

describe('flags', () => {
  test('every combination of the arithmetic flags survives', () => {
    const cpu = realMode()
    for (let i = 0; i < 64; i++) {
      const flags = 2 | (i & 1) | ((i & 2) << 1) | ((i & 4) << 2) | ((i & 0x18) << 3) | ((i & 0x20) << 6)
      writeFlags(cpu, flags)
      expect(readFlags(cpu)).toBe(flags)
    }
  })

  test('CLI and STI by IOPL; STI blocks interrupts for one instruction', () => {
    const cpu = protectedMode()
    cpu.run('fa')
    expect(readFlags(cpu)).toBe(2)
    cpu.run('fb')
    expect([readFlags(cpu), cpu.state.interruptibility]).toEqual([0x202, 1])
    cpu.state.interruptibility = 0
    cpu.run('fb')
    expect(cpu.state.interruptibility).toBe(0)
    const user = protectedMode(3)
    expect(faultOf(user, 'fa')).toEqual(GP0)
    user.state.flagsSystem |= 0x3000
    expect(faultOf(user, 'fa')).toBeUndefined()
  })

  test('PVI and VME: VIF stands in for IF', () => {
    const cpu = protectedMode(3)
    cpu.state.cr4 = 2n
    expect(faultOf(cpu, 'fb')).toBeUndefined()
    expect(readFlags(cpu)).toBe(0x8_0202)
    cpu.state.flagsSystem = 0x10_0202
    expect(faultOf(cpu, 'fb')).toEqual(GP0)
    const v86 = virtual8086(0)
    expect(faultOf(v86, 'fa')).toEqual(GP0)
    v86.state.cr4 = 1n
    v86.state.flagsSystem |= 0x80000
    expect(faultOf(v86, 'fa')).toBeUndefined()
    expect(readFlags(v86) & 0x8_0200).toBe(0x200)
  })

  test('POPF by privilege', () => {
    const popped = (cpu: FakeCpu, image: number): number => {
      cpu.poke(Number(cpu.state.gpr.get(4)), 4, image)
      namedMicrocode.popf!(cpu, [32n])
      return readFlags(cpu)
    }
    expect(popped(protectedMode(0), 0x3f_7fd7)).toBe(0x24_7fd7)
    expect(popped(protectedMode(3), 0x3f_7dd5)).toBe(0x24_4fd7)
    const iopl3 = protectedMode(3)
    iopl3.state.flagsSystem = 0x3002
    expect(popped(iopl3, 0x202)).toBe(0x3202)
    expect(() => namedMicrocode.popf!(virtual8086(0), [16n])).toThrow()
  })

  test('PUSHF in virtual-8086 mode', () => {
    const cpu = virtual8086(0)
    cpu.state.cr4 = 1n
    namedMicrocode.pushf!(cpu, [16n])
    expect(cpu.peek(0x8ffe, 2)).toBe(0x3002)
    expect(() => namedMicrocode.pushf!(virtual8086(0), [16n])).toThrow()
  })

  test('CLAC and STAC', () => {
    const cpu = protectedMode()
    cpu.run('0f 01 cb')
    expect(readFlags(cpu)).toBe(0x4_0202)
    cpu.run('0f 01 ca')
    expect(readFlags(cpu)).toBe(0x202)
    expect(faultOf(protectedMode(3), '0f 01 cb')).toEqual(UD)
  })
})

describe('segment registers', () => {
  const load = (cpu: FakeCpu, selector: number, hex = '8e d8'): [number, number | undefined] | undefined =>
    faultOf(withRegister(cpu, 0, selector), hex)

  test('DS', () => {
    const cpu = protectedMode()
    cpu.descriptor(sel.data3, 0x12345, 0xfff, 0x40f2)
    expect(load(cpu, sel.data3)).toBeUndefined()
    expect([cpu.state.segBase.get(3), cpu.state.segLimit.get(3), cpu.state.segAccess.get(3)]).toEqual([0x12345n, 0xfff, 0x40f3])
    expect(cpu.peek(GDT + (sel.data3 & ~7) + 5, 1)).toBe(0xf3)
    expect(load(cpu, 3)).toBeUndefined()
    expect(cpu.state.segAccess.get(3)).toBe(0x10000)
  })

  test.each<[string, 0 | 3, number, (number | undefined)[] | undefined]>([
    ['outside the table', 0, 0x500, [13, 0x500]],
    ['system segment', 0, sel.tss, [13, sel.tss]],
    ['execute-only code', 0, sel.executeOnly, [13, sel.executeOnly]],
    ['CPL above DPL', 3, sel.data0, [13, sel.data0]],
    ['RPL above DPL', 0, sel.data0 | 3, [13, sel.data0]],
    ['conforming code', 3, sel.conforming, undefined],
    ['not present', 0, sel.absentData, [11, sel.absentData]],
  ])('DS: %s', (_name, cpl, selector, expected) => {
    const cpu = protectedMode(cpl)
    expect(load(cpu, selector)).toEqual(expected)
    if (expected !== undefined) expect(cpu.state.segSelector.get(3)).toBe(cpl === 3 ? sel.data3 : sel.data0)
  })

  test.each<[string, number, (number | undefined)[] | undefined]>([
    ['null', 0, GP0],
    ['RPL', sel.data0 | 1, [13, sel.data0]],
    ['DPL', sel.data3, [13, sel.data3 & ~3]],
    ['read-only', sel.readOnly, [13, sel.readOnly]],
    ['not present', sel.absentData, [12, sel.absentData]],
    ['good', sel.data0, undefined],
  ])('SS: %s', (_name, selector, expected) => {
    const cpu = protectedMode()
    expect(load(cpu, selector, '8e d0')).toEqual(expected)
    expect(cpu.state.interruptibility).toBe(expected === undefined ? 2 : 0)
  })

  test('a null SS in 64-bit code of level 0', () => {
    expect(load(longMode(), 0, '8e d0')).toBeUndefined()
    expect(load(longMode(3), 3, '8e d0')).toEqual(GP0)
  })

  test('real-address mode changes the base alone; virtual-8086 mode everything', () => {
    const cpu = realMode()
    loadSegment(cpu, 3, sel.data0, 0, 0xffff_ffff, 0xc093)
    expect(load(cpu, 0x1234)).toBeUndefined()
    expect([cpu.state.segBase.get(3), cpu.state.segLimit.get(3)]).toEqual([0x12340n, 0xffff_ffff])
    const v86 = virtual8086()
    expect(load(v86, 0x1234)).toBeUndefined()
    expect([v86.state.segBase.get(3), v86.state.segAccess.get(3)]).toEqual([0x12340n, 0xf3])
  })

  test('PUSH, POP, and LDS with a memory operand', () => {
    const cpu = protectedMode()
    cpu.run('06')
    expect(cpu.peek(STACK0 - 4)).toBe(sel.data0)
    cpu.poke(STACK0 - 4, 4, sel.data3)
    expect(cpu.run('1f')).toBeUndefined()
    expect([cpu.state.segSelector.get(3), cpu.state.gpr.get(4)]).toEqual([sel.data3, BigInt(STACK0)])
    cpu.poke(STACK0, 4, 0x500)
    expect(faultOf(cpu, '1f')).toEqual([13, 0x500])
    expect(cpu.state.gpr.get(4)).toBe(BigInt(STACK0))
    cpu.poke(0x5000, 4, 0x8765_4321)
    cpu.poke(0x5004, 2, sel.data0)
    withRegister(cpu, 0, 0x5000)
    expect(cpu.run('c5 18')).toBeUndefined()
    expect([cpu.state.gpr.get(3), cpu.state.segSelector.get(3)]).toEqual([0x8765_4321n, sel.data0])
  })
})

describe('descriptor tables', () => {
  test('LGDT and SGDT by operand size and mode', () => {
    const cpu = realMode()
    cpu.poke(0x5000, 2, 0x27)
    cpu.poke(0x5002, 4, 0x8765_4321)
    expect(cpu.run('0f 01 16 00 50')).toBeUndefined()
    expect([cpu.state.gdtrBase, cpu.state.gdtrLimit]).toEqual([0x65_4321n, 0x27])
    cpu.run('66 0f 01 1e 00 50')
    expect([cpu.state.idtrBase, cpu.state.idtrLimit]).toEqual([0x8765_4321n, 0x27])
    const long = longMode()
    long.poke(0x5000, 2, 0xff)
    long.poke(0x5002, 8, 0xffff_8000_0000_1000n)
    withRegister(long, 0, 0x5000)
    long.run('0f 01 10')
    expect(long.state.gdtrBase).toBe(0xffff_8000_0000_1000n)
    long.run('0f 01 40 20')
    expect([long.peek(0x5020, 2), long.read(0x5022n, 8, 0)]).toEqual([0xff, 0xffff_8000_0000_1000n])
    long.poke(0x5002, 8, 0x8000_0000_0000n)
    expect(faultOf(long, '0f 01 10')).toEqual(GP0)
    expect(faultOf(withRegister(protectedMode(3), 0, 0x5000), '0f 01 10')).toEqual(GP0)
  })

  test('LLDT and LTR', () => {
    const ltr = (cpu: FakeCpu, selector: number): unknown => faultOf(withRegister(cpu, 0, selector), '0f 00 d8')
    const lldt = (cpu: FakeCpu, selector: number): unknown => faultOf(withRegister(cpu, 0, selector), '0f 00 d0')
    const cpu = protectedMode()
    expect(lldt(cpu, sel.ldt)).toBeUndefined()
    expect([cpu.state.segBase.get(6), cpu.state.segLimit.get(6)]).toEqual([0x4000n, 0x1f])
    expect(lldt(cpu, 0)).toBeUndefined()
    expect(cpu.state.segAccess.get(6)).toBe(0x10000)
    expect(lldt(cpu, sel.data0)).toEqual([13, sel.data0])
    expect(lldt(cpu, sel.ldt | 4)).toEqual([13, sel.ldt | 4])
    expect(ltr(cpu, 0)).toEqual(GP0)
    expect(ltr(cpu, sel.tss)).toEqual([13, sel.tss])
    cpu.descriptor(sel.tss, TSS, 0x67, 0x89)
    expect(ltr(cpu, sel.tss)).toBeUndefined()
    expect([cpu.peek(GDT + sel.tss + 5, 1), cpu.state.segAccess.get(7)]).toEqual([0x8b, 0x8b])
    cpu.descriptor(sel.tss, TSS, 0x67, 0x09)
    expect(ltr(cpu, sel.tss)).toEqual([11, sel.tss])
    expect(ltr(realMode(), sel.tss)).toEqual(UD)

    const long = longMode()
    long.descriptor(sel.tss2, TSS, 0x67, 0x89)
    long.poke(GDT + sel.tss2 + 8, 4, 0xffff_8000)
    long.poke(GDT + sel.tss2 + 12, 4, 0)
    expect(ltr(long, sel.tss2)).toBeUndefined()
    expect(long.state.segBase.get(7)).toBe(0xffff_8000_0000_3000n)
  })

  test('SLDT, STR, SMSW under UMIP', () => {
    const cpu = protectedMode(3)
    cpu.run('0f 00 c8')
    expect(cpu.state.gpr.get(0)).toBe(BigInt(sel.tss))
    cpu.state.cr4 = 0x800n
    for (const hex of ['0f 00 c8', '0f 00 c0', '0f 01 e0', '0f 01 05 00 50 00 00']) expect(faultOf(cpu, hex)).toEqual(GP0)
  })

  test('LAR, LSL, VERR, VERW, ARPL', () => {
    const zf = (cpu: FakeCpu, hex: string): boolean => {
      expect(cpu.run(hex)).toBeUndefined()
      return (readFlags(cpu) & 0x40) !== 0
    }
    const cpu = withRegister(protectedMode(3), 0, sel.code3)
    expect(zf(cpu, '0f 02 c8')).toBe(true)
    expect(cpu.state.gpr.get(1)).toBe(0xcffb00n)
    expect(zf(cpu, '0f 03 c8')).toBe(true)
    expect(cpu.state.gpr.get(1)).toBe(0xffff_ffffn)
    expect(zf(cpu, '0f 00 e0')).toBe(true)
    expect(zf(cpu, '0f 00 e8')).toBe(false)
    withRegister(cpu, 0, sel.data0)
    expect(zf(cpu, '0f 02 c8')).toBe(false)
    expect(cpu.state.gpr.get(1)).toBe(0xffff_ffffn)
    withRegister(cpu, 0, sel.conforming)
    expect(zf(cpu, '0f 00 e0')).toBe(true)
    withRegister(withRegister(cpu, 0, 0x10), 1, 3)
    expect(zf(cpu, '63 c8')).toBe(true)
    expect(cpu.state.gpr.get(0)).toBe(0x13n)
    expect(faultOf(realMode(), '0f 02 c8')).toEqual(UD)
  })
})

describe('control registers', () => {
  test('entering long mode step by step, and leaving it', () => {
    const cpu = protectedMode()
    writeEfer(cpu, 0x100n)
    expect(() => writeCr0(cpu, 0x8000_0011n)).toThrow()
    writeCr4(cpu, 0x20n)
    writeCr0(cpu, 0x8000_0011n)
    expect(cpu.state.efer).toBe(0x500n)
    expect(() => writeEfer(cpu, 0n)).toThrow()
    expect(() => writeCr4(cpu, 0n)).toThrow()
    writeCr0(cpu, 0x11n)
    expect(cpu.state.efer).toBe(0x100n)
    expect(() => writeCr0(longMode(), 0x11n)).toThrow()
  })

  test.each<[string, bigint]>([
    ['PG without PE', 0x8000_0010n],
    ['NW without CD', 0x2000_0011n],
    ['upper half', 0x1_0000_0011n],
  ])('CR0: %s', (_name, value) => {
    const cpu = protectedMode()
    expect(() => writeCr0(cpu, value)).toThrow()
    expect(cpu.state.cr0).toBe(0x11n)
  })

  test('CR4 takes what CPUID announces', () => {
    const cpu = protectedMode()
    writeCr4(cpu, 0x6b7n)
    expect(() => writeCr4(cpu, 1n << 12n)).toThrow()
    expect(() => writeCr4(cpu, 1n << 17n)).toThrow()
    expect(() => writeCr4(cpu, 1n << 31n)).toThrow()
  })

  test('MOV, LMSW, SMSW, CLTS', () => {
    const cpu = withRegister(protectedMode(), 0, 0x19)
    expect(cpu.run('0f 22 c0')).toBeUndefined()
    expect(cpu.state.cr0).toBe(0x19n)
    cpu.run('0f 06')
    expect(cpu.state.cr0).toBe(0x11n)
    withRegister(cpu, 0, 0xe)
    cpu.run('0f 01 f0')
    expect(cpu.state.cr0).toBe(0x1fn)
    cpu.run('0f 01 e1')
    expect(cpu.state.gpr.get(1)).toBe(0x1fn)
    withRegister(cpu, 0, 0x5000)
    cpu.flushed.length = 0
    cpu.run('0f 22 d8')
    expect([cpu.state.cr3, cpu.flushed]).toEqual([0x5000n, ['non-global']])
    cpu.run('0f 20 da')
    expect(cpu.state.gpr.get(2)).toBe(0x5000n)
    expect(faultOf(protectedMode(3), '0f 20 c0')).toEqual(GP0)
    expect(faultOf(withRegister(longMode(), 0, 1n << 40n), '0f 22 d8')).toEqual(GP0)
    expect(faultOf(withRegister(longMode(), 0, 16), '44 0f 22 c0')).toEqual(GP0)
  })

  test('reserved bits of PDPTEs', () => {
    const cpu = protectedMode()
    writeCr4(cpu, 0x20n)
    cpu.state.cr3 = 0x5000n
    cpu.poke(0x5008, 8, 0x7)
    expect(() => writeCr0(cpu, 0x8000_0011n)).toThrow()
    cpu.poke(0x5008, 8, 0x6001)
    writeCr0(cpu, 0x8000_0011n)
    cpu.poke(0x5008, 8, (1n << 50n) | 1n)
    expect(faultOf(withRegister(cpu, 0, 0x5000), '0f 22 d8')).toEqual(GP0)
  })

  test('debug registers', () => {
    const cpu = withRegister(protectedMode(), 0, 0xffff_ffff)
    cpu.run('0f 23 f0')
    expect(cpu.state.dr.get(6)).toBe(0xffff_efffn)
    cpu.run('0f 23 f8')
    expect(cpu.state.dr.get(7)).toBe(0xffff_27ffn)
    const fault = cpu.run('0f 21 c0')!
    expect(fault.vector).toBe(1)
    cpu.gate(IDT + 8, sel.code0, 0x100, 0x8e)
    raise(cpu, fault)
    expect([cpu.state.dr.get(6) & 0x2000n, cpu.state.dr.get(7) & 0x2000n]).toEqual([0x2000n, 0n])
    expect(cpu.run('0f 21 e0')).toBeUndefined()
    expect(cpu.state.gpr.get(0)).toBe(cpu.state.dr.get(6))
    cpu.state.cr4 = 8n
    expect(faultOf(cpu, '0f 21 e0')).toEqual(UD)
    expect(faultOf(withRegister(longMode(), 0, 1n << 32n), '0f 23 f8')).toEqual(GP0)
  })
})

describe('fast system calls', () => {
  test('SYSCALL and SYSRET', () => {
    const cpu = longMode(3)
    const { state } = cpu
    state.star = 0x0020_0008_0000_0000n
    state.lstar = 0xffff_8000_0000_1000n
    state.sfmask = 0x4_7700n
    writeFlags(cpu, 0x246)
    expect(cpu.run('0f 05')).toBeUndefined()
    expect([state.rip, state.gpr.get(1), state.gpr.get(11)]).toEqual([0xffff_8000_0000_1000n, BigInt(CODE + 2), 0x246n])
    expect([
      state.cpl,
      state.segSelector.get(1),
      state.segAccess.get(1),
      state.segSelector.get(2),
      state.segAccess.get(2),
    ]).toEqual([0, 8, 0xa09b, 0x10, 0xc093])
    expect(readFlags(cpu)).toBe(0x46)
    expect(cpu.run('48 0f 07')).toBeUndefined()
    expect([state.rip, state.cpl, state.segSelector.get(1), state.segAccess.get(1), state.segSelector.get(2)]).toEqual([
      BigInt(CODE + 2),
      3,
      0x33,
      0xa0fb,
      0x2b,
    ])
    expect(readFlags(cpu)).toBe(0x246)
    state.efer = 0x500n
    expect(faultOf(cpu, '0f 05')).toEqual(UD)
    const kernel = withRegister(longMode(), 1, 0x8000_0000_0000n)
    expect(faultOf(kernel, '48 0f 07')).toEqual(GP0)
    kernel.state.star = 0x0020_0008_0000_0000n
    expect(kernel.run('0f 07')).toBeUndefined()
    expect([kernel.state.segSelector.get(1), kernel.state.codeWidth]).toEqual([0x23, 32])
  })

  test('SYSENTER and SYSEXIT', () => {
    const cpu = protectedMode(3)
    const { state } = cpu
    expect(faultOf(cpu, '0f 34')).toEqual(GP0)
    state.sysenterCs = 8n
    state.sysenterEsp = 0x8000n
    state.sysenterEip = 0x1234n
    expect(cpu.run('0f 34')).toBeUndefined()
    expect([state.rip, state.gpr.get(4), state.cpl, state.segSelector.get(1), state.segAccess.get(1)]).toEqual([
      0x1234n,
      0x8000n,
      0,
      8,
      0xc09b,
    ])
    expect(readFlags(cpu) & 0x200).toBe(0)
    withRegister(withRegister(cpu, 1, STACK3), 2, 0x4321)
    expect(cpu.run('0f 35')).toBeUndefined()
    expect([state.rip, state.gpr.get(4), state.cpl, state.segSelector.get(1), state.segSelector.get(2)]).toEqual([
      0x4321n,
      BigInt(STACK3),
      3,
      0x1b,
      0x23,
    ])
    expect(faultOf(cpu, '0f 35')).toEqual(GP0)
    expect(faultOf(realMode(), '0f 34')).toEqual(GP0)
  })

  test('SWAPGS and the base instructions', () => {
    const cpu = longMode()
    cpu.state.segBase.set(5, 0x1000n)
    cpu.state.kernelGsBase = 0xffff_8000_0000_0000n
    cpu.run('0f 01 f8')
    expect([cpu.state.segBase.get(5), cpu.state.kernelGsBase]).toEqual([0xffff_8000_0000_0000n, 0x1000n])
    expect(faultOf(longMode(3), '0f 01 f8')).toEqual(GP0)
    expect(faultOf(cpu, 'f3 48 0f ae c8')).toEqual(UD)
    cpu.state.cr4 |= 0x10000n
    cpu.run('f3 48 0f ae c8')
    expect(cpu.state.gpr.get(0)).toBe(0xffff_8000_0000_0000n)
    expect(faultOf(withRegister(cpu, 0, 1n << 60n), 'f3 48 0f ae d0')).toEqual(GP0)
  })
})

describe('model-specific registers', () => {
  test('RDMSR and WRMSR', () => {
    const cpu = withRegister(withRegister(withRegister(longMode(), 1, 0xc000_0082), 0, 0x1234), 2, 0xffff_8000)
    expect(cpu.run('0f 30')).toBeUndefined()
    expect(cpu.state.lstar).toBe(0xffff_8000_0000_1234n)
    withRegister(withRegister(cpu, 0, 0), 2, 0)
    cpu.run('0f 32')
    expect([cpu.state.gpr.get(0), cpu.state.gpr.get(2)]).toEqual([0x1234n, 0xffff_8000n])
    expect(faultOf(withRegister(cpu, 1, 0x1234_5678), '0f 32')).toEqual(GP0)
    expect(faultOf(protectedMode(3), '0f 32')).toEqual(GP0)
  })

  test('checks of values', () => {
    const cpu = longMode()
    expect(() => writeMsr(cpu, 0xc000_0082, 1n << 50n)).toThrow()
    expect(() => writeMsr(cpu, 0x277, 2n)).toThrow()
    expect(() => writeMsr(cpu, 0xfe, 0n)).toThrow()
    writeMsr(cpu, 0x200, 6n)
    writeMsr(cpu, 0x2ff, 0xc06n)
    expect([readMsr(cpu, 0x200), readMsr(cpu, 0x2ff), readMsr(cpu, 0xfe)]).toEqual([6n, 0xc06n, 0x508n])
    writeMsr(cpu, 0x10, 0n)
    expect(readMsr(cpu, 0x10)).toBe(0n)
    powerUp(cpu)
    expect([readMsr(cpu, 0x10), readMsr(cpu, 0x200)]).toEqual([1000n, 0n])
  })

  test('RDTSC by CR4.TSD; RDTSCP; RDPMC', () => {
    const cpu = protectedMode(3)
    cpu.run('0f 31')
    expect(cpu.state.gpr.get(0)).toBe(1000n)
    cpu.state.tscAux = 7n
    cpu.run('0f 01 f9')
    expect(cpu.state.gpr.get(1)).toBe(7n)
    cpu.state.cr4 = 4n
    expect(faultOf(cpu, '0f 31')).toEqual(GP0)
    expect(faultOf(cpu, '0f 33')).toEqual(GP0)
  })
})

describe('ports', () => {
  function ports(cpu: FakeCpu): { in: number[]; out: [number, number, number][] } {
    const log = { in: [] as number[], out: [] as [number, number, number][] }
    cpu.environment.portIn = (port) => (log.in.push(port), 0x1234_5678)
    cpu.environment.portOut = (port, size, value) => void log.out.push([port, size, value])
    return log
  }

  test('IN and OUT', () => {
    const cpu = withRegister(withRegister(protectedMode(), 0, 0xffff_ffff_aabb_ccddn), 2, 0x3f8)
    expect(cpu.run('e4 60')).toBeUndefined()
    expect(cpu.state.gpr.get(0)).toBe(0xffff_ffff_aabb_ccffn)
    const log = ports(cpu)
    cpu.run('ee')
    cpu.run('ef')
    cpu.run('66 e7 80')
    expect(log.out).toEqual([
      [0x3f8, 1, 0xff],
      [0x3f8, 4, 0xaabb_ccff],
      [0x80, 2, 0xccff],
    ])
    cpu.run('ed')
    expect(cpu.state.gpr.get(0)).toBe(0x1234_5678n)
  })

  test('permission by IOPL and bitmap', () => {
    const cpu = protectedMode(3)
    expect(faultOf(cpu, 'e4 60')).toEqual(GP0)
    cpu.state.segLimit.set(7, 0xff)
    cpu.poke(TSS + 0x66, 2, 0x68)
    cpu.poke(TSS + 0x68 + 12, 2, 0xfffe)
    expect(faultOf(cpu, 'e4 60')).toBeUndefined()
    expect(faultOf(cpu, 'e5 60')).toEqual(GP0)
    cpu.state.segLimit.set(7, 0x68 + 12)
    expect(faultOf(cpu, 'e4 60')).toEqual(GP0)
    cpu.state.flagsSystem |= 0x3000
    expect(faultOf(cpu, 'e4 60')).toBeUndefined()
    expect(faultOf(virtual8086(3), 'e4 60')).toEqual(GP0)
  })

  test('REP INS runs one iteration at a time', () => {
    const cpu = withRegister(withRegister(protectedMode(), 7, 0x5000), 1, 2)
    ports(cpu)
    cpu.run('f3 6d')
    expect([cpu.state.rip, cpu.state.gpr.get(7), cpu.state.gpr.get(1), cpu.peek(0x5000)]).toEqual([
      BigInt(CODE),
      0x5004n,
      1n,
      0x1234_5678,
    ])
    cpu.run('f3 6d')
    expect([cpu.state.rip, cpu.state.gpr.get(1)]).toEqual([BigInt(CODE + 2), 0n])
    cpu.run('f3 6d')
    expect([cpu.state.rip, cpu.state.gpr.get(7)]).toEqual([BigInt(CODE + 4), 0x5008n])
    const absent = withRegister(withRegister(protectedMode(), 7, 0x6000), 1, 2)
    const log = ports(absent)
    absent.absent.add(6)
    expect(absent.run('f3 6d')?.vector).toBe(14)
    expect(log.in).toEqual([])
  })

  test('OUTS downwards', () => {
    const cpu = withRegister(protectedMode(), 6, 0x5001)
    const log = ports(cpu)
    cpu.poke(0x5000, 2, 0xbbaa)
    cpu.state.flagsSystem |= 0x400
    cpu.run('6e')
    cpu.run('6e')
    expect(log.out.map(([, , value]) => value)).toEqual([0xbb, 0xaa])
    expect(cpu.state.gpr.get(6)).toBe(0x4fffn)
  })
})

describe('the rest', () => {
  test('privileged instructions are #GP(0) at level 3', () => {
    for (const hex of ['f4', '0f 08', '0f 09', '0f 06', '0f 30', '0f 32', '0f 01 38', '0f 23 c0']) {
      expect(faultOf(withRegister(protectedMode(3), 0, 0x5000), hex)).toEqual(GP0)
    }
  })

  test('HLT, INVLPG, CPUID, RDRAND', () => {
    const cpu = withRegister(protectedMode(), 0, 0x5000)
    cpu.flushed.length = 0
    cpu.run('0f 01 38')
    expect(cpu.flushed).toEqual(['5000'])
    cpu.run('f4')
    expect(cpu.state.activity).toBe(1)
    withRegister(withRegister(cpu, 0, 0), 1, 0)
    cpu.run('0f a2')
    expect(cpu.state.gpr.get(3)).toBe(0x756e_6547n)
    writeFlags(cpu, 0x8d6)
    cpu.run('0f c7 f0')
    expect([cpu.state.gpr.get(0), readFlags(cpu)]).toEqual([0x9abc_def0n, 3])
  })

  test('VMX instructions outside VMX are #UD', () => {
    for (const hex of ['0f 01 c1', '0f 01 c2', '0f 01 c4', '0f aa']) expect(faultOf(protectedMode(), hex)).toEqual(UD)
  })

  test('non-root operation: intercepts come after privilege and I/O permission, before the operand', () => {
    const nonRoot = {
      instruction(name: string, qualification?: bigint) {
        throw new VmExit(name.length, qualification)
      },
      io() {
        throw new VmExit(30)
      },
    } as unknown as NonRoot
    const run = (cpu: FakeCpu, hex: string): unknown => {
      cpu.nonRoot = nonRoot
      try {
        return faultOf(cpu, hex)
      } catch (error) {
        return error instanceof VmExit ? [error.reason, error.qualification] : error
      }
    }
    expect(run(protectedMode(), '0f a2')).toEqual([5, 0n])
    expect(run(withRegister(protectedMode(), 0, 0x5000), '0f 01 38')).toEqual([6, 0x5000n])
    expect(run(protectedMode(3), 'f4')).toEqual(GP0)
    expect(run(protectedMode(3), 'e4 60')).toEqual(GP0)
    expect(run(protectedMode(), 'e4 60')).toEqual([30, 0n])
    expect(run(withRegister(protectedMode(), 0, 0xffff_0000), '0f 01 10')).toEqual([4, 0n])
  })

  test('ENTER with nesting', () => {
    const cpu = withRegister(protectedMode(), 5, 0x8000)
    cpu.poke(0x7ffc, 4, 0x1111)
    'c8 10 00 02'.split(' ').forEach((byte, i) => cpu.poke(CODE + i, 1, parseInt(byte, 16)))
    cpu.nextRip = BigInt(CODE + 4)
    namedMicrocode.enter!(cpu, [16n, 2n])
    expect([cpu.state.gpr.get(5), cpu.state.gpr.get(4)]).toEqual([BigInt(STACK0 - 4), BigInt(STACK0 - 12 - 16)])
    expect([cpu.peek(STACK0 - 4), cpu.peek(STACK0 - 8), cpu.peek(STACK0 - 12)]).toEqual([0x8000, 0x1111, STACK0 - 4])
  })

  test('division and floating point by name', () => {
    const cpu = longMode()
    expect(namedMicrocode.div128!(cpu, [1n, 0n, 16n])).toEqual([1n << 60n, 0n])
    expect(() => namedMicrocode.div128!(cpu, [16n, 0n, 16n])).toThrow()
    'd9 fe'.split(' ').forEach((byte, i) => cpu.poke(CODE + i, 1, parseInt(byte, 16)))
    cpu.nextRip = BigInt(CODE + 2)
    namedMicrocode.fninit!(cpu, [])
    expect([cpu.state.fpControl, cpu.state.fpEmpty]).toEqual([0x37f, 0xff])
    '0f ae 00'.split(' ').forEach((byte, i) => cpu.poke(CODE + i, 1, parseInt(byte, 16)))
    cpu.nextRip = BigInt(CODE + 3)
    namedMicrocode.fxsave!(cpu, [0x5000n])
    expect([cpu.peek(0x5000, 2), cpu.peek(0x5018)]).toEqual([0x37f, 0x1f80])
    expect(() => namedMicrocode.fxsave!(cpu, [0x5008n])).toThrow()
  })
})

describe('power-up and INIT', () => {
  test('architectural state', () => {
    const cpu = longMode()
    cpu.state.cr0 = 0x8000_0011n
    cpu.state.star = 5n
    init(cpu)
    const { state } = cpu
    expect([state.rip, state.segSelector.get(1), state.segBase.get(1), state.cr0]).toEqual([0xfff0n, 0xf000, 0xffff_0000n, 0x10n])
    expect([state.efer, state.cpl, state.codeWidth, readFlags(cpu), state.star]).toEqual([0n, 0, 16, 2, 5n])
    powerUp(cpu)
    expect([state.cr0, state.star, state.mxcsr, state.gpr.get(2)]).toEqual([0x6000_0010n, 0n, 0x1f80, 0x106can])
  })

  test('CPUID: a 32-bit processor has no long mode', () => {
    const cpuid = createCpuid(defaultModel({ longMode: false }))
    expect(cpuid(0x8000_0001, 0).edx & (1 << 29)).toBe(0)
    expect(cpuid(0x8000_0008, 0).eax).toBe(0x2024)
    const long = createCpuid(defaultModel())
    expect(long(0x8000_0001, 0).edx & (1 << 29)).not.toBe(0)
    expect(long(0x4000_0000, 0)).toEqual(long(7, 0))
    expect(long(4, 3)).toEqual({ eax: 0, ebx: 0, ecx: 0, edx: 0 })
  })
})
