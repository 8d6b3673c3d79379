import type { Val, Var, Width } from '../semantics/builder.ts'

/** A value that is known: unsigned, within its width. */
export class Value implements Val {
  readonly width: Width
  readonly bits: bigint

  constructor(width: Width, bits: bigint) {
    this.width = width
    this.bits = bits
  }
}

export class Variable implements Var {
  readonly width: Width
  private value: Val

  constructor(initial: Val) {
    this.width = initial.width
    this.value = initial
  }

  get(): Val {
    return this.value
  }

  set(value: Val): void {
    this.value = value
  }
}

export function bitsOf(value: Val): bigint {
  return (value as Value).bits
}

export function widthOf(value: Val): number {
  if (typeof value.width !== 'number') throw new Error(`${value.width} is not an integer`)
  return value.width
}

export const unsigned = (value: bigint, width: number): bigint => BigInt.asUintN(width, value)
export const signed = (value: Val): bigint => BigInt.asIntN(widthOf(value), bitsOf(value))
