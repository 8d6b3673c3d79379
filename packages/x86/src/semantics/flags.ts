import type { Builder, FlagName, Flags, Val } from './builder.ts'

/** What the flag arithmetic needs of a builder. */
export type FlagsCore = Pick<
  Builder,
  | 'const'
  | 'add'
  | 'sub'
  | 'and'
  | 'or'
  | 'xor'
  | 'not'
  | 'shl'
  | 'shr'
  | 'popcnt'
  | 'ltS'
  | 'isZero'
  | 'ne'
  | 'select'
  | 'zext'
  | 'sext'
  | 'trunc'
  | 'get'
  | 'set'
>

const CARRY = 0x8000_0000
const CARRY_AND_OVERFLOW = 0xc000_0000
const ADJUST = 8

/**
 * The arithmetic flags over the fields `flagResult` and `flagAux` (see `cpuState`), in plain integer operations.
 *
 * `flagAux` holds, at bits 31, 30 and 3, the carries out of the sign bit, of the bit below it and of bit 3. A carry out of
 * each bit is the majority of a, b and not r in an addition; a borrow is the majority of not a, b and r.
 */
export function makeFlags(s: FlagsCore): Flags {
  const u32 = (value: number): Val => s.const(32, value)
  const aux = (): Val => s.get('flagAux')
  const setAux = (value: Val): void => s.set('flagAux', value)
  const setResult = (r: Val): void => s.set('flagResult', r.width === 64 ? r : s.sext(r, 64))
  const majority = (a: Val, b: Val, c: Val): Val => s.or(s.and(a, b), s.and(s.or(a, b), c))

  /** Carries of an operation in their places in `flagAux`; bits that no flag is read from are left as they fall. */
  const place = (carries: Val): Val => {
    const low = (): Val => s.and(s.trunc(carries, 32), u32(ADJUST))
    switch (carries.width) {
      case 64:
        return s.or(s.and(s.trunc(s.shr(carries, u32(32)), 32), u32(CARRY_AND_OVERFLOW)), low())
      case 32:
        return s.and(carries, u32((CARRY_AND_OVERFLOW | ADJUST) >>> 0))
      case 16:
      case 8: {
        const wide = s.zext(carries, 32)
        return s.or(s.shl(wide, u32(32 - carries.width)), s.and(wide, u32(ADJUST)))
      }
      default:
        throw new Error(`no flags for width ${carries.width}`)
    }
  }

  /** `value` with the carry bit of `carry`, its OF (the difference of bits 31 and 30) kept. */
  const withCarry = (value: Val, carry: Val): Val => {
    const change = s.and(s.xor(value, carry), u32(CARRY))
    return s.xor(value, s.or(change, s.shr(change, u32(1))))
  }

  const cf = (): Val => s.ltS(aux(), u32(0))
  const zf = (): Val => s.isZero(s.get('flagResult'))
  const of = (): Val => s.ltS(s.add(aux(), u32(0x4000_0000)), u32(0))
  const af = (): Val => s.ne(s.and(aux(), u32(ADJUST)), u32(0))
  const resultHigh = (): Val => s.trunc(s.shr(s.get('flagResult'), u32(32)), 32)
  const signWord = (): Val => s.xor(resultHigh(), s.shl(aux(), u32(31)))
  const sf = (): Val => s.ltS(signWord(), u32(0))
  const pf = (): Val => {
    const byte = s.and(s.xor(s.trunc(s.get('flagResult'), 32), s.shr(aux(), u32(8))), u32(0xff))
    return s.isZero(s.and(s.popcnt(byte), u32(1)))
  }
  const less = (): Val => s.ltS(s.xor(signWord(), s.add(aux(), u32(0x4000_0000))), u32(0))
  const readers: Record<FlagName, () => Val> = { cf, pf, af, zf, sf, of }

  const flag = (value: Val, bit: number): Val => s.shl(s.zext(value, 32), u32(bit))
  /** Result and low parts of `flagAux` that mean just these ZF, SF and PF. */
  const resultOf = (zero: Val): Val => s.select(zero, s.const(64, 0), s.const(64, 0x100))
  const signAndParity = (sign: Val, parity: Val): Val => s.or(s.zext(sign, 32), flag(s.not(parity), 8))
  const carryAndOverflow = (carry: Val, overflow: Val): Val => s.or(flag(carry, 31), flag(s.xor(carry, overflow), 30))

  return {
    add(a, b, r) {
      setResult(r)
      setAux(place(majority(a, b, s.not(r))))
    },
    sub(a, b, r) {
      setResult(r)
      setAux(place(majority(b, r, s.not(a))))
    },
    logic(r) {
      setResult(r)
      setAux(u32(0))
    },
    inc(r) {
      const carries = s.and(s.sub(r, s.const(r.width, 1)), s.not(r))
      setAux(withCarry(place(carries), aux()))
      setResult(r)
    },
    dec(r) {
      const borrows = s.and(r, s.not(s.add(r, s.const(r.width, 1))))
      setAux(withCarry(place(borrows), aux()))
      setResult(r)
    },
    result(r, carry, overflow) {
      setResult(r)
      setAux(carryAndOverflow(carry, overflow))
    },
    set(flags) {
      let value = aux()
      if (flags.zf !== undefined) {
        const sign = flags.sf ?? sf()
        const parity = flags.pf ?? pf()
        value = s.or(s.and(value, u32(0xffff_00fe)), signAndParity(sign, parity))
        s.set('flagResult', resultOf(flags.zf))
      } else {
        if (flags.sf !== undefined) {
          const negative = s.ltS(s.get('flagResult'), s.const(64, 0))
          value = s.or(s.and(value, u32(0xffff_fffe)), s.zext(s.xor(flags.sf, negative), 32))
        }
        if (flags.pf !== undefined) {
          const byte = s.and(s.trunc(s.get('flagResult'), 32), u32(0xff))
          const vector = s.xor(byte, s.zext(s.not(flags.pf), 32))
          value = s.or(s.and(value, u32(0xffff_00ff)), s.shl(vector, u32(8)))
        }
      }
      if (flags.af !== undefined) value = s.or(s.and(value, u32(0xffff_ffff - ADJUST)), flag(flags.af, 3))
      if (flags.cf !== undefined && flags.of !== undefined) {
        value = s.or(s.and(value, u32(0x3fff_ffff)), carryAndOverflow(flags.cf, flags.of))
      } else if (flags.cf !== undefined) {
        value = withCarry(value, flag(flags.cf, 31))
      } else if (flags.of !== undefined) {
        const carry = s.and(value, u32(CARRY))
        const below = s.xor(s.shr(carry, u32(1)), flag(flags.of, 30))
        value = s.or(s.and(value, u32(0xbfff_ffff)), below)
      }
      setAux(value)
    },
    get: (name) => readers[name](),
    condition(cc) {
      const tests: readonly (() => Val)[] = [of, cf, zf, () => s.or(cf(), zf()), sf, pf, less, () => s.or(less(), zf())]
      const value = tests[(cc >> 1) & 7]!()
      return (cc & 1) === 0 ? value : s.not(value)
    },
    read() {
      const low = s.or(s.or(flag(cf(), 0), flag(pf(), 2)), s.shl(s.and(aux(), u32(ADJUST)), u32(1)))
      return s.or(s.or(low, flag(zf(), 6)), s.or(flag(sf(), 7), flag(of(), 11)))
    },
    write(flags) {
      const carry = s.and(flags, u32(1))
      const overflow = s.and(s.shr(flags, u32(11)), u32(1))
      const carries = s.or(s.shl(carry, u32(31)), s.shl(s.xor(carry, overflow), u32(30)))
      const adjust = s.and(s.shr(flags, u32(1)), u32(ADJUST))
      const sign = s.and(s.shr(flags, u32(7)), u32(1))
      const parity = s.shl(s.and(s.not(flags), u32(4)), u32(6))
      setAux(s.or(s.or(carries, adjust), s.or(sign, parity)))
      s.set('flagResult', s.zext(s.shl(s.and(s.not(flags), u32(0x40)), u32(2)), 64))
    },
  }
}
