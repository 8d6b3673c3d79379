import { Code, type ValType } from '@guestmode/wasm-emit'

/** Code of a function of which many handlers are parts: they share its locals, and their tail calls are something else. */
export class LoopCode extends Code {
  /** What stands for a tail call to a function, by its index. */
  readonly tails = new Map<number, () => void>()
  private readonly free = new Map<ValType, number[]>()
  private taken: { type: ValType; index: number }[] = []

  override local(type: ValType): number {
    const index = this.free.get(type)?.pop() ?? super.local(type)
    this.taken.push({ type, index })
    return index
  }

  /** A local that stays. */
  permanent(type: ValType): number {
    return super.local(type)
  }

  /** The end of a handler: the next one may have its locals. */
  release(): void {
    for (const { type, index } of this.taken) {
      const list = this.free.get(type)
      if (list) list.push(index)
      else this.free.set(type, [index])
    }
    this.taken = []
  }

  override returnCall(func: number): this {
    const tail = this.tails.get(func)
    if (!tail) return super.returnCall(func)
    tail()
    return this
  }
}

/** Branches to the label by the number on the stack. */
export function branchTable(code: Code, labels: readonly number[], otherwise: number): void {
  const { depth } = code as unknown as { depth: number }
  code.bytes.byte(0x0e)
  code.bytes.unsigned(labels.length)
  for (const label of [...labels, otherwise]) code.bytes.unsigned(depth - label)
}
