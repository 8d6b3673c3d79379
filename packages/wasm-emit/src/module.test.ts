import { describe, expect, test } from 'vitest'
import { Code, ModuleWriter, numericOps, WebAssembly } from './index.ts'

describe('module writer', () => {
  test('every numeric operator validates with the signature derived from its name', () => {
    const failures: string[] = []
    for (const op of numericOps()) {
      const module = new ModuleWriter()
      const f = module.declare(module.type(op.params, [op.result]))
      const code = new Code(op.params.length)
      op.params.forEach((_, i) => code.get(i))
      if (op.lane) code.laneOp(op.name, 1)
      else code.op(op.name)
      module.define(f, code)
      if (!WebAssembly.validate(module.encode())) failures.push(op.name)
    }
    expect(failures).toEqual([])
  })

  test('functions of one module tail-call each other through its table', () => {
    const module = new ModuleWriter()
    const type = module.type(['i32', 'i32'], ['i32'])
    module.defineTable(2)
    // sum(n, acc) = n == 0 ? acc : table[n & 1](n - 1, acc + n)
    const functions = [0, 1].map(() => {
      const f = module.declare(type)
      const code = new Code(2)
      code.get(0).op('i32.eqz').if()
      code.get(1).return().end()
      code.get(0).i32(1).op('i32.sub').get(1).get(0).op('i32.add').get(0).i32(1).op('i32.and').returnCallIndirect(type)
      module.define(f, code)
      return f
    })
    module.element(0, functions)
    module.export('sum', 'func', functions[0]!)
    const { sum } = new WebAssembly.Instance(new WebAssembly.Module(module.encode())).exports as {
      sum: (n: number, acc: number) => number
    }
    expect(sum(1_000_000, 0)).toBe(((1_000_000 * 1_000_001) / 2) | 0)
  })

  test('an unknown operator is refused', () => {
    expect(() => new Code(0).op('i32.frobnicate')).toThrow('unknown WebAssembly operator i32.frobnicate')
  })
})
