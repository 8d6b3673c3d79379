import { Code, type ValType } from '@guestmode/wasm-emit'

/** Body of a handler that is a function of its own: from a record to the next one. The transfer that it ends in gives its result. */
export class FunctionCode extends Code {
  override returnCall(func: number): this {
    return this.call(func).return()
  }
}

/**
 * Body of the loop of which many handlers are cases. They share its locals, and the transfer that a handler ends in goes on inside
 * the loop.
 */
export class LoopCode extends Code {
  /** Label of the loop. */
  head = 0
  /** What stands for the call of a transfer, by the function's index. */
  readonly transfers = new Map<number, () => void>()
  private readonly free = new Map<ValType, number[]>()
  private taken: { type: ValType; index: number }[] = []

  override local(type: ValType): number {
    const index = this.free.get(type)?.pop() ?? super.local(type)
    this.taken.push({ type, index })
    return index
  }

  /** A local that no case takes. */
  permanent(type: ValType): number {
    return super.local(type)
  }

  /** The end of a case: the next one may have its locals. */
  release(): void {
    for (const { type, index } of this.taken) {
      const list = this.free.get(type)
      if (list) list.push(index)
      else this.free.set(type, [index])
    }
    this.taken = []
  }

  override returnCall(func: number): this {
    const transfer = this.transfers.get(func)
    if (!transfer) throw new Error(`a case of the loop can't leave by function ${func}`)
    transfer()
    return this
  }
}
