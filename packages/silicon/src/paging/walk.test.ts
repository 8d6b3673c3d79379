import * as x86 from '@guestmode/x86'
import { cpuState, Exception } from '@guestmode/x86'
import { beforeEach, describe, expect, test } from 'vitest'
import { Access } from '../cpu/cpu.ts'
import { createStateView, type CpuStateView } from '../cpu/state-view.ts'
import { MachineMemory } from '../machine/memory.ts'
import { PageWalker } from './walk.ts'

const { PF_PRESENT: P, PF_WRITE: W, PF_USER: U, PF_RSVD: RSVD, PF_FETCH: I } = Exception
const ROOT = 0x1000
const DIR3 = 0x2000
const DIR2 = 0x3000
const TABLE = 0x4000
const PAGE = 0x9000
/** Present, writable, user. */
const PWU = 7n
const NX = 1n << 63n

let mem: MachineMemory
let state: CpuStateView
let walker: PageWalker

const put = (at: number, value: bigint): void => void (mem.u64[(mem.physBase + at) >> 3] = value)
const get = (at: number): bigint => mem.u64[(mem.physBase + at) >> 3]!
const put32 = (at: number, value: number): void => void (mem.u32[(mem.physBase + at) >> 2] = value)
const get32 = (at: number): number => mem.u32[(mem.physBase + at) >> 2]!
const walk = (linear: bigint, access: number): number => walker.walk(Number(linear >> 32n), Number(linear & 0xffff_ffffn), access)

/** Error code of the page fault that an access ends in; undefined when there is none. */
function fault(linear: bigint, access: number): number | undefined {
  if (walk(linear, access) >= 0) return undefined
  expect(walker.fault.kind).toBe('page-fault')
  return walker.fault.errorCode
}

beforeEach(() => {
  mem = new MachineMemory(65536, 1 << 20)
  mem.u8.fill(0, 1024, 1024 + cpuState.size)
  state = createStateView(mem, 1024)
  walker = new PageWalker(mem, state)
  state.flagsSystem = 2
})

test('without paging linear is physical', () => {
  expect(walk(0x1234_5678n, Access.write | Access.user)).toBe(0x1234_5678)
  expect([walker.writable, walker.userOk, walker.executable, walker.global]).toEqual([true, true, true, false])
})

describe('32-bit paging', () => {
  const LINEAR = 0x0040_3123n
  beforeEach(() => {
    state.cr0 = BigInt(x86.CR0_PG | x86.CR0_PE)
    state.cr3 = BigInt(ROOT)
    put32(ROOT + 4, TABLE | 7)
    put32(TABLE + 12, PAGE | 7)
  })

  test('two levels, accessed and dirty flags', () => {
    expect(walk(LINEAR, Access.read)).toBe(PAGE + 0x123)
    expect([get32(ROOT + 4), get32(TABLE + 12)]).toEqual([TABLE | 0x27, PAGE | 0x27])
    expect(walker.writable).toBe(false)
    expect(walk(LINEAR, Access.write)).toBe(PAGE + 0x123)
    expect([get32(ROOT + 4), get32(TABLE + 12)]).toEqual([TABLE | 0x27, PAGE | 0x67])
    expect(walk(LINEAR, Access.read)).toBe(PAGE + 0x123)
    expect(walker.writable).toBe(true)
    expect(walker.gpa).toBe(PAGE + 0x123)
  })

  test('not present, on each level', () => {
    put32(TABLE + 12, 0)
    expect(fault(LINEAR, Access.read)).toBe(0)
    expect(fault(LINEAR, Access.write | Access.user)).toBe(W | U)
    put32(ROOT + 4, 0)
    expect(fault(LINEAR, Access.fetch | Access.user)).toBe(U)
    expect([walker.fault.linHi, walker.fault.linLo]).toEqual([0, 0x40_3123])
  })

  test('rights of both levels count', () => {
    put32(ROOT + 4, TABLE | 3)
    expect(fault(LINEAR, Access.user)).toBe(P | U)
    expect(fault(LINEAR, Access.read)).toBe(undefined)
    put32(ROOT + 4, TABLE | 5)
    expect(fault(LINEAR, Access.user | Access.write)).toBe(P | U | W)
    expect(fault(LINEAR, Access.write)).toBe(undefined)
    expect(walker.writable).toBe(true)
    state.cr0 = BigInt(x86.CR0_PG | x86.CR0_PE | x86.CR0_WP)
    expect(fault(LINEAR, Access.write)).toBe(P | W)
    expect(fault(LINEAR, Access.read)).toBe(undefined)
    expect(walker.writable).toBe(false)
  })

  test('a fault by rights sets no accessed flag', () => {
    put32(TABLE + 12, PAGE | 5)
    fault(LINEAR, Access.user | Access.write)
    expect(get32(TABLE + 12)).toBe(PAGE | 5)
  })

  test('4 MiB pages, with bits 39:32 in PSE-36', () => {
    put32(ROOT + 4, 0x0080_0187)
    expect(walk(LINEAR, Access.read)).not.toBe(0x80_3123)
    state.cr4 = BigInt(x86.CR4_PSE | x86.CR4_PGE)
    expect(walk(LINEAR, Access.read)).toBe(0x80_3123)
    expect(walker.global).toBe(true)
    put32(ROOT + 4, 0x0080_0087 | (0x12 << 13))
    expect(walk(LINEAR, Access.read)).toBe(0x12_0080_3123)
    put32(ROOT + 4, 0x0080_0087 | (1 << 21))
    expect(fault(LINEAR, Access.write)).toBe(P | W | RSVD)
  })

  test('tables beyond memory read as ones', () => {
    state.cr3 = 0x7000_0000n
    expect(walk(LINEAR, Access.read)).toBe(0xffff_f123)
  })
})

