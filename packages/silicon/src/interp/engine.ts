import { CR4_SMAP, cpuState, Exception } from '@guestmode/x86'
import { Access, type Cpu, type Microcode } from '../cpu/cpu.ts'
import { GuestFault, VmExit } from '../cpu/events.ts'
import type { PrivateLayout } from '../machine/private-layout.ts'
import { Tlb } from '../machine/tlb.ts'
import { MemoryAccess, type Walker } from './access.ts'
import { BlockCache } from './block-cache.ts'
import { bulkString } from './bulk-string.ts'
import { ChainExit } from './chain-exit.ts'
import { codeModeNumber, codeModes, longMode } from './code-mode.ts'
import { Decoder, maxInstructionBytes } from './decoder.ts'
import { Handlers } from './handlers.ts'
import { Record } from './record.ts'
import { RecordWriter } from './record-writer.ts'
import { hostCallNames, type HostCalls } from './host-calls.ts'
import { FixedHandler } from './loop.ts'
import { warmShapes } from './warm-shapes.ts'

const f = cpuState.fields
const pageSize = 4096
const itlbSize = 512
/** Instructions that cross pages and stay decoded. */
const crossingSlots = 256
const RFLAGS_TF = 0x100
const BLOCKING_BY_MOV_SS = 2
const [ES, CS, SS, DS] = [0, 1, 2, 3]
const fpuKinds = ['x87', 'mmx', 'sse'] as const

/** What the engine needs of the processor around it. */
export interface EngineParts {
  readonly cpu: Cpu
  readonly layout: PrivateLayout
  readonly walker: Walker
  trapOf(linHi: number, linLo: number, access: number): GuestFault | VmExit
  readonly microcode: (mnemonic: string) => Microcode | undefined
  readonly routines: ReadonlyMap<string, (cpu: Cpu, args: bigint[]) => readonly bigint[]>
  fpuTrap(kind: 'x87' | 'mmx' | 'sse'): GuestFault
  /** Delivers an exception, or throws VmExit. */
  raise(fault: GuestFault): void
}

/** Executes instructions: finds or makes their records and runs chains of handlers over them. */
export class Engine implements HostCalls {
  readonly tlb: Tlb
  readonly access: MemoryAccess
  private readonly parts: EngineParts
  private readonly cpu: Cpu
  private readonly blocks: BlockCache
  private readonly handlers: Handlers
  private readonly decoder: Decoder
  private readonly routines: readonly ((cpu: Cpu, args: bigint[]) => readonly bigint[])[]
  /** Word index of the CPU state. */
  private readonly s: number
  private trap: GuestFault | VmExit | undefined
  /** The VM exit that ends the `run` in progress. */
  private exit: VmExit | undefined
  private mode = 0
  private user: 0 | 1 = 0
  /** Linear address of RIP 0. */
  private codeBase = 0
  private codeLimit = 0xffff_ffff
  /** By privilege: what the jump cache was filled under. */
  private readonly jumpKeys = [
    { mode: -1, base: 0, limit: 0 },
    { mode: -1, base: 0, limit: 0 },
  ]
  private readonly itlb = {
    high: new Uint32Array(itlbSize),
    low: new Uint32Array(itlbSize),
    hpa: new Float64Array(itlbSize).fill(-1),
  }
  /** Two records for one instruction that is not in the cache; behind them, two for each of `crossings`. */
  private readonly single: number
  private readonly crossings: ({ mode: number; low: number; high: number; bytes: Uint8Array } | undefined)[] = []
  /** Budget of the `run` in progress. */
  private granted = 0
  /** The blocking that `passBlocking` has taken away last, and when. */
  private passed: { readonly blocking: number; readonly consumed: number } | undefined
  /** Executing exactly one instruction. */
  private stepping = false
  /** The trap is of a fetch: `rip` is exact, and no record belongs to it. */
  private fetchFailed = false
  /** POPF is the last thing its instruction does, and may change TF and IF. */
  private readonly popf: number

