import type { Builder, StagedOperand, Val } from '../builder.ts'

export type IntWidth = 8 | 16 | 32 | 64

export function widthOf(value: Val | StagedOperand): IntWidth {
  return value.width as IntWidth
}

/** `value` in another width: zero-extended or cut. */
export function unsignedTo(s: Builder, value: Val, width: IntWidth): Val {
  if (value.width === width) return value
  return widthOf(value) < width ? s.zext(value, width) : s.trunc(value, width)
}

/** `value` in another width: sign-extended or cut. */
export function signedTo(s: Builder, value: Val, width: IntWidth): Val {
  if (value.width === width) return value
  return widthOf(value) < width ? s.sext(value, width) : s.trunc(value, width)
}

export function signBit(s: Builder, value: Val): Val {
  return s.bit(value, widthOf(value) - 1)
}
