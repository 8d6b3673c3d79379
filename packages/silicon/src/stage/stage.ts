import type { Code } from '@guestmode/wasm-emit'
import { cpuState, makeFlags, type CpuField, type Flags, type Subroutine, type Val, type Width } from '@guestmode/x86'
import { Arithmetic } from './arithmetic.ts'
import { valTypeOf, type Node, type Put } from './graph.ts'

const node = (value: Val): Node => value as Node

/** Functions that generated code calls. All are indices in the module being written. */
export interface Callees {
  // Transfers: a handler ends in them by `returnCall`, of which `handler-code.ts` makes what its form needs. As functions they give
  // the next record, or 0 to leave the chain.
  /** (rip: i64, record: i32): continues at a near-transfer target. */
  readonly jump: number
  /** (record: i32): takes a relative branch whose link is not known. */
  readonly branch: number
  /** (record: i32): leaves the chain with RIP at the record's instruction. */
  readonly interrupted: number
  /** (linear: i64, size: i32, record: i32) -> address, or 0 after a fault. */
  readonly slowRead: number
  readonly slowWrite: number
  /** (linear: i64, size: i32, record: i32): as slowWrite, and the bytes at the address are the present ones. */
  readonly slowModify: number
  /** Moves a write that went to `scratch` to its pages. */
  readonly commit: number
  /** (offset: i64, size: i32, segment: i32, write: i32, record: i32) -> linear; sets chainExit after a fault. */
  readonly linear: number
  /** (routine: i32) -> 1, or 0 after a fault. */
  readonly named: number
  /** (vector: i32, errorCode: i32, -1 for none) */
  readonly fault: number
  /** (kind: i32) */
  readonly fpuFault: number
  /** (record: i32): moves many elements of a string instruction at once where it can. */
  readonly bulkString: number
}

export interface StageContext {
  readonly code: Code
  readonly callees: Callees
  /** Linear-memory offset of the CPU state. */
  readonly base: number
  /** Number by which `named` knows a microcode routine. */
  routine(name: string): number
  subroutine(sub: Subroutine): { func: number; mayFault: boolean }
}

const loads: Record<number, string> = { 1: 'i32.load8_u', 2: 'i32.load16_u', 4: 'i32.load', 8: 'i64.load', 16: 'v128.load' }
const stores: Record<number, string> = { 1: 'i32.store8', 2: 'i32.store16', 4: 'i32.store', 8: 'i64.store', 16: 'v128.store' }

export const loadOp = (width: Width): string => (typeof width === 'string' ? `${width}.load` : loads[width >> 3]!)
export const storeOp = (width: Width): string => (typeof width === 'string' ? `${width}.store` : stores[width >> 3]!)

/** What every staged function can do, whether it is a handler or a shared subroutine: arithmetic, state, flags, calls. */
export abstract class Stage extends Arithmetic {
  readonly flags: Flags
  protected readonly context: StageContext
  /** Set when the function calls something that may fault. */
  mayFault = false

  constructor(context: StageContext) {
    super(context.code)
    this.context = context
    this.flags = makeFlags(this)
  }

  get(field: CpuField, index: Val | number = 0): Node {
    return this.readState(cpuState.fields[field].offset, (8 * cpuState.fields[field].size) as Width, index)
  }

  set(field: CpuField, value: Val, index: Val | number = 0): void {
    this.writeState(cpuState.fields[field].offset, value, index)
  }

  call(sub: Subroutine, ...args: Val[]): Val[] {
    const { func, mayFault } = this.context.subroutine(sub)
    if (mayFault) this.storeRecord()
    const results = sub.results.map((width) => this.graph.localNode(width, this.code.local(valTypeOf(width))))
    this.graph.effect(args.map(node), (put) => {
      for (const arg of args) put(node(arg))
      this.code.call(func)
      for (const result of results.toReversed()) this.code.set(result.local)
      if (mayFault) {
        this.loadState('chainExit').if()
        this.leave()
        this.code.end()
      }
    })
    this.mayFault ||= mayFault
    return results
  }

  microcode(name: string, args: readonly Val[], results: number): Val[] {
    args.forEach((arg, i) => this.set('args', this.zext(arg, 64), i))
    this.storeRecord()
    this.mayFault = true
    this.graph.effect([], () => {
      this.code.i32(this.context.routine(name)).call(this.context.callees.named).op('i32.eqz').if()
      this.leave()
      this.code.end()
    })
    return Array.from({ length: results }, (_, i) => this.get('args', i))
  }

  fault(vector: number, errorCode?: Val): void {
    this.storeRecord()
    this.mayFault = true
    this.graph.effect(errorCode ? [node(errorCode)] : [], (put) => {
      this.code.i32(vector)
      if (errorCode) put(node(errorCode))
      else this.code.i32(-1)
      this.code.call(this.context.callees.fault)
      this.leave()
    })
  }

  requireFpu(kind: 'x87' | 'mmx' | 'sse'): void {
    this.storeRecord()
    this.mayFault = true
    this.graph.effect([], () => {
      this.loadState('fpuTrap')
        .i32(kind === 'sse' ? 2 : 1)
        .op('i32.and')
      // A pending x87 exception: the error-summary bit [SDM1 8.1.3 "x87 FPU Status Register"].
      if (kind !== 'sse') this.loadState('fpStatus').i32(0x80).op('i32.and').op('i32.or')
      this.code.if()
      this.code.i32(['x87', 'mmx', 'sse'].indexOf(kind)).call(this.context.callees.fpuFault)
      this.leave()
      this.code.end()
    })
  }

  /** Makes `state.record` name the instruction in execution. */
  protected abstract storeRecord(): void
  /** Emits the return from this function after a fault. */
  protected abstract leave(): void

  protected loadState(field: CpuField): Code {
    return this.code.i32(0).memory('i32.load', this.context.base + cpuState.fields[field].offset)
  }

  protected readState(offset: number, width: Width, index: Val | number): Node {
    return this.graph.node(
      width,
      {
        kind: 'read',
        args: typeof index === 'number' ? [] : [node(index)],
        emit: (put) => {
          const at = this.stateAddress(offset, width, index, put)
          this.code.memory(loadOp(width), at)
        },
      },
      true,
    )
  }

  protected writeState(offset: number, value: Val, index: Val | number): void {
    const uses = typeof index === 'number' ? [node(value)] : [node(value), node(index)]
    this.graph.effect(uses, (put) => {
      const at = this.stateAddress(offset, value.width, index, put)
      put(node(value))
      this.code.memory(storeOp(value.width), at)
    })
  }

  private stateAddress(offset: number, width: Width, index: Val | number, put: Put): number {
    const size = (width as number) >> 3
    if (typeof index === 'number') {
      this.code.i32(0)
      return this.context.base + offset + index * size
    }
    put(node(index))
    if (index.width === 64) this.code.op('i32.wrap_i64')
    this.code.i32(Math.log2(size)).op('i32.shl')
    return this.context.base + offset
  }
}