  constructor(parts: EngineParts) {
    this.parts = parts
    this.cpu = parts.cpu
    const { mem } = parts.cpu
    const { layout } = parts
    this.s = layout.state >> 2
    this.tlb = new Tlb(mem, layout)
    this.single = layout.records
    this.blocks = new BlockCache(mem, layout.records + (1 + crossingSlots) * 2 * Record.size, layout.recordsEnd)
    this.access = new MemoryAccess({
      mem,
      base: layout.state,
      tlb: this.tlb,
      blocks: this.blocks,
      walker: parts.walker,
      trapOf: (high, low, access) => parts.trapOf(high, low, access),
      is64BitCode: () => this.mode === longMode,
      smap: () => (mem.u32[this.s + (f.cr4.offset >> 2)]! & CR4_SMAP) !== 0,
    })
    this.routines = [...parts.routines.values()]
    this.popf = [...parts.routines.keys()].indexOf('popf')
    const host = Object.fromEntries(
      hostCallNames.map((name) => [name, (this[name] as (...args: never[]) => unknown).bind(this)]),
    ) as unknown as HostCalls
    this.handlers = new Handlers(mem, layout.state, host, [...parts.routines.keys()], warmShapes())
    this.decoder = new Decoder({
      mem,
      blocks: this.blocks,
      handlers: this.handlers,
      writer: new RecordWriter(mem),
      hasFeature: (name) => parts.cpu.hasFeature(name),
      hasMicrocode: (mnemonic) => parts.microcode(mnemonic) !== undefined,
    })
    this.modeChanged()
  }

  /**
   * Runs about `instructions` instructions from `state.rip` on; less when the processor stops being active. A VM exit is
   * returned, or thrown where it arises at a boundary or in a delivery, with `state.rip` at the instruction that caused it.
   */
  run(instructions: number): VmExit | undefined {
    this.exit = undefined
    this.passed = undefined
    const { mem, state } = this.cpu
    const budgetAt = this.s + (f.budget.offset >> 2)
    mem.i32[budgetAt] = instructions
    this.granted = instructions
    try {
      while (mem.i32[budgetAt]! > 0 && state.activity === 0 && this.exit === undefined) {
        const nonRoot = this.cpu.nonRoot
        if (nonRoot?.watching) nonRoot.boundary()
        if (this.mustStep()) this.step()
        else this.chain()
      }
    } finally {
      state.instructions += BigInt(this.consumed)
      this.granted = 0
    }
    return this.exit
  }

  /** Instructions that the `run` in progress has executed, as of the last transfer of control; 0 between runs. */
  get consumed(): number {
    return this.granted === 0 ? 0 : this.granted - this.cpu.mem.i32[this.s + (f.budget.offset >> 2)]!
  }

  modeChanged(): void {
    const { mem } = this.cpu
    const { s } = this
    const { u32 } = mem
    const longActive = (u32[s + (f.efer.offset >> 2)]! & 0x400) !== 0
    const cs = u32[s + (f.segAccess.offset >> 2) + CS]!
    const codeWidth = longActive && (cs & 0x2000) !== 0 ? 64 : (cs & 0x4000) !== 0 ? 32 : 16
    const stackWidth = codeWidth === 64 ? 64 : (u32[s + (f.segAccess.offset >> 2) + SS]! & 0x4000) !== 0 ? 32 : 16
    mem.u32[s + (f.codeWidth.offset >> 2)] = codeWidth
    mem.u32[s + (f.stackWidth.offset >> 2)] = stackWidth
    const flat =
      codeWidth === 64 || (this.isFlat(CS, true) && this.isFlat(DS, false) && this.isFlat(ES, false) && this.isFlat(SS, false))
    this.mode = codeModeNumber(codeWidth, stackWidth, flat)
    this.user = u32[s + (f.cpl.offset >> 2)] === 3 ? 1 : 0
    this.codeBase = codeWidth === 64 ? 0 : u32[s + (f.segBase.offset >> 2) + 2 * CS]!
    this.codeLimit = codeWidth === 64 ? 0xffff_ffff : u32[s + (f.segLimit.offset >> 2) + CS]!
    const cr0 = u32[s + (f.cr0.offset >> 2)]!
    // CR0.EM (2) and TS (3); CR4.OSFXSR (9).
    const x87 = (cr0 & 0xc) !== 0
    mem.u32[s + (f.fpuTrap.offset >> 2)] = (x87 ? 1 : 0) | (x87 || (u32[s + (f.cr4.offset >> 2)]! & 0x200) === 0 ? 2 : 0)
    this.tlb.usePrivilege(this.user)
    const key = this.jumpKeys[this.user]!
    if (key.mode !== this.mode || key.base !== this.codeBase || key.limit !== this.codeLimit) {
      this.tlb.flushJumps(this.user)
      key.mode = this.mode
      key.base = this.codeBase
      key.limit = this.codeLimit
    }
  }

