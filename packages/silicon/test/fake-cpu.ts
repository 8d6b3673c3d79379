import { cpuState, decode, encodeDescriptor, encodeGate } from '@guestmode/x86'
import { Access, type Cpu, type CpuidLeaf, type Environment } from '../src/cpu/cpu.ts'
import { GuestFault } from '../src/cpu/events.ts'
import type { NonRoot } from '../src/cpu/non-root.ts'
import { createStateView, type CpuStateView } from '../src/cpu/state-view.ts'
import { MachineMemory } from '../src/machine/memory.ts'
import { createCpuid, defaultModel, loadSegment, microcode, modelHasFeature, powerUp } from '../src/microcode/index.ts'

export const GDT = 0x1000
export const IDT = 0x2000
export const TSS = 0x3000
export const CODE = 0x10000
export const STACK0 = 0x9000
export const STACK3 = 0x7000

/** Selectors of the descriptor table that `protectedMode` and `longMode` make. */
export const sel = {
  code0: 0x08,
  data0: 0x10,
  code3: 0x1b,
  data3: 0x23,
  conforming: 0x28,
  code1: 0x31,
  absentCode: 0x38,
  absentData: 0x40,
  readOnly: 0x48,
  executeOnly: 0x50,
  gate: 0x58,
  gate2: 0x60,
  tss: 0x70,
  tss2: 0x80,
  ldt: 0x90,
  data1: 0xa1,
  code64: 0xa8,
  code64user: 0xb3,
  code32compat: 0xbb,
  taskGate: 0xc0,
  small: 0xc8,
} as const

const model = defaultModel()
const cpuid = createCpuid(model)

/** A processor without an engine: flat memory, linear address = physical address, pages that can be made absent. */
export class FakeCpu implements Cpu {
  readonly mem = new MachineMemory(65536, 0x40000)
  readonly state: CpuStateView = createStateView(this.mem, 0)
  readonly environment: Environment = { now: () => 0n, tsc: () => 1000n, random: () => 0x1234_5678_9abc_def0n }
  nonRoot: NonRoot | undefined
  nextRip = 0n
  absent = new Set<number>()
  readonly flushed: string[] = []
  readonly accesses: { linear: bigint; size: number; access: number }[] = []

  constructor() {
    if (cpuState.size > this.mem.physBase) throw new Error('state too large')
    powerUp(this)
  }

  private check(linear: bigint, size: number, access: number): number {
    this.accesses.push({ linear, size, access })
    for (const at of [linear, linear + BigInt(size - 1)]) {
      if (!this.absent.has(Number(at >> 12n))) continue
      this.state.cr2 = at
      throw new GuestFault(14, (access & Access.write ? 2 : 0) | (access & Access.user ? 4 : 0))
    }
    if (linear + BigInt(size) > BigInt(this.mem.physSize)) throw new Error(`fake memory has no ${linear.toString(16)}`)
    return this.mem.physBase + Number(linear)
  }

  read(linear: bigint, size: 1 | 2 | 4 | 8, access: number): bigint {
    const at = this.check(linear, size, access)
    let value = 0n
    for (let i = size - 1; i >= 0; i--) value = (value << 8n) | BigInt(this.mem.u8[at + i]!)
    return value
  }

  write(linear: bigint, size: 1 | 2 | 4 | 8, value: bigint, access: number): void {
    const at = this.check(linear, size, access)
    for (let i = 0; i < size; i++) this.mem.u8[at + i] = Number((value >> BigInt(8 * i)) & 0xffn)
  }

  probeWrite(linear: bigint, size: number, access: number): void {
    this.check(linear, size, access | Access.write)
  }

  modeChanged(): void {}
  flushTlb(global: boolean): void {
    this.flushed.push(global ? 'all' : 'non-global')
  }
  invalidatePage(linear: bigint): void {
    this.flushed.push(linear.toString(16))
  }
  cpuid(leaf: number, subleaf: number): CpuidLeaf {
    return cpuid(leaf, subleaf)
  }
  hasFeature(name: string): boolean {
    return modelHasFeature(model, name)
  }

  peek(at: number, size: 1 | 2 | 4 | 8 = 4): number {
    const value = this.read(BigInt(at), size, 0)
    this.accesses.pop()
    return Number(value)
  }
  poke(at: number, size: 1 | 2 | 4 | 8, value: number | bigint): void {
    this.write(BigInt(at), size, BigInt(value), 1)
    this.accesses.pop()
  }
  descriptor(selector: number, base: number, limit: number, access: number): void {
    const [low, high] = encodeDescriptor(base, limit, access)
    this.poke(GDT + (selector & ~7), 4, low)
    this.poke(GDT + (selector & ~7) + 4, 4, high)
  }
  gate(at: number, selector: number, offset: number, access: number, parameter = 0): void {
    const [low, high] = encodeGate(selector, offset, access, parameter)
    this.poke(at, 4, low)
    this.poke(at + 4, 4, high)
  }

  /** Runs one instruction of microcode at CS:RIP. Returns its fault. */
  run(hex: string): GuestFault | undefined {
    const bytes = Uint8Array.from(hex.split(' ').map((byte) => parseInt(byte, 16)))
    const width = this.state.codeWidth as 16 | 32 | 64
    const result = decode(bytes, 0, bytes.length, width)
    if (!result.ok) throw new Error(`${hex}: ${result.reason}`)
    const { insn } = result
    const linear = width === 64 ? this.state.rip : this.state.segBase.get(1) + this.state.rip
    if (linear + 16n < BigInt(this.mem.physSize))
      bytes.forEach((byte, i) => (this.mem.u8[this.mem.physBase + Number(linear) + i] = byte))
    this.nextRip = this.state.rip + BigInt(insn.length)
    try {
      microcode[insn.mnemonic]!(this, insn)
    } catch (error) {
      if (error instanceof GuestFault) return error
      throw error
    }
    this.state.rip = this.nextRip
    return undefined
  }
}

