import type { Insn } from '../decode/insn.ts'
import { semantics } from '../semantics/index.ts'
import type { SemanticTable } from '../semantics/registry.ts'
import { Evaluator, stagedOperand } from './evaluator.ts'
import type { EvalResult, EvaluatorMachine } from './machine.ts'
import { Stop, Transaction } from './transaction.ts'
import { bitsOf, unsigned } from './value.ts'

/**
 * Evaluates one instruction, or one iteration of a repeated one. What microcode executes, and vector arithmetic, is
 * 'unsupported'. Unless the result is 'done', no register has changed.
 */
export function evaluate(insn: Insn, machine: EvaluatorMachine, table: SemanticTable = semantics): EvalResult {
  const state = new Transaction(machine)
  try {
    const semantic = table[insn.mnemonic]
    if (semantic === undefined) return { kind: 'unsupported', mnemonic: insn.mnemonic }
    const evaluator = new Evaluator(insn, state)
    const operands = insn.operands.map(stagedOperand)
    let nextIp = bitsOf(evaluator.nextIp())
    if (insn.rep !== 0)
      nextIp = iterate(insn, state, evaluator, () => semantic(evaluator, ...operands)) ? state.get('rip') : nextIp
    else nextIp = jumpOf(() => semantic(evaluator, ...operands)) ?? nextIp
    return state.commit() ?? { kind: 'done', nextIp }
  } catch (stop) {
    if (!(stop instanceof Stop)) throw stop
    if (stop.result.kind === 'jump') throw new Error('a jump inside a repeated instruction', { cause: stop })
    return stop.result.kind === 'unsupported' ? { kind: 'unsupported', mnemonic: insn.mnemonic } : stop.result
  }
}

function jumpOf(run: () => void): bigint | undefined {
  try {
    run()
    return undefined
  } catch (stop) {
    if (stop instanceof Stop && stop.result.kind === 'jump') return stop.result.target
    throw stop
  }
}

/** Whether more iterations follow. [SDM2 "REP/REPE/REPZ/REPNE/REPNZ—Repeat String Operation Prefix"] */
function iterate(insn: Insn, state: Transaction, evaluator: Evaluator, run: () => void): boolean {
  const count = unsigned(state.get('gpr', 1), insn.addressSize)
  if (count === 0n) return false
  run()
  evaluator.setGpr(1, evaluator.const(insn.addressSize, count - 1n))
  if (count === 1n) return false
  if (insn.mnemonic !== 'CMPS' && insn.mnemonic !== 'SCAS') return true
  const zero = state.get('flagResult') === 0n
  return zero === (insn.rep === 0xf3)
}
