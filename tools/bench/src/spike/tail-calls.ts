import { Code, ModuleWriter, WebAssembly } from '@guestmode/wasm-emit'
import type { HandlerWriter, Next } from './loop.ts'
import type { HandlerSet } from './machine.ts'
import {
  FixedHandler,
  Fragments,
  importHostCalls,
  Record,
  shapeKey,
  writeSupport,
  type HostCalls,
  type MachineMemory,
  type Shape,
} from './silicon.ts'

/** Body of a handler that tail-calls the next one through the table. */
class TailCode extends Code {
  private readonly type: number

  constructor(type: number) {
    super(1)
    this.type = type
  }

  readonly next: Next = (record, offset) => {
    this.get(record)
    if (offset !== 0) this.i32(offset).op('i32.add')
    this.get(record)
      .memory('i32.load', Record.handler + offset)
      .returnCallIndirect(this.type)
  }

  /** To the record on the stack, unless it is 0. */
  goOnOrReturn(): this {
    const record = this.local('i32')
    this.tee(record).op('i32.eqz').if()
    this.i32(0).return().end()
    return this.get(record).get(record).memory('i32.load', Record.handler).returnCallIndirect(this.type)
  }

  /** The support functions that a handler would tail-call give the next record. */
  override returnCall(func: number): this {
    return this.call(func).goOnOrReturn()
  }
}

/** All handlers as functions in one module, chained by tail calls through its table. */
export class TailHandlers implements HandlerSet {
  private readonly dispatch: (record: number) => number
  private readonly indices = new Map<string, number>()

  constructor(mem: MachineMemory, base: number, host: HostCalls, shapes: readonly Shape[], write: HandlerWriter) {
    const module = new ModuleWriter()
    const calls = importHostCalls(module)
    module.importMemory('machine', 'memory', 1, 65536, mem.shared)
    module.defineTable(256)
    const fragments = new Fragments(base, calls)
    const callees = { ...calls, ...writeSupport(module, calls, fragments) }
    const type = module.type(['i32'], ['i32'])
    const define = (body: (code: TailCode) => void): number => {
      const func = module.declare(type)
      const code = new TailCode(type)
      body(code)
      module.define(func, code)
      return func
    }
    const fixed = [
      define((code) => code.unreachable()),
      define((code) => {
        fragments.store32(code, 'record', () => code.get(0))
        fragments.storeRip(code, 0)
        code.get(0).call(calls.microcode).goOnOrReturn()
      }),
      define((code) => {
        fragments.putRip(code, 0)
        fragments.maskRip(code, 0)
        code.get(0).returnCall(callees.jump)
      }),
      define((code) => {
        fragments.count(code, 0, 1)
        fragments.storeRip(code, 0)
        code.call(calls.lookup).goOnOrReturn()
      }),
    ]
    const handlers = shapes.map((shape, i) => {
      this.indices.set(shapeKey(shape), FixedHandler.count + i)
      return define((code) => write(code, callees, shape, code.next))
    })
    module.element(0, [...fixed, ...handlers])
    module.export(
      'dispatch',
      'func',
      define((code) => code.next(0, 0)),
    )
    const imports = { host: { ...host }, machine: { memory: mem.memory } }
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module.encode()), imports)
    this.dispatch = exports['dispatch'] as (record: number) => number
  }

  index(shape: Shape): number {
    const index = this.indices.get(shapeKey(shape))
    if (index === undefined) throw new Error(`no handler was made for ${shapeKey(shape)}`)
    return index
  }

  run(record: number): void {
    this.dispatch(record)
  }
}
