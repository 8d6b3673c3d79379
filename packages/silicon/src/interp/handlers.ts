import { Code, ModuleWriter, WebAssembly, type WasmTable, type ValType } from '@guestmode/wasm-emit'
import { semantics, type Insn, type Subroutine } from '@guestmode/x86'
import type { MachineMemory } from '../machine/memory.ts'
import { constant, valTypeOf, type Node } from '../stage/graph.ts'
import { Stage, type Callees, type StageContext } from '../stage/stage.ts'
import { HandlerStage } from './handler-stage.ts'
import { codeModes } from './code-mode.ts'
import { FunctionCode, type LoopCode } from './handler-code.ts'
import { importHostCalls, type HostCalls } from './host-calls.ts'
import { FixedHandler, writeLoop } from './loop.ts'
import { shapeKey, shapeOf, type Shape } from './shape.ts'
import { signatureOf } from './signature.ts'
import { Fragments, importSupport, supportSignatures, writeSupport } from './support.ts'

const tableSize = 1 << 15
const maxPages = 65536
/** Handlers that are cases of the loop: engines compile larger functions with a cheaper register allocator. */
const loopCases = 300

/** Stages a shared subroutine: its parameters are the function's, its results are left on the stack. */
class SubroutineStage extends Stage {
  constructor(context: StageContext, sub: Subroutine) {
    super(context)
    const params = sub.params.map((width, i) => this.graph.localNode(width, i))
    const results = sub.body(this as never, ...params) as Node[]
    this.graph.effect(results, (put) => results.forEach(put))
    this.results = sub.results.map((width) => valTypeOf(width))
    this.graph.emit()
  }

  private readonly results: readonly ValType[]

  protected storeRecord(): void {
    // The caller has done so.
  }

  protected leave(): void {
    for (const type of this.results) {
      const zero = constant(type === 'i64' ? 64 : type === 'v128' ? 128 : type === 'i32' ? 32 : type, 0)
      this.graph.putConstant(zero)
    }
    this.code.return()
  }
}

/** Writes functions into one module: handlers, and the subroutines that they call. */
class ModuleContext {
  readonly module: ModuleWriter
  readonly callees: Callees
  private readonly subroutines = new Map<Subroutine, { func: number; mayFault: boolean }>()
  private readonly base: number
  private readonly physBase: number
  private readonly routine: (name: string) => number

  constructor(module: ModuleWriter, callees: Callees, base: number, physBase: number, routine: (name: string) => number) {
    this.module = module
    this.callees = callees
    this.base = base
    this.physBase = physBase
    this.routine = routine
  }

  /** A handler as a function. */
  handler(shape: Shape): number {
    const func = this.module.declare(this.module.type(['i32'], ['i32']))
    const code = new FunctionCode(1)
    this.write(code, shape, (record, offset) => {
      code.get(record)
      if (offset !== 0) code.i32(offset).op('i32.add')
      code.return()
    })
    code.unreachable()
    this.module.define(func, code)
    return func
  }

  /** Writes the handler of a shape; `next` emits the transfer to the record `offset` bytes behind the one in a local. */
  write(code: Code, shape: Shape, next: (record: number, offset: number) => void): void {
    const semantic = semantics[shape.mnemonic]
    if (!semantic) throw new Error(`${shape.mnemonic} has no semantic function`)
    const stage = new HandlerStage({ ...this.context(code), next }, shape, this.physBase)
    stage.finish(() => semantic(stage, ...stage.operands))
  }

  private context(code: Code): StageContext {
    return {
      code,
      callees: this.callees,
      base: this.base,
      routine: this.routine,
      subroutine: (sub) => this.subroutine(sub),
    }
  }

  private subroutine(sub: Subroutine): { func: number; mayFault: boolean } {
    const known = this.subroutines.get(sub)
    if (known) return known
    const func = this.module.declare(this.module.type(sub.params.map(valTypeOf), sub.results.map(valTypeOf)))
    const code = new Code(sub.params.length)
    const stage = new SubroutineStage(this.context(code), sub)
    this.module.define(func, code)
    const made = { func, mayFault: stage.mayFault }
    this.subroutines.set(sub, made)
    return made
  }
}

