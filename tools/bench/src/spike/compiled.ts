import { ModuleWriter, WebAssembly } from '@guestmode/wasm-emit'
import { decode } from '@guestmode/x86'
import { Compiler, splitBlocks, type GuestInsn } from './compiler.ts'
import { codeAddress } from './loops.ts'
import { budgetOfOneRun, SpikeMachine } from './machine.ts'
import { Fragments, importHostCalls, writeSupport, type HostCalls, type MachineMemory } from './silicon.ts'

/** The roads of memory accesses out of compiled code, as the interpreter has them. */
export function instantiateSupport(mem: MachineMemory, base: number, host: HostCalls): Record<string, unknown> {
  const module = new ModuleWriter()
  const calls = importHostCalls(module)
  module.importMemory('machine', 'memory', 1, 65536, mem.shared)
  const support = writeSupport(module, calls, new Fragments(base, calls))
  for (const [name, func] of Object.entries(support)) module.export(name, 'func', func)
  const imports = { host: { ...host }, machine: { memory: mem.memory } }
  return new WebAssembly.Instance(new WebAssembly.Module(module.encode()), imports).exports
}

export function decodeAll(bytes: Uint8Array, eip: number): GuestInsn[] {
  const insns: GuestInsn[] = []
  for (let at = 0; at < bytes.length;) {
    const result = decode(bytes, at, bytes.length, 32)
    if (!result.ok) at += 1
    else {
      insns.push({ eip: eip + at, insn: result.insn })
      at += result.insn.length
    }
  }
  return insns
}

/** A machine whose loop is compiled to one function. */
export class CompiledMachine {
  readonly machine: SpikeMachine
  private readonly enter: (block: number) => void
  private readonly blocks: ReadonlyMap<number, number>

  constructor(code: Uint8Array) {
    let host!: HostCalls
    this.machine = new SpikeMachine((_mem, _base, calls) => {
      host = calls
      return { index: () => 0, run: () => undefined }
    })
    const { mem, layout } = this.machine
    const insns = decodeAll(code, codeAddress)
    const blocks = splitBlocks(insns.slice(0))
    this.blocks = new Map(blocks.map((block, i) => [block.eip, i]))
    const compiler = new Compiler(layout.state, mem.physBase)
    compiler.add(blocks)
    const imports = { host: { ...host }, support: instantiateSupport(mem, layout.state, host), machine: { memory: mem.memory } }
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(compiler.finish()), imports)
    this.enter = exports['0'] as (block: number) => void
  }

  /** Runs from `eip` to HLT, which no block begins with; returns the number of instructions. */
  run(eip: number): number {
    const { machine, blocks } = this
    let count = 0
    machine.state.rip = BigInt(eip)
    for (;;) {
      machine.state.budget = budgetOfOneRun
      const block = blocks.get(Number(machine.state.rip))
      if (block === undefined) return count
      const before = machine.state.rip
      this.enter(block)
      count += budgetOfOneRun - machine.state.budget
      if (machine.state.rip === before && machine.state.budget === budgetOfOneRun) return count
    }
  }
}
