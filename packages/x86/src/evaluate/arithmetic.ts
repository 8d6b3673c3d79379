import type { Val, Width } from '../semantics/builder.ts'
import { bitsOf, signed, unsigned, Value, widthOf } from './value.ts'

const truth = (condition: boolean): Val => new Value(1, condition ? 1n : 0n)

function combine(a: Val, b: Val, f: (a: bigint, b: bigint) => bigint): Val {
  if (a.width !== b.width) throw new Error(`operands of widths ${a.width} and ${b.width}`)
  return new Value(a.width, unsigned(f(bitsOf(a), bitsOf(b)), widthOf(a)))
}

const combineSigned = (a: Val, b: Val, f: (a: bigint, b: bigint) => bigint): Val => combine(a, b, () => f(signed(a), signed(b)))

function compare(a: Val, b: Val, f: (a: bigint, b: bigint) => boolean): Val {
  if (a.width !== b.width) throw new Error(`comparison of widths ${a.width} and ${b.width}`)
  return truth(f(bitsOf(a), bitsOf(b)))
}

function amountOf(a: Val, amount: Val): bigint {
  const bits = bitsOf(amount)
  if (bits >= BigInt(widthOf(a))) throw new Error(`shift of ${a.width} bits by ${bits}`)
  return bits
}

function rotated(a: Val, left: bigint): Val {
  const width = BigInt(widthOf(a))
  const bits = bitsOf(a)
  return new Value(a.width, unsigned((bits << left) | (bits >> (width - left)), Number(width)))
}

function onesIn(bits: bigint): number {
  return bits.toString(2).replaceAll('0', '').length
}

/** The integer operations of a builder, on values that are known. It refuses what the interface leaves to the caller. */
export class IntegerArithmetic {
  const(width: Width, value: number | bigint): Val {
    return new Value(width, unsigned(BigInt(value), width as number))
  }

  add(a: Val, b: Val): Val {
    return combine(a, b, (x, y) => x + y)
  }

  sub(a: Val, b: Val): Val {
    return combine(a, b, (x, y) => x - y)
  }

  mul(a: Val, b: Val): Val {
    return combine(a, b, (x, y) => x * y)
  }

  mulHighU(a: Val, b: Val): Val {
    return combine(a, b, (x, y) => (x * y) >> BigInt(widthOf(a)))
  }

  mulHighS(a: Val, b: Val): Val {
    return combineSigned(a, b, (x, y) => (x * y) >> BigInt(widthOf(a)))
  }

  divU(a: Val, b: Val): Val {
    return combine(a, b, (x, y) => x / y)
  }

  divS(a: Val, b: Val): Val {
    const quotient = signed(a) / signed(b)
    if (BigInt.asIntN(widthOf(a), quotient) !== quotient) throw new Error('quotient out of range')
    return new Value(a.width, unsigned(quotient, widthOf(a)))
  }

  remU(a: Val, b: Val): Val {
    return combine(a, b, (x, y) => x % y)
  }

  remS(a: Val, b: Val): Val {
    return combineSigned(a, b, (x, y) => x % y)
  }

  and(a: Val, b: Val): Val {
    return combine(a, b, (x, y) => x & y)
  }

  or(a: Val, b: Val): Val {
    return combine(a, b, (x, y) => x | y)
  }

  xor(a: Val, b: Val): Val {
    return combine(a, b, (x, y) => x ^ y)
  }

  not(a: Val): Val {
    return new Value(a.width, unsigned(~bitsOf(a), widthOf(a)))
  }

  neg(a: Val): Val {
    return new Value(a.width, unsigned(-bitsOf(a), widthOf(a)))
  }

  shl(a: Val, amount: Val): Val {
    return new Value(a.width, unsigned(bitsOf(a) << amountOf(a, amount), widthOf(a)))
  }

  shr(a: Val, amount: Val): Val {
    return new Value(a.width, bitsOf(a) >> amountOf(a, amount))
  }

  sar(a: Val, amount: Val): Val {
    return new Value(a.width, unsigned(signed(a) >> amountOf(a, amount), widthOf(a)))
  }

  rotl(a: Val, amount: Val): Val {
    return rotated(a, amountOf(a, amount))
  }

  rotr(a: Val, amount: Val): Val {
    return rotated(a, BigInt(widthOf(a)) - amountOf(a, amount))
  }

  popcnt(a: Val): Val {
    return new Value(a.width, BigInt(onesIn(bitsOf(a))))
  }

  clz(a: Val): Val {
    const used = bitsOf(a) === 0n ? 0 : bitsOf(a).toString(2).length
    return new Value(a.width, BigInt(widthOf(a) - used))
  }

  ctz(a: Val): Val {
    const bits = bitsOf(a)
    return new Value(a.width, BigInt(bits === 0n ? widthOf(a) : (bits & -bits).toString(2).length - 1))
  }

  bswap(a: Val): Val {
    const digits = bitsOf(a)
      .toString(16)
      .padStart(widthOf(a) / 4, '0')
    return new Value(a.width, BigInt(`0x${digits.match(/../g)!.reverse().join('')}`))
  }

  eq(a: Val, b: Val): Val {
    return compare(a, b, (x, y) => x === y)
  }

  ne(a: Val, b: Val): Val {
    return compare(a, b, (x, y) => x !== y)
  }

  ltU(a: Val, b: Val): Val {
    return compare(a, b, (x, y) => x < y)
  }

  leU(a: Val, b: Val): Val {
    return compare(a, b, (x, y) => x <= y)
  }

  ltS(a: Val, b: Val): Val {
    return compare(a, b, () => signed(a) < signed(b))
  }

  leS(a: Val, b: Val): Val {
    return compare(a, b, () => signed(a) <= signed(b))
  }

  isZero(a: Val): Val {
    return truth(bitsOf(a) === 0n)
  }

  select(c: Val, a: Val, b: Val): Val {
    if (a.width !== b.width) throw new Error(`choice between widths ${a.width} and ${b.width}`)
    return bitsOf(c) === 0n ? b : a
  }

  zext(a: Val, width: Width): Val {
    if ((width as number) < widthOf(a)) throw new Error(`extension from ${a.width} to ${width}`)
    return new Value(width, bitsOf(a))
  }

  sext(a: Val, width: Width): Val {
    if ((width as number) < widthOf(a)) throw new Error(`extension from ${a.width} to ${width}`)
    return new Value(width, unsigned(signed(a), width as number))
  }

  trunc(a: Val, width: Width): Val {
    if ((width as number) > widthOf(a)) throw new Error(`cut from ${a.width} to ${width}`)
    return new Value(width, unsigned(bitsOf(a), width as number))
  }

  bit(a: Val, n: number): Val {
    return truth(((bitsOf(a) >> BigInt(n)) & 1n) !== 0n)
  }
}