  flushTlb(): void {
    this.tlb.flush()
    this.itlb.hpa.fill(-1)
  }

  flushPage(high: number, low: number): void {
    this.tlb.flushPage(high, low)
    this.itlb.hpa.fill(-1)
  }

  /** Host physical memory was written from outside. */
  written(hpa: number, length: number): void {
    for (let at = hpa; at < hpa + length;) {
      const size = Math.min(pageSize - (at & 0xfff), hpa + length - at)
      this.blocks.written(at, size)
      at += size
    }
  }

  // What generated code calls.

  lookup(): number {
    const { mem } = this.cpu
    if (this.stepping) return 0
    const ripAt = this.s + (f.rip.offset >> 2)
    const ripLow = mem.u32[ripAt]!
    const ripHigh = mem.u32[ripAt + 1]!
    const cached = this.tlb.cachedJump(ripHigh, ripLow)
    if (cached !== 0 && mem.u32[cached >> 2] !== FixedHandler.resync) {
      this.setRipBase(ripHigh, ripLow, mem.u16[(cached + Record.pageOffset) >> 1]!)
      return cached
    }
    const hpa = this.fetchAddress(ripHigh, ripLow)
    if (hpa < 0) return 0
    let record = this.blocks.find(hpa, this.mode)
    if (record === 0) {
      if (!this.isMemory(hpa)) {
        this.setTrap(new GuestFault(Exception.GP, 0))
        return 0
      }
      const { generation } = this.blocks
      record = this.decoder.block(hpa, this.mode, () => this.tlb.protectPage(mem.physBase + hpa))
      if (generation !== this.blocks.generation) {
        this.tlb.flushJumps(0)
        this.tlb.flushJumps(1)
      }
    }
    this.setRipBase(ripHigh, ripLow, hpa & 0xfff)
    this.tlb.cacheJump(ripHigh, ripLow, record)
    return record
  }

  link(record: number, offset: number): void {
    if (record < this.single + (1 + crossingSlots) * 2 * Record.size) return
    const { mem } = this.cpu
    const ripBaseAt = this.s + (f.ripBase.offset >> 2)
    const low = mem.u32[ripBaseAt]!
    const sum = low + mem.u16[(record + Record.pageOffset) >> 1]!
    const here = this.fetchAddress((mem.u32[ripBaseAt + 1]! + (sum > 0xffff_ffff ? 1 : 0)) >>> 0, sum >>> 0)
    if (here < 0) {
      // The page is in execution, so this can only be the limit of the code segment; `jump` will find out.
      this.clearTrap()
      return
    }
    // RIP must not wrap between here and the target.
    const target = low + offset
    if (this.mode !== longMode && (target > this.codeLimit || target > 0xffff_ffff)) return
    const hpa = here - (here & 0xfff) + offset
    const { generation } = this.blocks
    const found =
      this.blocks.find(hpa, this.mode) || this.decoder.block(hpa, this.mode, () => this.tlb.protectPage(mem.physBase + hpa))
    if (generation !== this.blocks.generation) {
      this.tlb.flushJumps(0)
      this.tlb.flushJumps(1)
    } else mem.u32[(record + Record.link) >> 2] = found
  }

