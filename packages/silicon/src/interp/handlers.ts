import { Code, ModuleWriter, WebAssembly, type WasmTable, type ValType } from '@guestmode/wasm-emit'
import { semantics, type Insn, type Subroutine } from '@guestmode/x86'
import type { MachineMemory } from '../machine/memory.ts'
import { constant, valTypeOf, type Node } from '../stage/graph.ts'
import { Stage, type Callees, type StageContext } from '../stage/stage.ts'
import { HandlerStage } from './handler-stage.ts'
import { Record } from './record.ts'
import { codeModes } from './code-mode.ts'
import { shapeKey, shapeOf, type Shape } from './shape.ts'
import { signatureOf } from './signature.ts'
import { FixedHandler, importHostCalls, supportSignatures, writeSupport, type HostCalls } from './support.ts'

const tableSize = 1 << 15
const maxPages = 65536

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
  /** The module has the table: handlers call each other through it without a detour. */
  private readonly ownsTable: boolean

  constructor(
    module: ModuleWriter,
    callees: Callees,
    base: number,
    physBase: number,
    routine: (name: string) => number,
    ownsTable: boolean,
  ) {
    this.ownsTable = ownsTable
    this.module = module
    this.callees = callees
    this.base = base
    this.physBase = physBase
    this.routine = routine
  }

  handler(shape: Shape): number {
    const semantic = semantics[shape.mnemonic]
    if (!semantic) throw new Error(`${shape.mnemonic} has no semantic function`)
    const func = this.module.declare(this.module.type(['i32'], []))
    const code = new Code(1)
    const stage = new HandlerStage(this.context(code), shape, this.physBase)
    stage.finish(() => semantic(stage, ...stage.operands))
    this.module.define(func, code)
    return func
  }

  private context(code: Code): StageContext {
    return {
      code,
      callees: this.callees,
      base: this.base,
      routine: this.routine,
      subroutine: (sub) => this.subroutine(sub),
      dispatch: (into, record, offset) => this.dispatch(into, record, offset),
    }
  }

  private dispatch(code: Code, record: number, offset: number): void {
    code.get(record)
    if (offset !== 0) code.i32(offset).op('i32.add')
    if (this.ownsTable)
      code
        .get(record)
        .memory('i32.load', Record.handler + offset)
        .returnCallIndirect(this.module.type(['i32'], []))
    else code.returnCall(this.callees.dispatch)
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
 * The handlers of one processor, made as their shapes are first decoded. The first module owns the table; later ones don't
 * import it (on some engines each importer makes all others dearer) but tail-call its `dispatch`.
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

  /** `warm`: shapes to make at once, in the module that owns the table. */
  constructor(mem: MachineMemory, base: number, host: HostCalls, routines: readonly string[], warm: readonly Shape[] = []) {
    this.mem = mem
    this.base = base
    this.host = host
    routines.forEach((name, i) => this.routineNumbers.set(name, i))
    const module = new ModuleWriter()
    const calls = importHostCalls(module)
    this.importMemory(module)
    module.defineTable(tableSize)
    const support = writeSupport(module, calls, base)
    const context = this.context(module, { ...calls, ...support }, true)
    const functions = warm.map((shape) => {
      this.indices.set(shapeKey(shape), this.next++)
      return context.handler(shape)
    })
    module.element(FixedHandler.count, functions)
    module.export('table', 'table', 0)
    for (const [name, func] of Object.entries(support)) module.export(name, 'func', func)
    this.exports = this.instantiate(module, { host: { ...host } })
    this.table = this.exports.table as WasmTable
    this.run = this.exports.dispatch as (record: number) => void
  }

  /** Table index of the handler for an instruction. */
  indexFor(insn: Insn, modeNumber: number): number {
    const signature = signatureOf(insn, modeNumber)
    let index = this.bySignature.get(signature)
    if (index === undefined) this.bySignature.set(signature, (index = this.index(shapeOf(insn, codeModes[modeNumber]!))))
    return index
  }

  /** Table index of the handler for a shape. */
  private index(shape: Shape): number {
    const key = shapeKey(shape)
    const known = this.indices.get(key)
    if (known !== undefined) return known
    if (this.next === tableSize) throw new Error('the table of handlers is full')
    const module = new ModuleWriter()
    const calls = importHostCalls(module)
    const support = Object.fromEntries(
      Object.entries(supportSignatures).map(([name, [params, results]]) => [
        name,
        module.importFunction('support', name, module.type(params, results)),
      ]),
    ) as { [Name in keyof typeof supportSignatures]: number }
    this.importMemory(module)
    module.export('handler', 'func', this.context(module, { ...calls, ...support }, false).handler(shape))
    const { handler } = this.instantiate(module, { host: { ...this.host }, support: this.exports })
    const index = this.next++
    this.table.set(index, handler)
    this.indices.set(key, index)
    return index
  }

  /** Keys of all shapes made so far. */
  get keys(): readonly string[] {
    return [...this.indices.keys()]
  }

  private context(module: ModuleWriter, callees: Callees, ownsTable: boolean): ModuleContext {
    return new ModuleContext(
      module,
      callees,
      this.base,
      this.mem.physBase,
      (name) => {
        const number = this.routineNumbers.get(name)
        if (number === undefined) throw new Error(`no microcode routine ${name}`)
        return number
      },
      ownsTable,
    )
  }

  private importMemory(module: ModuleWriter): void {
    module.importMemory('machine', 'memory', 1, maxPages, this.mem.shared)
  }

  private instantiate(module: ModuleWriter, imports: Record<string, Record<string, unknown>>): Record<string, unknown> {
    return new WebAssembly.Instance(new WebAssembly.Module(module.encode()), { ...imports, machine: { memory: this.mem.memory } })
      .exports
  }
}
