import type { CodeMode } from './shape.ts'

/** Code modes by number: the number is part of a block's key. */
export const codeModes: readonly CodeMode[] = [
  { codeWidth: 16, stackWidth: 16, flat: false },
  { codeWidth: 16, stackWidth: 32, flat: false },
  { codeWidth: 32, stackWidth: 16, flat: false },
  { codeWidth: 32, stackWidth: 32, flat: false },
  { codeWidth: 64, stackWidth: 64, flat: true },
  { codeWidth: 16, stackWidth: 16, flat: true },
  { codeWidth: 16, stackWidth: 32, flat: true },
  { codeWidth: 32, stackWidth: 16, flat: true },
  { codeWidth: 32, stackWidth: 32, flat: true },
]

export const longMode = 4

export function codeModeNumber(codeWidth: number, stackWidth: number, flat: boolean): number {
  if (codeWidth === 64) return longMode
  return (codeWidth === 32 ? 2 : 0) + (stackWidth === 32 ? 1 : 0) + (flat ? 5 : 0)
}