  microcode(record: number): number {
    const { cpu, decoder } = this
    const { mem } = cpu
    const budgetAt = this.s + (f.budget.offset >> 2)
    const micro = decoder.micro(record)
    if (micro.kind === 'crossing') return this.crossing()
    if (micro.kind === 'fault') {
      this.setTrap(new GuestFault(micro.vector, micro.errorCode))
      return 0
    }
    const count = mem.u8[record + Record.count]!
    const { insn } = micro
    const ripAt = this.s + (f.rip.offset >> 2)
    const low = mem.u32[ripAt]! + insn.length
    if (low <= 0xffff_ffff) cpu.nextRip = (BigInt(mem.u32[ripAt + 1]!) << 32n) | BigInt(low)
    else cpu.nextRip = BigInt.asUintN(this.mode === longMode ? 64 : 32, cpu.state.rip + BigInt(insn.length))
    try {
      const exit = this.parts.microcode(insn.mnemonic)!(cpu, insn)
      if (exit !== undefined) {
        this.setTrap(exit)
        return 0
      }
    } catch (error) {
      this.setTrap(error)
      return 0
    }
    mem.i32[budgetAt]! -= count
    cpu.state.rip = cpu.nextRip
    if (mem.i32[budgetAt]! < 0) {
      this.exitChain(ChainExit.budget)
      return 0
    }
    const nonRoot = cpu.nonRoot
    if (!this.stepping && (nonRoot === undefined || !nonRoot.watching)) this.passBlocking()
    if (this.needsBoundary()) {
      this.exitChain(ChainExit.boundary)
      return 0
    }
    return this.lookup()
  }

  readSlow(): number {
    const { mem } = this.cpu
    const at = this.s + (f.accessLinear.offset >> 2)
    return this.orTrap(
      this.access.read(
        mem.u32[at + 1]!,
        mem.u32[at]!,
        mem.u32[this.s + (f.accessSize.offset >> 2)]!,
        this.user ? Access.user : 0,
      ),
    )
  }

  writeSlow(): number {
    return this.writeAccess(false)
  }

  modifySlow(): number {
    return this.writeAccess(true)
  }

  commit(): void {
    this.access.commit()
  }

  segmentSlow(segment: number, write: number): void {
    const { mem } = this.cpu
    const { s } = this
    const at = s + (f.accessLinear.offset >> 2)
    const offset = mem.u32[at]!
    const size = mem.u32[s + (f.accessSize.offset >> 2)]!
    const access = mem.u32[s + (f.segAccess.offset >> 2) + segment]!
    const limit = mem.u32[s + (f.segLimit.offset >> 2) + segment]!
    const protectedMode =
      (mem.u32[s + (f.cr0.offset >> 2)]! & 1) !== 0 && (mem.u32[s + (f.flagsSystem.offset >> 2)]! & 0x20000) === 0
    const isCode = (access & 8) !== 0
    const allowed =
      !protectedMode || ((access & 0x10000) === 0 && (write ? !isCode && (access & 2) !== 0 : !isCode || (access & 2) !== 0))
    const last = offset + size - 1
    const expandDown = !isCode && (access & 4) !== 0
    const within = expandDown ? offset > limit && last <= ((access & 0x4000) !== 0 ? 0xffff_ffff : 0xffff) : last <= limit
    if (!allowed || !within) {
      this.setTrap(new GuestFault(segment === SS ? Exception.SS : Exception.GP, 0))
      return
    }
    mem.u32[at] = offset + mem.u32[s + ((f.segBase.offset + 8 * segment) >> 2)]!
    mem.u32[at + 1] = 0
  }

  named(routine: number): number {
    const { cpu } = this
    this.locate()
    const { args } = cpu.state
    try {
      const results = this.routines[routine]!(cpu, [args.get(0), args.get(1), args.get(2), args.get(3)])
      results.forEach((value, i) => args.set(i, BigInt.asUintN(64, value)))
      if (routine === this.popf && this.needsBoundary()) {
        const record = cpu.mem.u32[this.s + (f.record.offset >> 2)]!
        cpu.mem.i32[this.s + (f.budget.offset >> 2)]! -= cpu.mem.u8[record + Record.count]!
        cpu.state.rip = cpu.nextRip
        this.exitChain(ChainExit.boundary)
        return 0
      }
    } catch (error) {
      this.setTrap(error)
      return 0
    }
    return 1
  }

