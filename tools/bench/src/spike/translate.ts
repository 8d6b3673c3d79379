import { readFileSync } from 'node:fs'
import { WebAssembly } from '@guestmode/wasm-emit'
import { threadCpu } from '../report/cpu-time.ts'
import { decodeAll, instantiateSupport } from './compiled.ts'
import { Compiler, splitBlocks, type GuestInsn } from './compiler.ts'
import { SpikeMachine } from './machine.ts'
import type { HostCalls } from './silicon.ts'

export interface Translation {
  readonly instructions: number
  readonly left: number
  readonly bytes: number
  readonly modules: number
  /** Guest instructions a second of CPU time: from decoded instructions to module bytes, and with `Module` and `Instance`. */
  readonly perSecond: number
  readonly perSecondInstantiated: number
}

const blocksInRegion = 16
const regionsInModule = 64
const instructionLimit = 200_000

/** Code sections of a 32-bit ELF file, decoded. */
export function readElfCode(path: string): GuestInsn[] {
  const file = readFileSync(path)
  const word = (at: number): number => file.readUInt32LE(at)
  if (word(0) !== 0x464c457f || file[4] !== 1) throw new Error(`${path} is not a 32-bit ELF file`)
  const [sections, count] = [word(32), file.readUInt16LE(48)]
  const [sectionTypeProgram, flagExecutable] = [1, 4]
  const insns: GuestInsn[] = []
  for (let i = 0; i < count; i++) {
    const at = sections + 40 * i
    if (word(at + 4) !== sectionTypeProgram || (word(at + 8) & flagExecutable) === 0) continue
    const [address, offset, size] = [word(at + 12), word(at + 16), word(at + 20)]
    for (const insn of decodeAll(file.subarray(offset, offset + size), address)) insns.push(insn)
  }
  return insns.slice(0, instructionLimit)
}

/** Compiles a program whole, several times, so that the compiler itself is warm; the best round counts. */
export function measureTranslation(insns: readonly GuestInsn[], rounds = 6): Translation {
  let host!: HostCalls
  const machine = new SpikeMachine((_mem, _base, calls) => {
    host = calls
    return { index: () => 0, run: () => undefined }
  })
  const { mem, layout } = machine
  const support = instantiateSupport(mem, layout.state, host)
  const imports = { host: { ...host }, support, machine: { memory: mem.memory } }
  const blocks = splitBlocks(insns)
  const compiler = new Compiler(layout.state, mem.physBase)
  let best: Translation | undefined
  for (let round = 0; round < rounds; round++) {
    const [compiled, left] = [compiler.compiled, compiler.left]
    const modules: Uint8Array[] = []
    const start = threadCpu()
    for (let i = 0; i < blocks.length;) {
      for (let region = 0; region < regionsInModule && i < blocks.length; region++, i += blocksInRegion)
        compiler.add(blocks.slice(i, i + blocksInRegion))
      modules.push(compiler.finish())
    }
    const written = threadCpu()
    // Equal bytes would come from the engine's cache.
    for (const module of modules) new WebAssembly.Instance(new WebAssembly.Module(vary(module, round)), imports)
    const done = threadCpu()
    const instructions = compiler.compiled - compiled
    const perSecond = (instructions / (written - start)) * 1000
    if (best && best.perSecond > perSecond) continue
    best = {
      instructions,
      left: compiler.left - left,
      bytes: modules.reduce((sum, module) => sum + module.length, 0),
      modules: modules.length,
      perSecond,
      perSecondInstantiated: (instructions / (done - start)) * 1000,
    }
  }
  return best!
}

/** The module with a custom section that holds a number. */
function vary(module: Uint8Array, number: number): Uint8Array {
  const section = [0, 3, 1, 0x6e, number & 0x7f]
  const varied = new Uint8Array(module.length + section.length)
  varied.set(module)
  varied.set(section, module.length)
  return varied
}