/**
 * The handlers of one processor. The first module owns the table and the loop; handlers of shapes that it lacks are made as the
 * shapes are first decoded, each in a module that does not import the table (on some engines each importer makes all others dearer).
 */
export class Handlers {
  private readonly table: WasmTable
  private readonly exports: Record<string, unknown>
  private readonly indices = new Map<string, number>()
  private readonly bySignature = new Map<number, number>()
  private readonly mem: MachineMemory
  private readonly base: number
  private readonly host: HostCalls
  private readonly routineNumbers = new Map<string, number>()
  private next: number = FixedHandler.count
  /** Runs a chain of handlers from a record on. */
  readonly run: (record: number) => void

  /** `warm`: shapes to make at once, the most used first. */
  constructor(mem: MachineMemory, base: number, host: HostCalls, routines: readonly string[], warm: readonly Shape[]) {
    this.mem = mem
    this.base = base
    this.host = host
    routines.forEach((name, i) => this.routineNumbers.set(name, i))
    const module = new ModuleWriter()
    const calls = importHostCalls(module)
    this.importMemory(module)
    module.defineTable(tableSize)
    const fragments = new Fragments(base, calls)
    const callees = { ...calls, ...writeSupport(module, calls, fragments) }
    const context = this.context(module, callees)
    for (const shape of warm) this.indices.set(shapeKey(shape), this.next++)
    const cases = warm.slice(0, loopCases).map((shape) => (code: LoopCode): void => {
      context.write(code, shape, (record, offset) => {
        code.get(record)
        if (offset !== 0) code.i32(offset).op('i32.add')
        code.set(0).branch(code.head)
      })
    })
    const loop = writeLoop(module, callees, fragments, cases)
    module.element(
      FixedHandler.count + cases.length,
      warm.slice(cases.length).map((shape) => context.handler(shape)),
    )
    module.export('table', 'table', 0)
    module.export('loop', 'func', loop)
    for (const name of Object.keys(supportSignatures) as (keyof typeof supportSignatures)[])
      module.export(name, 'func', callees[name])
    this.exports = this.instantiate(module, { host: { ...host } })
    this.table = this.exports.table as WasmTable
    this.run = this.exports.loop as (record: number) => void
  }

  /** Table index of the handler for an instruction. */
  indexFor(insn: Insn, modeNumber: number): number {
    const signature = signatureOf(insn, modeNumber)
    let index = this.bySignature.get(signature)
    if (index === undefined) this.bySignature.set(signature, (index = this.index(shapeOf(insn, codeModes[modeNumber]!))))
    return index
  }

  /** Keys of all shapes made so far. */
  get keys(): readonly string[] {
    return [...this.indices.keys()]
  }

  /** Number of the handler for a shape. */
  private index(shape: Shape): number {
    const key = shapeKey(shape)
    const known = this.indices.get(key)
    if (known !== undefined) return known
    if (this.next === tableSize) throw new Error('the table of handlers is full')
    const module = new ModuleWriter()
    const callees = { ...importHostCalls(module), ...importSupport(module) }
    this.importMemory(module)
    module.export('handler', 'func', this.context(module, callees).handler(shape))
    const { handler } = this.instantiate(module, { host: { ...this.host }, support: this.exports })
    const index = this.next++
    this.table.set(index, handler)
    this.indices.set(key, index)
    return index
  }

  private context(module: ModuleWriter, callees: Callees): ModuleContext {
    return new ModuleContext(module, callees, this.base, this.mem.physBase, (name) => {
      const number = this.routineNumbers.get(name)
      if (number === undefined) throw new Error(`no microcode routine ${name}`)
      return number
    })
  }

  private importMemory(module: ModuleWriter): void {
    module.importMemory('machine', 'memory', 1, maxPages, this.mem.shared)
  }

  private instantiate(module: ModuleWriter, imports: Record<string, Record<string, unknown>>): Record<string, unknown> {
    return new WebAssembly.Instance(new WebAssembly.Module(module.encode()), { ...imports, machine: { memory: this.mem.memory } })
      .exports
  }
}
