import { numericOp, type Code, type ValType } from '@guestmode/wasm-emit'
import type { Val, Var, WasmOp, Width } from '@guestmode/x86'
import { constant, Graph, valTypeOf, type Node } from './graph.ts'

const node = (value: Val): Node => value as Node
const isNarrow = (width: Width): width is 8 | 16 => width === 8 || width === 16
const bits = (width: Width): number => width as number

/**
 * The arithmetic half of `Builder`, as WebAssembly. Integers of 8 and 16 bits live zero-extended in an i32, conditions as 0
 * or 1 in an i32.
 */
export class Arithmetic {
  readonly code: Code
  readonly graph: Graph

  constructor(code: Code) {
    this.code = code
    this.graph = new Graph(code)
  }

  const(width: Width, value: number | bigint): Node {
    if (width === 64 || width === 128) return constant(width, BigInt.asUintN(width, BigInt(value)))
    if (typeof width === 'number' && width < 32) return constant(width, BigInt.asUintN(width, BigInt(value)))
    return constant(width, value)
  }

  add(a: Val, b: Val): Node {
    return this.wrap(this.binary('add', a, b))
  }
  sub(a: Val, b: Val): Node {
    return this.wrap(this.binary('sub', a, b))
  }
  mul(a: Val, b: Val): Node {
    return this.wrap(this.binary('mul', a, b))
  }
  divU(a: Val, b: Val): Node {
    return this.binary('div_u', a, b)
  }
  remU(a: Val, b: Val): Node {
    return this.binary('rem_u', a, b)
  }
  divS(a: Val, b: Val): Node {
    return this.signed('div_s', a, b)
  }
  remS(a: Val, b: Val): Node {
    return this.signed('rem_s', a, b)
  }

  mulHighU(a: Val, b: Val): Node {
    const width = bits(a.width)
    if (width < 64) return this.trunc(this.shr(this.mul(this.zext(a, 64), this.zext(b, 64)), this.const(64, width)), a.width)
    // Schoolbook on 32-bit halves.
    const half = this.const(64, 32)
    const low = (v: Val): Node => this.and(v, this.const(64, 0xffff_ffff))
    const high = (v: Val): Node => this.shr(v, half)
    const [al, ah, bl, bh] = [low(a), high(a), low(b), high(b)]
    const middle = this.add(this.mul(ah, bl), high(this.mul(al, bl)))
    const cross = this.add(this.mul(al, bh), low(middle))
    return this.add(this.add(this.mul(ah, bh), high(middle)), high(cross))
  }

  mulHighS(a: Val, b: Val): Node {
    const width = bits(a.width)
    if (width < 64) return this.trunc(this.shr(this.mul(this.sext(a, 64), this.sext(b, 64)), this.const(64, width)), a.width)
    const sign = this.const(64, 63)
    const correction = this.add(this.and(this.sar(a, sign), b), this.and(this.sar(b, sign), a))
    return this.sub(this.mulHighU(a, b), correction)
  }

  and(a: Val, b: Val): Node {
    return this.logical('and', a, b)
  }
  or(a: Val, b: Val): Node {
    return this.logical('or', a, b)
  }
  xor(a: Val, b: Val): Node {
    return this.logical('xor', a, b)
  }
  not(a: Val): Node {
    if (a.width === 128) return this.graph.op(128, 'v128.not', [node(a)])
    return a.width === 1 ? this.isZero(a) : this.xor(a, this.const(a.width, -1n))
  }
  neg(a: Val): Node {
    return this.sub(this.const(a.width, 0), a)
  }

  shl(a: Val, amount: Val): Node {
    return this.wrap(this.shift('shl', a, a.width, amount))
  }
  shr(a: Val, amount: Val): Node {
    return this.shift('shr_u', a, a.width, amount)
  }
  sar(a: Val, amount: Val): Node {
    if (!isNarrow(a.width)) return this.shift('shr_s', a, a.width, amount)
    return this.wrap(this.shift('shr_s', this.sext(a, 32), a.width, amount))
  }
  rotl(a: Val, amount: Val): Node {
    return isNarrow(a.width) ? this.rotateNarrow(a, amount, false) : this.shift('rotl', a, a.width, amount)
  }
  rotr(a: Val, amount: Val): Node {
    return isNarrow(a.width) ? this.rotateNarrow(a, amount, true) : this.shift('rotr', a, a.width, amount)
  }

