import { semantics, type DecodeRow, type Insn, type Operand } from '@guestmode/x86'
import { CompilerStage, locals, NotCompiled, shiftsBy } from './compiler-stage.ts'
import type { Callees, StageContext } from './silicon.ts'
import { TemplateCode, type Template } from './template-code.ts'

const count = (from: number, many: number): number[] => Array.from({ length: many }, (_, i) => from + i).reverse()
const wide = { 16: 0, 32: 1, 64: 2 } as const

/** Everything about an operand that changes the code, besides what holes stand for. */
function operandKey(operand: Operand): number {
  switch (operand.kind) {
    case 'reg':
      return operand.cls === 'gpr8h' ? 2 : operand.cls === 'gpr' ? 1 : 3
    case 'mem':
      return (
        4 |
        (operand.base < 0 ? 0 : 8) |
        (operand.index < 0 ? 0 : 16) |
        (operand.scale << 5) |
        (operand.disp === 0 ? 0 : 128) |
        (operand.seg >= 4 ? 256 : 0)
      )
    default:
      return 0
  }
}

/** Templates by decode row and by what else decides: made once, from the semantics. */
export class Templates {
  private readonly byRow = new Map<DecodeRow, Map<number, Template | undefined>>()
  private readonly callees: Callees
  private readonly base: number
  private readonly physBase: number

  constructor(callees: Callees, base: number, physBase: number) {
    this.callees = callees
    this.base = base
    this.physBase = physBase
  }

  /** Undefined: the sketch leaves this instruction to the interpreter. */
  find(insn: Insn, flagsDead: boolean): Template | undefined {
    let row = this.byRow.get(insn.row)
    if (row === undefined) this.byRow.set(insn.row, (row = new Map()))
    const { operands } = insn
    let key = (flagsDead ? 1 : 0) | (wide[insn.operandSize] << 1) | (wide[insn.addressSize] << 3) | ((insn.cc & 15) << 5)
    if (operands.length > 0) key |= operandKey(operands[0]!) << 9
    if (operands.length > 1) key |= operandKey(operands[1]!) << 18
    const count = shiftsBy(insn) ? (operands.at(-1) as { value?: number }).value : undefined
    if (count !== undefined) key = key * 32 + (count & 31)
    if (insn.rep !== 0) return undefined
    if (row.has(key)) return row.get(key)
    const template = this.make(insn, flagsDead)
    row.set(key, template)
    return template
  }

  private make(insn: Insn, flagsDead: boolean): Template | undefined {
    const semantic = semantics[insn.mnemonic]
    if (!semantic) return undefined
    const refuse = (): never => {
      throw new NotCompiled(insn.mnemonic)
    }
    const pools = { i32: count(locals.words, locals.wordCount), i64: count(locals.quads, locals.quadCount) }
    const code = new TemplateCode(pools, refuse)
    const context: StageContext = {
      code,
      callees: this.callees,
      base: this.base,
      routine: refuse,
      subroutine: refuse,
    }
    try {
      const stage = new CompilerStage(context, code, this.physBase, insn, flagsDead)
      semantic(stage, ...stage.operands)
      stage.emit()
      return code.template()
    } catch (error) {
      if (error instanceof NotCompiled) return undefined
      throw error
    }
  }
}
