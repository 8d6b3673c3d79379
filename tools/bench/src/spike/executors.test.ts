import { describe, expect, test } from 'vitest'
import { executors, shapesOf } from './executors.ts'
import { loops } from './loops.ts'

describe.each(loops.map((loop) => [loop.name, loop] as const))('loop %s', (_, loop) => {
  test('comes to the same, however it is executed', () => {
    const shapes = shapesOf(loop)
    const results = Object.entries(executors).map(([name, make]) => {
      const executor = make(loop, 3000, shapes)
      executor.run()
      return [name, executor.result()]
    })
    const [, expected] = results[0]!
    expect(results).toEqual(results.map(([name]) => [name, expected]))
  })
})
