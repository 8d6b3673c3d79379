import type { Mode } from './case.ts'
import type { Random } from './random.ts'
import { integer } from './values.ts'

/** First values of the general registers, decided as late as possible, so that addresses can be made to come out right. */
export class Registers {
  readonly width: 64 | 32
  private readonly values: (bigint | undefined)[] = new Array<bigint | undefined>(16).fill(undefined)
  private readonly random: Random

  constructor(random: Random, mode: Mode) {
    this.random = random
    this.width = mode === 64 ? 64 : 32
  }

  isFree(index: number): boolean {
    return this.values[index] === undefined
  }

  set(index: number, value: bigint): void {
    this.values[index] = BigInt.asUintN(this.width, value)
  }

  get(index: number): bigint {
    return (this.values[index] ??= BigInt.asUintN(this.width, this.fresh()))
  }

  /** Now and then the value of another register, or its neighbour. */
  private fresh(): bigint {
    const other = this.random.chance(0.1) ? this.values[this.random.below(8)] : undefined
    return other === undefined ? integer(this.random, this.width) : other + BigInt(this.random.between(-1, 1))
  }

  /** Sets the low `bits`, the rest at random. */
  setLow(index: number, bits: number, value: bigint): void {
    const rest = bits >= this.width ? 0n : integer(this.random, this.width) & ~((1n << BigInt(bits)) - 1n)
    this.set(index, rest | BigInt.asUintN(Math.min(bits, this.width), value))
  }

  all(): bigint[] {
    return Array.from({ length: 16 }, (_, i) => (this.width === 32 && i >= 8 ? 0n : this.get(i)))
  }
}
