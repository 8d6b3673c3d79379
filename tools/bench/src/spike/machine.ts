import { cpuState, type Insn } from '@guestmode/x86'
import {
  BlockCache,
  ChainExit,
  codeModeNumber,
  codeModes,
  createStateView,
  Decoder,
  MachineMemory,
  MemoryAccess,
  privateLayout,
  RecordWriter,
  shapeOf,
  Tlb,
  type CpuStateView,
  type Handlers,
  type HostCalls,
  type PrivateLayout,
  type Shape,
} from './silicon.ts'

const f = cpuState.fields

/** Ways to execute records: generated or written by hand. */
export interface HandlerSet {
  /** Table index of the handler for a shape. */
  index(shape: Shape): number
  run(record: number): void
}

const CS = 1
const SS = 2
const mode = codeModeNumber(32, 32, true)
export const budgetOfOneRun = 1_000_000_000

/** The least that a chain of handlers needs round it: flat 32-bit code, no paging, no faults; HLT ends. */
export class SpikeMachine implements HostCalls {
  readonly mem: MachineMemory
  readonly layout: PrivateLayout
  readonly state: CpuStateView
  /** Every shape that was asked for. */
  readonly shapes: Shape[] = []
  private readonly tlb: Tlb
  private readonly blocks: BlockCache
  private readonly decoder: Decoder
  private readonly access: MemoryAccess
  private readonly handlers: HandlerSet
  private readonly s: number
  private halted = false

  constructor(make: (mem: MachineMemory, base: number, host: HostCalls) => HandlerSet) {
    this.layout = privateLayout(1024, 1 << 20)
    this.mem = new MachineMemory(this.layout.end, 4 << 20)
    const { mem, layout } = this
    this.s = layout.state >> 2
    this.state = createStateView(mem, layout.state)
    this.tlb = new Tlb(mem, layout)
    this.blocks = new BlockCache(mem, layout.records, layout.recordsEnd)
    this.access = new MemoryAccess({
      mem,
      base: layout.state,
      tlb: this.tlb,
      blocks: this.blocks,
      walker: { walk: (_high, low) => low >>> 0, writable: true, userOk: true, leaf: 1 },
      trapOf: () => this.refuse(),
      is64BitCode: () => false,
      smap: () => false,
    })
    this.handlers = make(mem, layout.state, this.bound())
    const index = (shape: Shape): number => {
      this.shapes.push(shape)
      return this.handlers.index(shape)
    }
    const recording = {
      index,
      indexFor: (insn: Insn, modeNumber: number): number => index(shapeOf(insn, codeModes[modeNumber]!)),
    }
    this.decoder = new Decoder({
      mem,
      blocks: this.blocks,
      handlers: recording as unknown as Handlers,
      writer: new RecordWriter(mem),
      hasFeature: () => true,
      hasMicrocode: (mnemonic) => mnemonic === 'HLT',
    })
    this.state.flagsSystem = 2
    for (let segment = 0; segment < 6; segment++) {
      this.state.segAccess.set(segment, segment === CS ? 0xc09b : 0xc093)
      this.state.segLimit.set(segment, 0xffff_ffff)
    }
    this.state.segAccess.set(SS, 0xc093)
    this.state.codeWidth = 32
    this.state.stackWidth = 32
  }

  load(bytes: Uint8Array, at: number): void {
    this.mem.u8.set(bytes, this.mem.physBase + at)
    this.blocks.written(at, bytes.length)
  }

  /** Bytes for the loops to read. */
  fill(at: number, length: number): void {
    const from = this.mem.physBase + at
    for (let i = 0; i < length; i++) this.mem.u8[from + i] = (i * 0x9d) >> 3
  }

  /** Runs from `eip` to HLT; returns the number of instructions. */
  run(eip: number): number {
    const { mem, s, state } = this
    const budgetAt = s + (f.budget.offset >> 2)
    let count = 0
    state.rip = BigInt(eip)
    this.halted = false
    while (!this.halted) {
      mem.i32[budgetAt] = budgetOfOneRun
      mem.u32[s + (f.chainExit.offset >> 2)] = ChainExit.none
      this.handlers.run(this.lookup())
      count += budgetOfOneRun - mem.i32[budgetAt]!
    }
    return count
  }

  /** General registers and flags, to compare two ways of execution. */
  result(): string {
    const registers = [0, 1, 2, 3, 4, 5, 6, 7].map((i) => this.state.gpr.get(i).toString(16))
    return `${registers.join(' ')} ${this.state.flagResult.toString(16)} ${this.state.flagAux.toString(16)}`
  }

  lookup(): number {
    const { mem, s } = this
    const eip = mem.u32[s + (f.rip.offset >> 2)]!
    const record = this.blockAt(eip)
    mem.u32[s + (f.ripBase.offset >> 2)] = eip & ~0xfff
    mem.u32[s + (f.ripBase.offset >> 2) + 1] = 0
    this.tlb.cacheJump(0, eip, record)
    return record
  }

  link(record: number, offset: number): void {
    const { mem, s } = this
    mem.u32[(record + 8) >> 2] = this.blockAt(mem.u32[s + (f.ripBase.offset >> 2)]! + offset)
  }

  microcode(record: number): number {
    this.mem.i32[this.s + (f.budget.offset >> 2)]! -= this.mem.u8[record + 7]!
    this.halted = true
    return 0
  }

  readSlow(): number {
    const [high, low, size] = this.pending()
    return this.access.read(high, low, size, 0)
  }

  writeSlow(): number {
    const [high, low, size] = this.pending()
    return this.access.write(high, low, size, 0, false)
  }

  modifySlow(): number {
    const [high, low, size] = this.pending()
    return this.access.write(high, low, size, 0, true)
  }

  commit(): void {
    this.access.commit()
  }

  segmentSlow(): never {
    return this.refuse()
  }
  named(): never {
    return this.refuse()
  }
  fault(): never {
    return this.refuse()
  }
  fpuFault(): never {
    return this.refuse()
  }
  bulkString(): never {
    return this.refuse()
  }

  private refuse(): never {
    throw new Error('the loops of the spike neither fault nor leave flat 32-bit code')
  }

  private pending(): [high: number, low: number, size: number] {
    const { mem, s } = this
    const at = s + (f.accessLinear.offset >> 2)
    return [mem.u32[at + 1]!, mem.u32[at]!, mem.u32[s + (f.accessSize.offset >> 2)]!]
  }

  private blockAt(address: number): number {
    const protect = (): void => this.tlb.protectPage(this.mem.physBase + address)
    return this.blocks.find(address, mode) || this.decoder.block(address, mode, protect)
  }

  private bound(): HostCalls {
    const names = [
      'lookup',
      'link',
      'microcode',
      'readSlow',
      'writeSlow',
      'modifySlow',
      'commit',
      'segmentSlow',
      'named',
      'fault',
      'fpuFault',
      'bulkString',
    ] as const
    return Object.fromEntries(
      names.map((name) => [name, (this[name] as (...args: never[]) => unknown).bind(this)]),
    ) as unknown as HostCalls
  }
}
