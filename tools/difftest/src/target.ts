import type { Mode } from './case.ts'
import { constant, data, endOf, high, low, PAGE, stack, type Region } from './layout.ts'
import type { Random } from './random.ts'

export interface TargetWish {
  readonly mode: Mode
  readonly bytes: number
  /** An address that is no multiple of the size is an error, or slow for all processors of the host (a split lock). */
  readonly aligned: boolean
  readonly addressSize: 16 | 32 | 64
  /** `low` is there. */
  readonly hasLow: boolean
}

/** A linear address for an operand: mostly in the writable pages, now and then at and across their ends. */
export function target(random: Random, { mode, bytes, aligned, addressSize, hasLow }: TargetWish): bigint {
  const size = Math.max(bytes, 1)
  const step = size >= 16 ? 16 : size >= 8 ? 8 : size >= 4 ? 4 : size
  const inside = (of: Region): bigint => {
    const slots = of.pages * PAGE - Math.min(size, of.pages * PAGE)
    const at = random.below(slots + 1)
    const shaped = aligned || random.chance(0.6) ? at - (at % step) : at
    return of.address + BigInt(shaped)
  }
  const round = (address: bigint): bigint => (aligned ? address - (address % BigInt(step)) : address)
  if (mode !== 16 && addressSize === 16) return hasLow ? inside(low) : BigInt(random.below(0x10000))
  switch (random.below(24)) {
    case 0:
    case 1:
      // Across the two pages of data.
      return round(data.address + BigInt(PAGE) - BigInt(random.below(size + 1)))
    case 2:
      return round(constant.address - BigInt(random.below(size + 1)))
    case 3:
      return inside(constant)
    case 4:
      return round(endOf(constant) - BigInt(random.below(size + 1)))
    case 5:
      return mode === 16 ? inside(data) : data.address - 0x1000n + BigInt(random.below(PAGE))
    case 6:
      return mode === 16 ? inside(data) : inside(stack)
    case 7:
    case 8:
      return mode === 64 && addressSize === 64 ? inside(high) : inside(data)
    case 9:
      return mode === 64 && addressSize === 64 && random.chance(0.2)
        ? 0x8000_0000_0000n - BigInt(random.below(size + 1))
        : inside(data)
    default:
      return inside(data)
  }
}