  popcnt(a: Val): Node {
    return this.unary('popcnt', a)
  }
  clz(a: Val): Node {
    const count = this.unary('clz', a)
    return isNarrow(a.width) ? this.alias(this.sub(this.alias(count, 32), this.const(32, 32 - a.width)), a.width) : count
  }
  ctz(a: Val): Node {
    return isNarrow(a.width)
      ? this.alias(this.unary('ctz', this.or(this.alias(a, 32), this.const(32, 1 << a.width))), a.width)
      : this.unary('ctz', a)
  }
  bswap(a: Val): Node {
    switch (a.width) {
      case 16:
        return this.rotl(a, this.const(32, 8))
      case 32: {
        const even = this.and(this.rotl(a, this.const(32, 8)), this.const(32, 0x00ff00ff))
        return this.or(even, this.and(this.rotl(a, this.const(32, 24)), this.const(32, 0xff00ff00)))
      }
      case 64: {
        const high = this.zext(this.bswap(this.trunc(a, 32)), 64)
        const low = this.zext(this.bswap(this.trunc(this.shr(a, this.const(64, 32)), 32)), 64)
        return this.or(this.shl(high, this.const(64, 32)), low)
      }
      default:
        throw new Error(`bswap of width ${a.width}`)
    }
  }

  eq(a: Val, b: Val): Node {
    return this.compare('eq', a, b)
  }
  ne(a: Val, b: Val): Node {
    return this.compare('ne', a, b)
  }
  ltU(a: Val, b: Val): Node {
    return this.compare('lt_u', a, b)
  }
  leU(a: Val, b: Val): Node {
    return this.compare('le_u', a, b)
  }
  ltS(a: Val, b: Val): Node {
    return this.compare('lt_s', this.widenSigned(a), this.widenSigned(b))
  }
  leS(a: Val, b: Val): Node {
    return this.compare('le_s', this.widenSigned(a), this.widenSigned(b))
  }
  isZero(a: Val): Node {
    return this.graph.op(1, `${valTypeOf(a.width)}.eqz`, [node(a)])
  }

  select(c: Val, a: Val, b: Val): Node {
    return this.graph.node(a.width, { kind: 'select', args: [node(c), node(a), node(b)] })
  }

  zext(a: Val, width: Width): Node {
    if (a.width === width) return node(a)
    if (width === 128) return this.lane('i64x2.replace_lane', 0, this.const(128, 0), this.zext(a, 64))
    if (width === 64) return this.graph.op(64, 'i64.extend_i32_u', [node(a)])
    return this.alias(a, width)
  }

  sext(a: Val, width: Width): Node {
    if (a.width === width) return node(a)
    if (a.width === 1) return this.neg(this.zext(a, width))
    const wide = isNarrow(a.width) ? this.graph.op(32, `i32.extend${a.width}_s`, [node(a)]) : node(a)
    if (width === 64) return this.graph.op(64, 'i64.extend_i32_s', [wide])
    return width === 16 ? this.and(this.alias(wide, 16), this.const(16, 0xffff)) : wide
  }

  trunc(a: Val, width: Width): Node {
    if (a.width === width) return node(a)
    if (a.width === 128) return this.trunc(this.lane('i64x2.extract_lane', 0, a), width)
    const word = a.width === 64 ? this.graph.op(32, 'i32.wrap_i64', [node(a)]) : node(a)
    if (width === 32) return word
    const mask = width === 1 ? 1 : width === 8 ? 0xff : 0xffff
    return this.alias(this.and(this.alias(word, 32), this.const(32, mask)), width)
  }

