import { expect, test } from 'vitest'
import { parseShapeKey, shapeKey } from './shape.ts'
import { warmShapes } from './warm-shapes.ts'
import { warmShapeKeys } from './tables/warm-shape-keys.ts'

test('a key tells the whole shape', () => {
  expect(warmShapes().map(shapeKey)).toEqual(warmShapeKeys.trim().split('\n'))
})

test('what is no key is refused', () => {
  expect(() => parseShapeKey('ADD.-1.0.32.32.32.32.f gpr32,frob8')).toThrow('not an operand: frob8')
  expect(() => parseShapeKey('ADD.-1.0.32.32.32.32.f m32:32q')).toThrow('not an address form: m32:32q')
})