describe('PAE paging', () => {
  const LINEAR = 0x4020_3123n
  beforeEach(() => {
    state.cr0 = BigInt(x86.CR0_PG | x86.CR0_PE)
    state.cr4 = BigInt(x86.CR4_PAE)
    state.cr3 = BigInt(ROOT + 0x20)
    put(ROOT + 0x20 + 8, BigInt(DIR2) | 1n)
    put(DIR2 + 8, BigInt(TABLE) | PWU)
    put(TABLE + 24, BigInt(PAGE) | PWU)
  })

  test('three levels', () => {
    expect(walk(LINEAR, Access.write | Access.user)).toBe(PAGE + 0x123)
    expect([get(ROOT + 0x28), get(DIR2 + 8), get(TABLE + 24)]).toEqual([
      BigInt(DIR2) | 1n,
      BigInt(TABLE) | 0x27n,
      BigInt(PAGE) | 0x67n,
    ])
    put(TABLE + 24, (0xan << 32n) | BigInt(PAGE) | PWU)
    expect(walk(LINEAR, Access.read)).toBe(0xa_0000_9123)
  })

  test('reserved bits', () => {
    for (const [at, bit] of [
      [ROOT + 0x28, 1n],
      [ROOT + 0x28, 5n],
      [ROOT + 0x28, 63n],
      [DIR2 + 8, 52n],
      [TABLE + 24, 40n],
      [TABLE + 24, 62n],
      [TABLE + 24, 63n],
    ] as const) {
      const old = get(at)
      put(at, old | (1n << bit))
      expect([at, bit, fault(LINEAR, Access.user)]).toEqual([at, bit, at === ROOT + 0x28 ? P | RSVD | U : P | RSVD | U])
      put(at, old)
    }
    expect(fault(LINEAR, Access.user)).toBe(undefined)
  })

  test('2 MiB pages', () => {
    put(DIR2 + 8, 0x60_0087n | (1n << 12n))
    expect(walk(LINEAR, Access.read)).toBe(0x60_3123)
    put(DIR2 + 8, 0x60_2087n)
    expect(fault(LINEAR, Access.read)).toBe(P | RSVD)
  })

  test('no execute', () => {
    state.efer = BigInt(x86.EFER_NXE)
    put(DIR2 + 8, BigInt(TABLE) | PWU | NX)
    expect(fault(LINEAR, Access.fetch | Access.user)).toBe(P | U | I)
    expect(fault(LINEAR, Access.user)).toBe(undefined)
    expect(walker.executable).toBe(false)
    put(TABLE + 24, 0n)
    expect(fault(LINEAR, Access.fetch)).toBe(I)
  })
})