  fault(vector: number, errorCode: number): void {
    this.setTrap(new GuestFault(vector, errorCode < 0 ? undefined : errorCode))
  }

  fpuFault(kind: number): void {
    this.setTrap(this.parts.fpuTrap(fpuKinds[kind]!))
  }

  bulkString(record: number): void {
    const { mem } = this.cpu
    bulkString(
      {
        mem,
        base: this.parts.layout.state,
        tlb: this.tlb,
        flat: codeModes[this.mode]!.flat,
        written: (offset, length) => this.blocks.written(offset - mem.physBase, length),
      },
      record,
    )
  }

  /** Before an access that can't be repeated, or a microcode routine: `rip` and `nextRip` of the instruction in `record`. */
  private locate(): void {
    const { cpu } = this
    const { mem } = cpu
    const record = mem.u32[this.s + (f.record.offset >> 2)]!
    const reach = this.mode === longMode ? 64 : 32
    const rip = BigInt.asUintN(reach, cpu.state.ripBase + BigInt(mem.u16[(record + Record.pageOffset) >> 1]!))
    cpu.state.rip = rip
    cpu.nextRip = BigInt.asUintN(reach, rip + BigInt(mem.u8[record + Record.length]!))
  }

  private writeAccess(modify: boolean): number {
    const { mem } = this.cpu
    const at = this.s + (f.accessLinear.offset >> 2)
    const size = mem.u32[this.s + (f.accessSize.offset >> 2)]!
    return this.orTrap(this.access.write(mem.u32[at + 1]!, mem.u32[at]!, size, this.user ? Access.user : 0, modify))
  }

  private orTrap(address: number): number {
    if (address === 0) this.setTrap(this.access.trap!)
    return address
  }

  /** Ends the chain for what the instruction in `record` has come to. Rethrows what is neither fault nor exit. */
  private setTrap(trap: unknown): void {
    if (!(trap instanceof GuestFault) && !(trap instanceof VmExit)) throw trap
    this.trap = trap
    this.exitChain(ChainExit.trap)
  }

  private clearTrap(): void {
    this.trap = undefined
    this.exitChain(ChainExit.none)
  }

  private exitChain(why: number): void {
    this.cpu.mem.u32[this.s + (f.chainExit.offset >> 2)] = why
  }

  /** TF, and blocking by STI or MOV SS, are matters of a single instruction. */
  private mustStep(): boolean {
    const { mem } = this.cpu
    return (
      (mem.u32[this.s + (f.flagsSystem.offset >> 2)]! & RFLAGS_TF) !== 0 ||
      (mem.u32[this.s + (f.interruptibility.offset >> 2)]! & 3) !== 0 ||
      this.cpu.nonRoot?.singleStep === true
    )
  }

  /**
   * Blocking by STI or MOV SS lasts for the next instruction, before which no interrupt can come here. Unless it does not complete,
   * nobody sees the blocking, and the chain goes on.
   */
  private passBlocking(): void {
    const { mem } = this.cpu
    const at = this.s + (f.interruptibility.offset >> 2)
    const blocking = mem.u32[at]! & 3
    if (blocking === 0) return
    mem.u32[at]! &= ~3
    this.passed = { blocking, consumed: this.consumed }
  }

  /** Something must be looked at before the next instruction. */
  private needsBoundary(): boolean {
    return this.cpu.nonRoot?.watching === true || this.mustStep() || this.cpu.state.activity !== 0
  }

  private chain(): void {
    this.exitChain(ChainExit.none)
    const record = this.lookup()
    if (record !== 0) this.handlers.run(record)
    if (this.trap !== undefined) this.takeTrap(record !== 0)
  }

