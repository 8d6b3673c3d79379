import { ModuleWriter, WebAssembly, type Code } from '@guestmode/wasm-emit'
import type { HandlerSet } from './machine.ts'
import {
  FixedHandler,
  Fragments,
  importHostCalls,
  shapeKey,
  writeLoop,
  writeSupport,
  type Callees,
  type HostCalls,
  type LoopCode,
  type MachineMemory,
  type Shape,
} from './silicon.ts'

/** Emits the transfer to the record `offset` bytes behind the one in a local. */
export type Next = (record: number, offset: number) => void

/** Writes one handler; the record is the function's first parameter. */
export type HandlerWriter = (code: Code, callees: Callees, shape: Shape, next: Next) => void

/** All handlers as cases of silicon's loop. */
export class LoopHandlers implements HandlerSet {
  private readonly loop: (record: number) => number
  private readonly indices = new Map<string, number>()

  constructor(mem: MachineMemory, base: number, host: HostCalls, shapes: readonly Shape[], write: HandlerWriter) {
    const module = new ModuleWriter()
    const calls = importHostCalls(module)
    module.importMemory('machine', 'memory', 1, 65536, mem.shared)
    module.defineTable(16)
    const fragments = new Fragments(base, calls)
    const callees = { ...calls, ...writeSupport(module, calls, fragments) }
    const cases = shapes.map((shape, i) => {
      this.indices.set(shapeKey(shape), FixedHandler.count + i)
      return (code: LoopCode): void =>
        write(code, callees, shape, (record, offset) => {
          code.get(record)
          if (offset !== 0) code.i32(offset).op('i32.add')
          code.set(0).branch(code.head)
        })
    })
    module.export('loop', 'func', writeLoop(module, callees, fragments, cases))
    const imports = { host: { ...host }, machine: { memory: mem.memory } }
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module.encode()), imports)
    this.loop = exports['loop'] as (record: number) => number
  }

  index(shape: Shape): number {
    const index = this.indices.get(shapeKey(shape))
    if (index === undefined) throw new Error(`the loop has no case for ${shapeKey(shape)}`)
    return index
  }

  run(record: number): void {
    this.loop(record)
  }
}