describe('4-level paging', () => {
  const LINEAR = 0xffff_8080_4020_3123n
  beforeEach(() => {
    state.cr0 = BigInt(x86.CR0_PG | x86.CR0_PE | x86.CR0_WP)
    state.cr4 = BigInt(x86.CR4_PAE | x86.CR4_PGE)
    state.efer = BigInt(x86.EFER_LMA | x86.EFER_LME | x86.EFER_NXE)
    state.cr3 = BigInt(ROOT) | 0x18n
    put(ROOT + 0x101 * 8, BigInt(DIR3) | PWU)
    put(DIR3 + 8, BigInt(DIR2) | PWU)
    put(DIR2 + 8, BigInt(TABLE) | PWU)
    put(TABLE + 24, BigInt(PAGE) | PWU | 0x100n)
  })

  test('four levels; a global page', () => {
    expect(walk(LINEAR, Access.write | Access.user)).toBe(PAGE + 0x123)
    expect([walker.global, walker.writable, walker.userOk, walker.executable]).toEqual([true, true, true, true])
    expect(get(ROOT + 0x101 * 8) & 0x20n).toBe(0x20n)
    expect(get(TABLE + 24) & 0x60n).toBe(0x60n)
    state.cr4 = BigInt(x86.CR4_PAE)
    walk(LINEAR, Access.read)
    expect(walker.global).toBe(false)
  })

  test('1 GiB and 2 MiB pages', () => {
    put(DIR3 + 8, 0x8000_0087n)
    expect(walk(LINEAR, Access.read)).toBe(0x8020_3123)
    put(DIR3 + 8, 0x9fe0_0087n)
    expect(fault(LINEAR, Access.read)).toBe(P | RSVD)
    const small = new PageWalker(mem, state, { gigabytePages: false })
    put(DIR3 + 8, 0x8000_0087n)
    expect(small.walk(0xffff_8080, 0x4020_3123, Access.read)).toBe(-1)
    expect(small.fault.errorCode).toBe(P | RSVD)
    put(DIR3 + 8, BigInt(DIR2) | PWU)
    put(DIR2 + 8, 0x60_0087n)
    expect(walk(LINEAR, Access.read)).toBe(0x60_3123)
  })

  test('reserved bits, but not 62:52', () => {
    put(ROOT + 0x101 * 8, BigInt(DIR3) | PWU | 0x80n)
    expect(fault(LINEAR, Access.read)).toBe(P | RSVD)
    put(ROOT + 0x101 * 8, BigInt(DIR3) | PWU | (1n << 52n))
    expect(fault(LINEAR, Access.read)).toBe(undefined)
    put(DIR2 + 8, BigInt(TABLE) | PWU | (1n << 40n))
    expect(fault(LINEAR, Access.fetch | Access.user)).toBe(P | RSVD | I | U)
    state.efer = BigInt(x86.EFER_LMA | x86.EFER_LME)
    put(DIR2 + 8, BigInt(TABLE) | PWU | NX)
    expect(fault(LINEAR, Access.fetch)).toBe(P | RSVD)
  })

  test('SMEP', () => {
    state.cr4 = BigInt(x86.CR4_PAE | x86.CR4_SMEP)
    expect(fault(LINEAR, Access.fetch)).toBe(P | I)
    expect(fault(LINEAR, Access.fetch | Access.user)).toBe(undefined)
    expect(fault(LINEAR, Access.read)).toBe(undefined)
    expect(walker.executable).toBe(false)
  })

  test('SMAP: AC lets explicit accesses through', () => {
    state.cr4 = BigInt(x86.CR4_PAE | x86.CR4_SMAP)
    expect(fault(LINEAR, Access.read)).toBe(P)
    expect(fault(LINEAR, Access.write)).toBe(P | W)
    expect(fault(LINEAR, Access.user)).toBe(undefined)
    expect(fault(LINEAR, Access.fetch)).toBe(undefined)
    state.flagsSystem = 2 | x86.EFLAGS_AC
    expect(fault(LINEAR, Access.read)).toBe(undefined)
    expect(fault(LINEAR, Access.read | Access.implicit)).toBe(P)
  })
})

