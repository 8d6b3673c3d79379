import { Bytes } from './bytes.ts'
import { memoryOps, numericOp, ValType } from './opcodes.ts'

/** The body of one function: locals are declared as they are needed, instructions are appended in order. */
export class Code {
  readonly bytes = new Bytes()
  private readonly locals: ValType[] = []
  private readonly paramCount: number
  private depth = 0

  constructor(paramCount: number) {
    this.paramCount = paramCount
  }

  local(type: ValType): number {
    this.locals.push(type)
    return this.paramCount + this.locals.length - 1
  }

  op(name: string): this {
    const { prefix, code } = numericOp(name)
    if (prefix === 0) this.bytes.byte(code)
    else {
      this.bytes.byte(prefix)
      this.bytes.unsigned(code)
    }
    return this
  }

  laneOp(name: string, lane: number): this {
    this.op(name).bytes.byte(lane)
    return this
  }

  shuffle(lanes: readonly number[]): this {
    this.bytes.append([0xfd, 13, ...lanes])
    return this
  }

  i32(value: number): this {
    this.bytes.byte(0x41)
    this.bytes.signed(value)
    return this
  }

  i64(value: bigint): this {
    this.bytes.byte(0x42)
    this.bytes.signed64(value)
    return this
  }

  f64(value: number): this {
    this.bytes.byte(0x44)
    this.bytes.append(new Uint8Array(new Float64Array([value]).buffer))
    return this
  }

  f32(value: number): this {
    this.bytes.byte(0x43)
    this.bytes.append(new Uint8Array(new Float32Array([value]).buffer))
    return this
  }

  v128(bytes: readonly number[]): this {
    this.bytes.append([0xfd, 12, ...bytes])
    return this
  }

  get(local: number): this {
    return this.indexed(0x20, local)
  }
  set(local: number): this {
    return this.indexed(0x21, local)
  }
  tee(local: number): this {
    return this.indexed(0x22, local)
  }
  globalGet(global: number): this {
    return this.indexed(0x23, global)
  }
  globalSet(global: number): this {
    return this.indexed(0x24, global)
  }

  /** A load or store by name with a constant offset; declared unaligned, which is always valid. */
  memory(name: string, offset = 0): this {
    const op = memoryOps[name]
    if (!op) throw new Error(`unknown memory operator ${name}`)
    if (op.prefix) this.bytes.byte(op.prefix)
    this.bytes.unsigned(op.code)
    this.bytes.byte(0)
    this.bytes.unsigned(offset)
    return this
  }

  memoryFill(): this {
    this.bytes.append([0xfc, 11, 0])
    return this
  }
  memoryCopy(): this {
    this.bytes.append([0xfc, 10, 0, 0])
    return this
  }

  drop(): this {
    this.bytes.byte(0x1a)
    return this
  }
  select(): this {
    this.bytes.byte(0x1b)
    return this
  }
  /** `select` on v128 and reference operands needs its type. */
  selectTyped(type: ValType): this {
    this.bytes.append([0x1c, 1, ValType[type]])
    return this
  }

  /** Opens a block; returns its label, to be given to `branch`. */
  block(result?: ValType): number {
    return this.open(0x02, result)
  }
  loop(result?: ValType): number {
    return this.open(0x03, result)
  }
  if(result?: ValType): number {
    return this.open(0x04, result)
  }
  else(): this {
    this.bytes.byte(0x05)
    return this
  }
  end(): this {
    this.depth--
    this.bytes.byte(0x0b)
    return this
  }
  branch(label: number): this {
    return this.indexed(0x0c, this.depth - label)
  }
  branchIf(label: number): this {
    return this.indexed(0x0d, this.depth - label)
  }
  /** Branches to the label whose place in the list is on the stack, or to the last argument's. */
  branchTable(labels: readonly number[], otherwise: number): this {
    this.bytes.byte(0x0e)
    this.bytes.unsigned(labels.length)
    for (const label of [...labels, otherwise]) this.bytes.unsigned(this.depth - label)
    return this
  }
  return(): this {
    this.bytes.byte(0x0f)
    return this
  }
  unreachable(): this {
    this.bytes.byte(0x00)
    return this
  }
  call(func: number): this {
    return this.indexed(0x10, func)
  }
  returnCall(func: number): this {
    return this.indexed(0x12, func)
  }
  callIndirect(type: number, table = 0): this {
    this.indexed(0x11, type).bytes.unsigned(table)
    return this
  }
  returnCallIndirect(type: number, table = 0): this {
    this.indexed(0x13, type).bytes.unsigned(table)
    return this
  }

  /** The encoded function body, size first. */
  encode(): Uint8Array {
    if (this.depth !== 0) throw new Error(`${this.depth} unclosed blocks`)
    const header = new Bytes()
    const runs: { type: ValType; count: number }[] = []
    for (const type of this.locals) {
      const last = runs.at(-1)
      if (last?.type === type) last.count++
      else runs.push({ type, count: 1 })
    }
    header.unsigned(runs.length)
    for (const run of runs) {
      header.unsigned(run.count)
      header.byte(ValType[run.type])
    }
    const out = new Bytes()
    out.unsigned(header.length + this.bytes.length + 1)
    out.append(header.view())
    out.append(this.bytes.view())
    out.byte(0x0b)
    return out.view().slice()
  }

  private open(opcode: number, result: ValType | undefined): number {
    this.bytes.byte(opcode)
    this.bytes.byte(result === undefined ? 0x40 : ValType[result])
    return ++this.depth
  }

  private indexed(opcode: number, index: number): this {
    this.bytes.byte(opcode)
    this.bytes.unsigned(index)
    return this
  }
}