/** Real-address mode with CS = DS = ES = SS = 0, code at CODE - 0x8000 or so. */
export function realMode(): FakeCpu {
  const cpu = new FakeCpu()
  loadSegment(cpu, 1, 0x800, 0x8000, 0xffff, 0x93)
  cpu.state.rip = 0x100n
  cpu.state.gpr.set(4, 0x7000n)
  cpu.state.idtrLimit = 0x3ff
  return cpu
}

function table(cpu: FakeCpu): void {
  const flat = 0xffff_ffff
  cpu.descriptor(sel.code0, 0, flat, 0xc09b)
  cpu.descriptor(sel.data0, 0, flat, 0xc093)
  cpu.descriptor(sel.code3, 0, flat, 0xc0fb)
  cpu.descriptor(sel.data3, 0, flat, 0xc0f3)
  cpu.descriptor(sel.conforming, 0, flat, 0xc09f)
  cpu.descriptor(sel.code1, 0, flat, 0xc0ba)
  cpu.descriptor(sel.absentCode, 0, flat, 0xc01b)
  cpu.descriptor(sel.absentData, 0, flat, 0xc013)
  cpu.descriptor(sel.readOnly, 0, flat, 0xc091)
  cpu.descriptor(sel.executeOnly, 0, flat, 0xc099)
  cpu.descriptor(sel.data1, 0, flat, 0xc0b3)
  cpu.descriptor(sel.code64, 0, flat, 0xa09b)
  cpu.descriptor(sel.code64user, 0, flat, 0xa0fb)
  cpu.descriptor(sel.code32compat, 0, flat, 0xc0fb)
  cpu.descriptor(sel.tss, TSS, 0x67, 0x8b)
  cpu.descriptor(sel.ldt, 0x4000, 0x1f, 0x82)
  cpu.descriptor(sel.small, 0, 0xfff, 0x409b)
  cpu.state.gdtrBase = BigInt(GDT)
  cpu.state.gdtrLimit = 0xcf
  cpu.state.idtrBase = BigInt(IDT)
}

/** 32-bit protected mode at a privilege level, flat, interrupts enabled. */
export function protectedMode(cpl: 0 | 3 = 0): FakeCpu {
  const cpu = new FakeCpu()
  const { state } = cpu
  table(cpu)
  state.cr0 = 0x11n
  state.idtrLimit = 0x7ff
  const user = cpl === 3
  loadSegment(cpu, 1, user ? sel.code3 : sel.code0, 0, 0xffff_ffff, user ? 0xc0fb : 0xc09b)
  for (const seg of [0, 2, 3, 4, 5]) loadSegment(cpu, seg, user ? sel.data3 : sel.data0, 0, 0xffff_ffff, user ? 0xc0f3 : 0xc093)
  loadSegment(cpu, 7, sel.tss, TSS, 0x67, 0x8b)
  loadSegment(cpu, 6, 0, 0, 0, 0x10000)
  cpu.poke(TSS + 4, 4, STACK0)
  cpu.poke(TSS + 8, 4, sel.data0)
  cpu.poke(TSS + 0x66, 2, 0x68)
  state.cpl = cpl
  state.codeWidth = 32
  state.stackWidth = 32
  state.rip = BigInt(CODE)
  state.gpr.set(4, BigInt(user ? STACK3 : STACK0))
  state.flagsSystem = 0x202
  return cpu
}

/** 64-bit mode at a privilege level. */
export function longMode(cpl: 0 | 3 = 0): FakeCpu {
  const cpu = protectedMode(cpl)
  const { state } = cpu
  state.cr0 = 0x8000_0011n
  state.cr4 = 0x20n
  state.efer = 0x501n
  state.idtrLimit = 0xfff
  const user = cpl === 3
  loadSegment(cpu, 1, user ? sel.code64user : sel.code64, 0, 0xffff_ffff, user ? 0xa0fb : 0xa09b)
  cpu.poke(TSS + 4, 8, STACK0)
  cpu.poke(TSS + 0x24, 8, 0x5000)
  state.codeWidth = 64
  state.stackWidth = 64
  return cpu
}

/** Virtual-8086 mode with an I/O privilege level; ring 0 is the 32-bit table. */
export function virtual8086(iopl = 3): FakeCpu {
  const cpu = protectedMode(3)
  const { state } = cpu
  state.flagsSystem = 0x20202 | (iopl << 12)
  for (let seg = 0; seg < 6; seg++) loadSegment(cpu, seg, 0x800, 0x8000, 0xffff, 0xf3)
  state.codeWidth = 16
  state.stackWidth = 16
  state.rip = 0x100n
  state.gpr.set(4, 0x1000n)
  return cpu
}

/** A 32-bit gate in the IDT. Access: 0x8e interrupt, 0x8f trap, 0x85 task, 0xee with DPL 3. */
export function idtGate(cpu: FakeCpu, vector: number, selector: number, offset: number, access: number): void {
  cpu.gate(IDT + vector * 8, selector, offset, access)
}

export function idtGate64(cpu: FakeCpu, vector: number, selector: number, offset: number, access: number, ist = 0): void {
  cpu.gate(IDT + vector * 16, selector, offset, access, ist)
  cpu.poke(IDT + vector * 16 + 8, 8, 0)
}
