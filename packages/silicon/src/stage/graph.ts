import { numericOp, type Code, type NumericOp, type ValType } from '@guestmode/wasm-emit'
import type { Val, Width } from '@guestmode/x86'

/** A value in the graph of one staged function. */
export interface Node extends Val {
  readonly type: ValType
  readonly expression: Expression
  uses: number
  /** Must be computed where it was made, because it reads what may change. */
  readonly pinned: boolean
  /** The local that holds it, once computed; -1 before. */
  local: number
}

export type Expression =
  | { readonly kind: 'const'; readonly value: number | bigint | readonly number[] }
  | { readonly kind: 'op'; readonly op: NumericOp; readonly args: readonly Node[]; readonly lane: number }
  | { readonly kind: 'shuffle'; readonly args: readonly Node[]; readonly lanes: readonly number[] }
  | { readonly kind: 'select'; readonly args: readonly [condition: Node, then: Node, otherwise: Node] }
  /** The same bits in another width. */
  | { readonly kind: 'alias'; readonly args: readonly [Node] }
  /** Reads state: emitted by a closure that leaves one value on the stack. */
  | { readonly kind: 'read'; readonly args: readonly Node[]; readonly emit: (put: Put) => void }
  /** Held by a local that a statement assigns. */
  | { readonly kind: 'local' }

export type Put = (node: Node) => void

export type Statement =
  | { readonly kind: 'node'; readonly node: Node }
  | { readonly kind: 'effect'; readonly emit: (put: Put) => void }
  | {
      readonly kind: 'if'
      readonly condition: Node
      readonly then: readonly Statement[]
      readonly otherwise: readonly Statement[]
    }
  | { readonly kind: 'loop'; readonly body: readonly Statement[]; readonly condition: Node }

export const valTypeOf = (width: Width): ValType =>
  width === 64 ? 'i64' : width === 128 ? 'v128' : width === 'f32' || width === 'f64' ? width : 'i32'

export const constant = (width: Width, value: number | bigint | readonly number[]): Node => ({
  width,
  type: valTypeOf(width),
  expression: { kind: 'const', value },
  uses: 0,
  pinned: false,
  local: -1,
})

/**
 * Statements and values in program order. Values are recorded first and emitted when the whole function is known, so that a
 * value used once is computed on the stack, one used more often in a local, and one never used not at all.
 */
export class Graph {
  private readonly code: Code
  private statements: Statement[] = []

  constructor(code: Code) {
    this.code = code
  }

  node(width: Width, expression: Expression, pinned = false): Node {
    if ('args' in expression) for (const arg of expression.args) arg.uses++
    const node: Node = { width, type: valTypeOf(width), expression, uses: 0, pinned, local: -1 }
    this.statements.push({ kind: 'node', node })
    return node
  }

  op(width: Width, name: string, args: readonly Node[], lane = 0): Node {
    const op = numericOp(name)
    for (let i = 0; i < op.params.length; i++) {
      if (args[i]?.type !== op.params[i]) throw new Error(`${name}: operand ${i} is ${args[i]?.type}, not ${op.params[i]}`)
    }
    return this.node(width, { kind: 'op', op, args, lane })
  }

  /** A value that statements assign to a local. */
  localNode(width: Width, local: number): Node {
    return { width, type: valTypeOf(width), expression: { kind: 'local' }, uses: 0, pinned: true, local }
  }

  effect(uses: readonly Node[], emit: (put: Put) => void): void {
    for (const node of uses) node.uses++
    this.statements.push({ kind: 'effect', emit })
  }

  if(condition: Node, then: () => void, otherwise?: () => void): void {
    condition.uses++
    this.statements.push({ kind: 'if', condition, then: this.nested(then), otherwise: otherwise ? this.nested(otherwise) : [] })
  }

  loop(body: () => Node): void {
    let condition!: Node
    const statements = this.nested(() => {
      condition = body()
      condition.uses++
    })
    this.statements.push({ kind: 'loop', body: statements, condition })
  }

  emit(): void {
    this.emitAll(this.statements)
  }

  private nested(record: () => void): Statement[] {
    const outer = this.statements
    const inner: Statement[] = []
    this.statements = inner
    record()
    this.statements = outer
    return inner
  }

  private emitAll(statements: readonly Statement[]): void {
    for (const statement of statements) {
      switch (statement.kind) {
        case 'node':
          this.materialize(statement.node)
          break
        case 'effect':
          statement.emit(this.put)
          break
        case 'if':
          this.put(statement.condition)
          this.code.if()
          this.emitAll(statement.then)
          if (statement.otherwise.length > 0) {
            this.code.else()
            this.emitAll(statement.otherwise)
          }
          this.code.end()
          break
        case 'loop': {
          const label = this.code.loop()
          this.emitAll(statement.body)
          this.put(statement.condition)
          this.code.branchIf(label)
          this.code.end()
          break
        }
      }
    }
  }

  private materialize(node: Node): void {
    if (node.uses === 0 || (node.uses === 1 && !node.pinned) || node.expression.kind === 'alias') return
    this.compute(node)
    node.local = this.code.local(node.type)
    this.code.set(node.local)
  }

  /** Leaves the value on the stack. */
  private readonly put: Put = (node) => {
    if (node.local >= 0) this.code.get(node.local)
    else this.compute(node)
  }

  private compute(node: Node): void {
    const { expression } = node
    switch (expression.kind) {
      case 'const':
        this.putConstant(node)
        break
      case 'op':
        for (const arg of expression.args) this.put(arg)
        if (expression.op.lane) this.code.laneOp(expression.op.name, expression.lane)
        else this.code.op(expression.op.name)
        break
      case 'shuffle':
        for (const arg of expression.args) this.put(arg)
        this.code.shuffle(expression.lanes)
        break
      case 'select': {
        const [condition, then, otherwise] = expression.args
        this.put(then)
        this.put(otherwise)
        this.put(condition)
        if (node.type === 'v128') this.code.selectTyped('v128')
        else this.code.select()
        break
      }
      case 'alias':
        this.put(expression.args[0])
        break
      case 'read':
        expression.emit(this.put)
        break
      case 'local':
        throw new Error('a local node has its local')
    }
  }

  /** Leaves a constant on the stack. */
  putConstant(node: Node): void {
    if (node.expression.kind !== 'const') throw new Error('not a constant')
    const { value } = node.expression
    if (typeof value === 'object') this.code.v128(value)
    else if (node.type === 'i64') this.code.i64(BigInt(value))
    else if (node.type === 'f64') this.code.f64(Number(value))
    else if (node.type === 'f32') this.code.f32(Number(value))
    else if (node.type === 'v128') {
      const bits = BigInt(value)
      this.code.v128(Array.from({ length: 16 }, (_, i) => Number((bits >> BigInt(8 * i)) & 0xffn)))
    } else this.code.i32(Number(BigInt.asIntN(32, BigInt(value))))
  }
}