  /** A chain ended in a fault or VM exit. `executed`: in an instruction, not in the fetch of the first one. */
  private takeTrap(executed: boolean): void {
    const { cpu, trap } = this
    const { mem } = cpu
    this.trap = undefined
    if (executed && !this.fetchFailed) {
      const record = mem.u32[this.s + (f.record.offset >> 2)]!
      mem.i32[this.s + (f.budget.offset >> 2)]! -= mem.u8[record + Record.count]! - 1
      this.locate()
    }
    this.fetchFailed = false
    const { passed } = this
    if (passed !== undefined && passed.consumed === this.consumed && trap instanceof VmExit)
      cpu.state.interruptibility |= passed.blocking
    if (trap instanceof VmExit) this.exit = trap
    else this.parts.raise(trap!)
  }

  /** One instruction with what hangs on it: the single-step trap and the end of interrupt blocking. */
  private step(): void {
    const { cpu } = this
    const { mem, state } = cpu
    const budgetAt = this.s + (f.budget.offset >> 2)
    const traced = (state.flagsSystem & RFLAGS_TF) !== 0
    const blocking = state.interruptibility & 3
    const budget = mem.i32[budgetAt]!
    this.exitChain(ChainExit.none)
    const record = this.fetchSingle(this.single, new Uint8Array(maxInstructionBytes))
    let trapped = this.trap !== undefined
    if (record !== 0) {
      mem.i32[budgetAt] = 0
      this.granted -= budget
      this.stepping = true
      try {
        this.handlers.run(record)
      } finally {
        this.stepping = false
        this.granted += budget
      }
      mem.i32[budgetAt] = budget - 1
      trapped = this.trap !== undefined
    }
    // Blocking lasts for one instruction; what this one itself has set stays.
    if (!trapped && blocking !== 0) state.interruptibility &= ~blocking
    if (trapped) {
      if (blocking !== 0 && this.trap instanceof GuestFault) state.interruptibility &= ~blocking
      this.takeTrap(record !== 0)
    } else if (traced && (blocking !== 0 || (state.interruptibility & BLOCKING_BY_MOV_SS) === 0)) {
      // [SDM3 18.3.1.4 "Single-Step Exception Condition"]
      state.dr.set(6, state.dr.get(6) | 0x4000n)
      this.parts.raise(new GuestFault(Exception.DB))
    }
  }

  /** An instruction that crosses into the next page: decoded anew only when its bytes are not those of the last time. */
  private crossing(): number {
    const { mem } = this.cpu
    const ripAt = this.s + (f.rip.offset >> 2)
    const low = mem.u32[ripAt]!
    const slot = (low >>> 12) & (crossingSlots - 1)
    const known = this.crossings[slot]
    const record = this.single + (1 + slot) * 2 * Record.size
    const bytes = new Uint8Array(maxInstructionBytes)
    const { stepping } = this
    if (stepping || known === undefined || known.mode !== this.mode || known.low !== low || known.high !== mem.u32[ripAt + 1]!) {
      const made = this.fetchSingle(record, bytes)
      if (made !== 0) this.crossings[slot] = { mode: this.mode, low, high: mem.u32[ripAt + 1]!, bytes }
      return made
    }
    const first = this.fetchAddress(known.high, low)
    if (first < 0) return 0
    const inPage = pageSize - (first & 0xfff)
    const second = this.fetchAddress(...this.nextPage(known.high, low, inPage))
    if (second < 0) return 0
    this.fetchBytes(bytes, 0, first, inPage)
    this.fetchBytes(bytes, inPage, second, maxInstructionBytes - inPage)
    for (let i = 0; i < maxInstructionBytes; i++)
      if (bytes[i] !== known.bytes[i]) return this.fetchSingle(record, (known.bytes = bytes))
    this.setRipBase(known.high, low, first & 0xfff)
    return record
  }

  private nextPage(high: number, low: number, inPage: number): [high: number, low: number] {
    const next = low + inPage
    return [next > 0xffff_ffff && this.mode === longMode ? (high + 1) >>> 0 : high, next >>> 0]
  }

