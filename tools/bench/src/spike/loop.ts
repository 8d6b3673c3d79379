import { ModuleWriter, WebAssembly } from '@guestmode/wasm-emit'
import { cpuState, type CpuField } from '@guestmode/x86'
import { branchTable, LoopCode } from './loop-code.ts'
import type { HandlerSet } from './machine.ts'
import {
  ChainExit,
  FixedHandler,
  importHostCalls,
  jumpEntry,
  jumpIndexBits,
  Record,
  shapeKey,
  writeSupport,
  type Callees,
  type HostCalls,
  type MachineMemory,
  type Shape,
} from './silicon.ts'

/** Writes the body of one handler, up to its transfer to the next record. */
export type HandlerWriter = (code: LoopCode, callees: Callees, shape: Shape) => void

const record = 0

/**
 * All handlers as cases of one function: a loop that branches by the handler's number in the record. No tail call and no
 * table stands between two instructions, and the code is one unit to the engine's compiler.
 */
export class LoopHandlers implements HandlerSet {
  readonly run: (record: number) => void
  readonly moduleBytes: number
  private readonly indices = new Map<string, number>()
  private readonly base: number

  constructor(mem: MachineMemory, base: number, host: HostCalls, shapes: readonly Shape[], write: HandlerWriter) {
    this.base = base
    const module = new ModuleWriter()
    const calls = importHostCalls(module)
    module.importMemory('machine', 'memory', 1, 65536, mem.shared)
    module.defineTable(16)
    const callees = { ...calls, ...writeSupport(module, calls, base) }
    const func = module.declare(module.type(['i32'], []))
    const code = new LoopCode(1)
    const rip = code.permanent('i64')
    const next = code.loop()
    const jump = code.block()
    const cases = [...shapes.keys()].map(() => code.block()).reverse()
    const [resync, endOfBlock, microcode, none] = [code.block(), code.block(), code.block(), code.block()]
    const goOn = (): void => void code.set(record).branch(next)
    const goOnOrReturn = (): void => {
      code.tee(record).branchIf(next)
      code.return()
    }
    code.tails.set(callees.dispatch, goOn)
    code.tails.set(callees.jump, () => code.set(record).set(rip).branch(jump))
    code.get(record).memory('i32.load', Record.handler)
    branchTable(code, [none, microcode, endOfBlock, resync, ...cases], none)
    code.end().unreachable()
    code.end()
    this.putRip(code)
    this.storeRip(code)
    code.get(record).call((callees as unknown as { microcode: number }).microcode)
    goOnOrReturn()
    code.end()
    this.putRip(code)
    code.i64(0xffff_ffffn).op('i64.and').set(rip).branch(jump)
    code.end()
    this.putRip(code)
    this.storeRip(code)
    code.i32(0).i32(0).memory('i32.load', this.field('budget')).get(record).memory('i32.load8_u', Record.count).op('i32.sub')
    code.i32(1).op('i32.add').memory('i32.store', this.field('budget'))
    code.call((callees as unknown as { lookup: number }).lookup)
    goOnOrReturn()
    code.tails.set(callees.branch, () => this.branch(code, callees, rip, jump))
    shapes.forEach((shape, i) => {
      this.indices.set(shapeKey(shape), FixedHandler.count + i)
      code.end()
      write(code, callees, shape)
      code.release()
    })
    code.end()
    this.jump(code, callees, rip, next)
    code.end()
    module.define(func, code)
    module.export('run', 'func', func)
    const bytes = module.encode()
    this.moduleBytes = bytes.length
    const imports = { host: { ...host }, machine: { memory: mem.memory } }
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), imports)
    this.run = exports['run'] as (record: number) => void
  }

  index(shape: Shape): number {
    const index = this.indices.get(shapeKey(shape))
    if (index === undefined) throw new Error(`the loop has no case for ${shapeKey(shape)}`)
    return index
  }

  private field(name: CpuField): number {
    return this.base + cpuState.fields[name].offset
  }

  private putRip(code: LoopCode): void {
    code.i32(0).memory('i64.load', this.field('ripBase')).get(record).memory('i64.load16_u', Record.pageOffset).op('i64.add')
  }

  private storeRip(code: LoopCode): void {
    const rip = code.local('i64')
    code.set(rip).i32(0).get(rip).memory('i64.store', this.field('rip'))
  }

  /** A relative branch whose link is not known; the record is on the stack. */
  private branch(code: LoopCode, callees: Callees, rip: number, jump: number): void {
    const offset = code.local('i64')
    code.set(record)
    code.get(record).memory('i64.load16_u', Record.pageOffset).get(record).memory('i64.load8_u', Record.length).op('i64.add')
    code.get(record).memory('i64.load', Record.immediate).op('i64.add').tee(offset)
    code.i64(4096n).op('i64.lt_u').get(record).memory('i32.load', Record.link).op('i32.eqz').op('i32.and').if()
    code
      .get(record)
      .get(offset)
      .op('i32.wrap_i64')
      .call((callees as unknown as { link: number }).link)
    code.end()
    code.i32(0).memory('i64.load', this.field('ripBase')).get(offset).op('i64.add').i64(0xffff_ffffn).op('i64.and')
    code.set(rip).branch(jump)
  }

  /** Continues at the RIP in its local; `record` is of the transfer. */
  private jump(code: LoopCode, callees: Callees, rip: number, next: number): void {
    const [entry, left] = [code.local('i32'), code.local('i32')]
    code.i32(0)
    code.i32(0).memory('i32.load', this.field('budget')).get(record).memory('i32.load8_u', Record.count).op('i32.sub').tee(left)
    code.memory('i32.store', this.field('budget'))
    code.get(left).i32(0).op('i32.lt_s').if()
    code.i32(0).get(rip).memory('i64.store', this.field('rip'))
    code.i32(0).i32(ChainExit.budget).memory('i32.store', this.field('chainExit'))
    code.return().end()
    code.get(rip).op('i32.wrap_i64').get(rip).i64(BigInt(jumpIndexBits)).op('i64.shr_u').op('i32.wrap_i64').op('i32.xor')
    code
      .i32((1 << jumpIndexBits) - 1)
      .op('i32.and')
      .i32(jumpEntry.log2Size)
      .op('i32.shl')
    code.i32(0).memory('i32.load', this.field('jumpCache')).op('i32.add').tee(entry)
    code.memory('i64.load', jumpEntry.tag).get(rip).op('i64.eq').if()
    code.i32(0).get(rip).get(entry).memory('i32.load', jumpEntry.record).tee(record)
    code.memory('i64.load16_u', Record.pageOffset).op('i64.sub').memory('i64.store', this.field('ripBase'))
    code.branch(next)
    code.end()
    code.i32(0).get(rip).memory('i64.store', this.field('rip'))
    code.i32(0).get(record).memory('i32.store', this.field('record'))
    code
      .call((callees as unknown as { lookup: number }).lookup)
      .tee(record)
      .branchIf(next)
  }
}
