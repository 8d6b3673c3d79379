import { Handlers } from './silicon.ts'
import { CompiledMachine } from './compiled.ts'
import { generated } from './generated.ts'
import { handWritten } from './hand-written.ts'
import { LoopHandlers } from './loop.ts'
import { codeAddress, data, withRounds, type Loop } from './loops.ts'
import { SpikeMachine, type HandlerSet } from './machine.ts'
import { TailHandlers } from './tail-calls.ts'
import { shapeKey, type HostCalls, type MachineMemory, type Shape } from './silicon.ts'

export interface Executor {
  run(): number
  result(): string
}

type Make = (loop: Loop, rounds: number, shapes: readonly Shape[]) => Executor

const interpreter =
  (make: (mem: MachineMemory, base: number, host: HostCalls, shapes: readonly Shape[]) => HandlerSet): Make =>
  (loop, rounds, shapes) => {
    const machine = new SpikeMachine((mem, base, host) => make(mem, base, host, shapes))
    machine.fill(data, 0x4000)
    machine.load(withRounds(loop, rounds), codeAddress)
    return { run: () => machine.run(codeAddress), result: () => machine.result() }
  }

/** As silicon makes them; shapes beyond `warm` are functions in modules of their own. */
const silicon = (mem: MachineMemory, base: number, host: HostCalls, warm: readonly Shape[]): HandlerSet => {
  const handlers = new Handlers(mem, base, host, [], warm) as unknown as HandlerSet
  return { index: (shape) => handlers.index(shape), run: (record) => handlers.run(record) }
}

/** Ways to execute the loops, from the slowest. */
export const executors: Readonly<Record<string, Make>> = {
  'generated, functions': interpreter((mem, base, host) => silicon(mem, base, host, [])),
  'generated, tail calls': interpreter(
    (mem, base, host, shapes) => new TailHandlers(mem, base, host, shapes, generated(base, mem.physBase)),
  ),
  'by hand, tail calls': interpreter(
    (mem, base, host, shapes) => new TailHandlers(mem, base, host, shapes, handWritten(base, mem.physBase)),
  ),
  'generated, one loop': interpreter(
    (mem, base, host, shapes) => new LoopHandlers(mem, base, host, shapes, generated(base, mem.physBase)),
  ),
  'by hand, one loop': interpreter(
    (mem, base, host, shapes) => new LoopHandlers(mem, base, host, shapes, handWritten(base, mem.physBase)),
  ),
  compiled: (loop, rounds) => {
    const compiled = new CompiledMachine(withRounds(loop, rounds))
    compiled.machine.fill(data, 0x4000)
    return { run: () => compiled.run(codeAddress), result: () => compiled.machine.result() }
  },
}

/** The shapes of a loop's instructions. */
export function shapesOf(loop: Loop): Shape[] {
  const machine = new SpikeMachine((mem, base, host) => silicon(mem, base, host, []))
  machine.load(withRounds(loop, 2), codeAddress)
  machine.run(codeAddress)
  return [...new Map(machine.shapes.map((shape) => [shapeKey(shape), shape])).values()]
}