  bit(a: Val, n: number): Node {
    return this.trunc(n === 0 ? a : this.shr(a, this.const(a.width, n)), 1)
  }

  op(name: WasmOp, ...args: Val[]): Node {
    return this.lane(name, 0, ...args)
  }

  lane(name: WasmOp, lane: number, ...args: Val[]): Node {
    return this.graph.op(widthOf(numericOp(name).result), name, args.map(node), lane)
  }

  shuffle(a: Val, b: Val, lanes: readonly number[]): Node {
    return this.graph.node(128, { kind: 'shuffle', args: [node(a), node(b)], lanes })
  }

  v128(bytes: readonly number[]): Node {
    return constant(128, bytes)
  }

  local(initial: Val): Var {
    const local = this.code.local(valTypeOf(initial.width))
    const set = (value: Val): void =>
      this.graph.effect([node(value)], (put) => {
        put(node(value))
        this.code.set(local)
      })
    set(initial)
    const { width } = initial
    return {
      width,
      get: () => this.graph.node(width, { kind: 'read', args: [], emit: () => void this.code.get(local) }, true),
      set,
    }
  }

  if(condition: Val, then: () => void, otherwise?: () => void): void {
    this.graph.if(node(condition), then, otherwise)
  }

  loop(body: () => Val): void {
    this.graph.loop(() => node(body()))
  }

  protected alias(a: Val, width: Width): Node {
    return a.width === width ? node(a) : this.graph.node(width, { kind: 'alias', args: [node(a)] })
  }

  private binary(op: string, a: Val, b: Val): Node {
    if (a.width !== b.width) throw new Error(`${op}: widths ${a.width} and ${b.width}`)
    return this.graph.op(a.width, `${valTypeOf(a.width)}.${op}`, [node(a), node(b)])
  }

  private unary(op: string, a: Val): Node {
    return this.graph.op(a.width, `${valTypeOf(a.width)}.${op}`, [node(a)])
  }

  private logical(op: string, a: Val, b: Val): Node {
    return a.width === 128 ? this.graph.op(128, `v128.${op}`, [node(a), node(b)]) : this.binary(op, a, b)
  }

  private signed(op: string, a: Val, b: Val): Node {
    if (!isNarrow(a.width)) return this.binary(op, a, b)
    return this.trunc(this.binary(op, this.sext(a, 32), this.sext(b, 32)), a.width)
  }

  private compare(op: string, a: Val, b: Val): Node {
    if (a.width !== b.width) throw new Error(`${op}: widths ${a.width} and ${b.width}`)
    return this.graph.op(1, `${valTypeOf(a.width)}.${op}`, [node(a), node(b)])
  }

  private shift(op: string, a: Val, width: Width, amount: Val): Node {
    const count =
      valTypeOf(a.width) === 'i64' ? this.zext(amount, 64) : this.trunc(amount, amount.width === 64 ? 32 : amount.width)
    return this.graph.op(width, `${valTypeOf(a.width)}.${op}`, [node(a), count])
  }

  private rotateNarrow(a: Val, amount: Val, right: boolean): Node {
    const width = bits(a.width)
    const value = this.alias(a, 32)
    const count = amount.width === 64 ? this.trunc(amount, 32) : this.alias(amount, 32)
    const back = this.sub(this.const(32, width), count)
    const turned = right
      ? this.or(this.shr(value, count), this.shl(value, back))
      : this.or(this.shl(value, count), this.shr(value, back))
    return this.trunc(turned, a.width)
  }

  private widenSigned(a: Val): Val {
    return isNarrow(a.width) ? this.sext(a, 32) : a
  }

  /** Cuts a narrow result to its width. */
  private wrap(a: Node): Node {
    return isNarrow(a.width) ? this.and(a, this.const(a.width, a.width === 8 ? 0xff : 0xffff)) : a
  }
}

const widthOf = (type: ValType): Width => (type === 'i32' ? 32 : type === 'i64' ? 64 : type === 'v128' ? 128 : type)
