import { semantics } from '@guestmode/x86'
import type { HandlerWriter } from './loop.ts'
import { HandlerStage } from './silicon.ts'

const refuse = (name: string): never => {
  throw new Error(`the instructions of the spike don't call ${name}`)
}

/** Handlers from the semantics, as silicon's interpreter makes them. */
export const generated =
  (base: number, physBase: number): HandlerWriter =>
  (code, callees, shape, next) => {
    const context = { code, callees, base, next, routine: refuse, subroutine: ({ name }: { name: string }) => refuse(name) }
    const stage = new HandlerStage(context, shape, physBase)
    stage.finish(() => semantics[shape.mnemonic]!(stage, ...stage.operands))
  }