  /** Fetches and decodes the instruction at `rip`, outside the cache, into a record of its own; 0 after a fault. */
  private fetchSingle(single: number, bytes: Uint8Array): number {
    const { cpu, decoder } = this
    const { mem } = cpu
    const ripAt = this.s + (f.rip.offset >> 2)
    const ripLow = mem.u32[ripAt]!
    const ripHigh = mem.u32[ripAt + 1]!
    const first = this.fetchAddress(ripHigh, ripLow)
    if (first < 0) return 0
    const inPage = Math.min(pageSize - (first & 0xfff), maxInstructionBytes)
    this.fetchBytes(bytes, 0, first, inPage)
    this.setRipBase(ripHigh, ripLow, first & 0xfff)
    if (decoder.single(single, bytes, inPage, first & 0xfff, this.mode)) return single
    const nextLow = ripLow + inPage
    const second = this.fetchAddress(
      nextLow > 0xffff_ffff && this.mode === longMode ? (ripHigh + 1) >>> 0 : ripHigh,
      nextLow >>> 0,
    )
    if (second < 0) return 0
    this.fetchBytes(bytes, inPage, second, maxInstructionBytes - inPage)
    decoder.single(single, bytes, maxInstructionBytes, first & 0xfff, this.mode)
    return single
  }

  private fetchBytes(into: Uint8Array, at: number, hpa: number, length: number): void {
    const { mem } = this.cpu
    if (this.isMemory(hpa)) into.set(mem.u8.subarray(mem.physBase + hpa, mem.physBase + hpa + length), at)
    else into.fill(0xff, at, at + length)
  }

  private isMemory(hpa: number): boolean {
    return hpa - (hpa & 0xfff) + pageSize <= this.cpu.mem.physSize
  }

  private setRipBase(high: number, low: number, offset: number): void {
    const { mem } = this.cpu
    const at = this.s + (f.ripBase.offset >> 2)
    mem.u32[at] = low - offset
    mem.u32[at + 1] = low < offset ? high - 1 : high
  }

  /** Host physical address of the instruction byte at RIP (high, low); -1 with a trap. */
  private fetchAddress(high: number, low: number): number {
    let linHigh = high
    let linLow = low
    if (this.mode === longMode) {
      const top = high >>> 15
      if (top !== 0 && top !== 0x1ffff) return this.failFetch(new GuestFault(Exception.GP, 0))
    } else {
      if (low > this.codeLimit || high !== 0) return this.failFetch(new GuestFault(Exception.GP, 0))
      linLow = (low + this.codeBase) >>> 0
      linHigh = 0
    }
    const { itlb } = this
    const slot = ((linLow >>> 12) & (itlbSize / 2 - 1)) | (this.user ? itlbSize / 2 : 0)
    if (itlb.hpa[slot]! >= 0 && itlb.low[slot] === linLow >>> 12 && itlb.high[slot] === linHigh)
      return itlb.hpa[slot]! + (linLow & 0xfff)
    const access = Access.fetch | (this.user ? Access.user : 0)
    const hpa = this.parts.walker.walk(linHigh, linLow, access)
    if (hpa < 0) return this.failFetch(this.parts.trapOf(linHigh, linLow, access))
    itlb.low[slot] = linLow >>> 12
    itlb.high[slot] = linHigh
    itlb.hpa[slot] = hpa - (hpa & 0xfff)
    return hpa
  }

  private failFetch(trap: GuestFault | VmExit): number {
    this.fetchFailed = true
    this.setTrap(trap)
    return -1
  }

  private isFlat(segment: number, code: boolean): boolean {
    const { mem } = this.cpu
    const access = mem.u32[this.s + (f.segAccess.offset >> 2) + segment]!
    const base = mem.u32[this.s + ((f.segBase.offset + 8 * segment) >> 2)]!
    // Usable; code readable, or data writable and expand-up.
    const kind = code ? (access & 0x1001a) === 0x1a : (access & 0x1001e) === 0x12
    return kind && base === 0 && mem.u32[this.s + (f.segLimit.offset >> 2) + segment] === 0xffff_ffff
  }
}
