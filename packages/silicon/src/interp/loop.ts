import type { ModuleWriter } from '@guestmode/wasm-emit'
import { LoopCode } from './handler-code.ts'
import type { HostFunctions } from './host-calls.ts'
import { Record } from './record.ts'
import type { Fragments, SupportFunctions } from './support.ts'

/** Cases of the loop that are no instruction of their own, by the number in the record. */
export const FixedHandler = { none: 0, microcode: 1, endOfBlock: 2, resync: 3, count: 4 } as const

const record = 0

/**
 * The interpreter: a loop that branches by the handler's number in the record, with the most used handlers as its cases. Higher
 * numbers are indices of functions in the table, from record to next record. Returns 0.
 */
export function writeLoop(
  module: ModuleWriter,
  functions: HostFunctions & SupportFunctions,
  fragments: Fragments,
  cases: readonly ((code: LoopCode) => void)[],
): number {
  const handlerType = module.type(['i32'], ['i32'])
  const func = module.declare(handlerType)
  const code = new LoopCode(1)
  const rip = code.permanent('i64')
  const next = code.loop()
  code.head = next
  const leave = (): void => void code.i32(0).return()
  const goOn = (): void => void code.branch(next)

  const jump = code.block()
  const others = code.block()
  const instructions = cases.map(() => code.block()).reverse()
  const [resync, endOfBlock, microcode, none] = [code.block(), code.block(), code.block(), code.block()]
  code.transfers.set(functions.jump, () => code.set(record).set(rip).branch(jump))
  code.transfers.set(functions.branch, () => {
    code.set(record)
    fragments.branchTarget(code, record)
    code.set(rip).branch(jump)
  })
  code.transfers.set(functions.interrupted, () => {
    code.set(record)
    fragments.interrupt(code, record)
    leave()
  })

  code.get(record).memory('i32.load', Record.handler)
  code.branchTable([none, microcode, endOfBlock, resync, ...instructions], others)
  code.end().unreachable()

  code.end()
  fragments.store32(code, 'record', () => code.get(record))
  fragments.storeRip(code, record)
  code.get(record).call(functions.microcode).tee(record).branchIf(next)
  leave()

  code.end()
  fragments.putRip(code, record)
  fragments.maskRip(code, record)
  code.set(rip).branch(jump)

  code.end()
  fragments.count(code, record, 1)
  fragments.storeRip(code, record)
  fragments.lookUp(code, record, goOn, leave)
  code.release()

  for (const write of cases) {
    code.end()
    write(code)
    code.release()
  }

  code.end()
  code.get(record).get(record).memory('i32.load', Record.handler).callIndirect(handlerType).tee(record).branchIf(next)
  leave()

  code.end()
  fragments.jump(code, rip, record, goOn, leave)
  code.end().unreachable()
  module.define(func, code)
  return func
}
