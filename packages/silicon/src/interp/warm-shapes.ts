import { parseShapeKey, type Shape } from './shape.ts'
import { warmShapeKeys } from './tables/warm-shape-keys.ts'

/** Shapes that ordinary guests use: their handlers are made at once, in the module that owns the table. Others are made when they are met. */
export const warmShapes = (): Shape[] => warmShapeKeys.trim().split('\n').map(parseShapeKey)