describe('EPT', () => {
  const LINEAR = 0x0040_3123n
  const EPT4 = 0x8_0000
  const EPT3 = 0x8_1000
  const EPT2 = 0x8_2000
  const EPT1 = 0x8_3000
  const leaf = (hpa: number, rights = 7n): bigint => BigInt(hpa) | rights | (6n << 3n)
  const eptp = (bits = 0): number => EPT4 | 0x1e | bits
  const HOST = 0x2_0000

  /** Guest-physical 0..1 MiB is at host physical HOST.. */
  beforeEach(() => {
    state.cr0 = BigInt(x86.CR0_PG | x86.CR0_PE)
    state.cr3 = BigInt(ROOT)
    put(EPT4, BigInt(EPT3) | 7n)
    put(EPT3, BigInt(EPT2) | 7n)
    put(EPT2, BigInt(EPT1) | 7n)
    for (let i = 0; i < 16; i++) put(EPT1 + i * 8, leaf(HOST + i * 4096))
    put32(HOST + ROOT + 4, TABLE | 7)
    put32(HOST + TABLE + 12, PAGE | 7)
    walker.setEpt(eptp())
  })

  function violation(access: number, linear = LINEAR): [string, number, number] {
    expect(walk(linear, access)).toBe(-1)
    return [walker.fault.kind, walker.fault.gpa, walker.fault.qualification]
  }

  test('two dimensions', () => {
    expect(walk(LINEAR, Access.write)).toBe(HOST + PAGE + 0x123)
    expect(walker.gpa).toBe(PAGE + 0x123)
    expect(get32(HOST + TABLE + 12)).toBe(PAGE | 0x67)
    expect(walker.writable).toBe(true)
    walker.setEpt(undefined)
    put32(ROOT + 4, TABLE | 7)
    put32(TABLE + 12, PAGE | 7)
    expect(walk(LINEAR, Access.read)).toBe(PAGE + 0x123)
  })

  test('guest-physical addresses of microcode', () => {
    expect(walker.walkPhysical(0x3456)).toBe(HOST + 0x3456)
    put(EPT1 + 8, 0n)
    walker.flush()
    expect(walker.walkPhysical(0x1010)).toBe(-1)
    expect([walker.fault.kind, walker.fault.gpa, walker.fault.qualification]).toEqual(['ept-violation', 0x1010, 1])
  })

  test('violations on the translated address: access and rights', () => {
    put(EPT1 + 9 * 8, 0n)
    expect(violation(Access.read)).toEqual(['ept-violation', PAGE + 0x123, 0x181])
    expect(violation(Access.write)).toEqual(['ept-violation', PAGE + 0x123, 0x182])
    expect(violation(Access.fetch)).toEqual(['ept-violation', PAGE + 0x123, 0x184])
    put(EPT1 + 9 * 8, leaf(HOST + PAGE, 1n))
    walker.flush()
    expect(violation(Access.write)).toEqual(['ept-violation', PAGE + 0x123, 0x182 | (1 << 3)])
    expect(violation(Access.fetch)).toEqual(['ept-violation', PAGE + 0x123, 0x184 | (1 << 3)])
    expect(walk(LINEAR, Access.read)).toBe(HOST + PAGE + 0x123)
    expect([walker.writable, walker.executable, walker.readable]).toEqual([false, false, true])
    put(EPT2, BigInt(EPT1) | 5n)
    put(EPT1 + 9 * 8, leaf(HOST + PAGE))
    walker.flush()
    expect(violation(Access.write)).toEqual(['ept-violation', PAGE + 0x123, 0x182 | (5 << 3)])
    put(EPT1 + 9 * 8, leaf(HOST + PAGE, 4n))
    walker.flush()
    expect(violation(Access.read)).toEqual(['ept-violation', PAGE + 0x123, 0x181 | (4 << 3)])
    expect(walk(LINEAR, Access.fetch)).toBe(HOST + PAGE + 0x123)
    expect(walker.readable).toBe(false)
  })

  test('violations on guest tables', () => {
    put(EPT1 + 4 * 8, 0n)
    expect(violation(Access.write)).toEqual(['ept-violation', TABLE + 12, 0x81])
    put(EPT1 + 4 * 8, leaf(HOST + TABLE, 1n))
    walker.flush()
    // The flags of the entry must be written.
    expect(violation(Access.read)).toEqual(['ept-violation', TABLE + 12, 0x82 | (1 << 3)])
    put32(HOST + TABLE + 12, PAGE | 0x27)
    expect(walk(LINEAR, Access.read)).toBe(HOST + PAGE + 0x123)
  })

  test('misconfigurations', () => {
    const cases: [number, bigint][] = [
      [EPT1 + 9 * 8, leaf(HOST + PAGE, 2n)],
      [EPT1 + 9 * 8, leaf(HOST + PAGE, 6n)],
      [EPT1 + 9 * 8, BigInt(HOST + PAGE) | 7n | (2n << 3n)],
      [EPT1 + 9 * 8, BigInt(HOST + PAGE) | 7n | (7n << 3n)],
      [EPT1 + 9 * 8, leaf(HOST + PAGE) | (1n << 44n)],
      [EPT2, BigInt(EPT1) | 7n | 8n],
      [EPT4, BigInt(EPT3) | 7n | 0x80n],
      [EPT2, leaf(0x20_1000) | 0x80n],
      [EPT3, leaf(0x4020_0000) | 0x80n],
      [EPT4, 0x7fff_f000n | 7n],
    ]
    for (const [at, value] of cases) {
      walker.flush()
      const old = get(at)
      put(at, value)
      const beyond = at === EPT4 && value === (0x7fff_f000n | 7n)
      const [kind, gpa] = violation(Access.read)
      expect([value, kind]).toEqual([value, 'ept-misconfig'])
      expect(gpa).toBe(at === EPT1 + 9 * 8 ? PAGE + 0x123 : ROOT + 4)
      expect(beyond || get(at) === value).toBe(true)
      put(at, old)
    }
  })

  test('large pages', () => {
    put(EPT2, leaf(0x40_0000) | 0x80n)
    expect(walker.walkPhysical(0x1_2345)).toBe(0x41_2345)
    put(EPT3, leaf(0x4000_0000) | 0x80n)
    walker.flush()
    expect(walker.walkPhysical(0x3_f1_2345)).toBe(0x43f1_2345)
    put(EPT3, BigInt(EPT2) | 7n)
    expect(walker.walkPhysical(0x3_f1_2345)).toBe(0x43f1_2345)
    walker.flush()
    expect(walker.walkPhysical(0x3_f1_2345)).toBe(-1)
  })

  test('accessed and dirty flags of EPT; walks of guest tables count as writes', () => {
    walker.setEpt(eptp(x86.EPTP_ACCESSED_DIRTY))
    put32(HOST + TABLE + 12, PAGE | 0x67)
    put32(HOST + ROOT + 4, TABLE | 0x27)
    expect(walk(LINEAR, Access.read)).toBe(HOST + PAGE + 0x123)
    expect(walker.writable).toBe(false)
    expect(get(EPT4) & 0x100n).toBe(0x100n)
    expect(get(EPT1 + 8) & 0x300n).toBe(0x300n)
    expect(get(EPT1 + 9 * 8) & 0x300n).toBe(0x100n)
    expect(walk(LINEAR, Access.write)).toBe(HOST + PAGE + 0x123)
    expect(walker.writable).toBe(true)
    expect(get(EPT1 + 9 * 8) & 0x300n).toBe(0x300n)
    put(EPT1 + 4 * 8, leaf(HOST + TABLE, 1n))
    walker.flush()
    expect(violation(Access.read)).toEqual(['ept-violation', TABLE + 12, 0x83 | (1 << 3)])
  })

  test('long mode and PAE tables are guest-physical', () => {
    state.cr4 = BigInt(x86.CR4_PAE)
    put(HOST + ROOT, BigInt(DIR2) | 1n)
    put(HOST + DIR2 + 16, BigInt(TABLE) | PWU)
    put(HOST + TABLE + 24, BigInt(PAGE) | PWU)
    expect(walk(LINEAR, Access.write)).toBe(HOST + PAGE + 0x123)
    state.efer = BigInt(x86.EFER_LMA | x86.EFER_LME)
    put(HOST + ROOT, BigInt(DIR3) | PWU)
    put(HOST + DIR3, BigInt(DIR2) | PWU)
    expect(walk(LINEAR, Access.write)).toBe(HOST + PAGE + 0x123)
    expect(get(HOST + ROOT) & 0x20n).toBe(0x20n)
  })
})
