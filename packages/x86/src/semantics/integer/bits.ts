import type { Builder, Semantic, StagedOperand, Val } from '../builder.ts'
import type { SemanticTable } from '../registry.ts'
import { signedTo, unsignedTo, widthOf } from './width.ts'

type Change = (s: Builder, value: Val, mask: Val) => Val

/** BT and its writing forms: CF is the bit; the other flags stay. */
const bitTest =
  (change?: Change): Semantic =>
  (s, dst, index) => {
    if (dst.kind === 'mem' && index.kind === 'reg') bitStringTest(s, dst, s.read(index), change)
    else bitOperandTest(s, dst, s.read(index), change)
  }

function testIn(s: Builder, value: Val, index: Val): { position: Val; bit: Val } {
  const position = s.and(unsignedTo(s, index, 32), s.const(32, widthOf(value) - 1))
  return { position, bit: s.trunc(s.shr(value, position), 1) }
}

function bitOperandTest(s: Builder, dst: StagedOperand, index: Val, change: Change | undefined): void {
  const value = change ? s.readForWrite(dst) : s.read(dst)
  const { position, bit } = testIn(s, value, index)
  if (change) s.write(dst, change(s, value, s.shl(s.const(value.width, 1), position)))
  s.flags.set({ cf: bit })
}

/** A register index is a signed number of bits from the address. [SDM1 3.1.1.9 "Bit(BitBase, BitOffset)"] */
function bitStringTest(s: Builder, dst: StagedOperand, index: Val, change: Change | undefined): void {
  const width = widthOf(dst)
  const log = Math.log2(width)
  const unit = s.shl(s.sar(index, s.const(32, log)), s.const(32, log - 3))
  const ea = s.add(s.address(dst), signedTo(s, unit, s.addressSize))
  const value = s.load(dst, ea, width)
  const { position, bit } = testIn(s, value, index)
  if (change) s.store(dst, ea, change(s, value, s.shl(s.const(width, 1), position)))
  s.flags.set({ cf: bit })
}

/** A zero source leaves the destination alone, all 64 bits of it. SF and PF, undefined, follow the position. */
const bitScan =
  (position: (s: Builder, value: Val) => Val): Semantic =>
  (s, dst, src) => {
    const value = s.read(src)
    const zero = s.isZero(value)
    const r = position(s, value)
    s.if(s.not(zero), () => s.write(dst, r))
    s.flags.logic(s.select(zero, s.const(64, 0), s.or(unsignedTo(s, r, 64), s.const(64, 0x100))))
  }

/** All other arithmetic flags are cleared. */
function setZeroAndCarry(s: Builder, zf: Val, cf: Val): void {
  const no = s.const(1, 0)
  s.flags.set({ cf, pf: no, af: no, zf, sf: no, of: no })
}

/** TZCNT and LZCNT: the width for a zero source. */
const countZeros =
  (count: (s: Builder, value: Val) => Val): Semantic =>
  (s, dst, src) => {
    const value = s.read(src)
    const r = count(s, value)
    s.write(dst, r)
    setZeroAndCarry(s, s.isZero(r), s.isZero(value))
  }

const POPCNT: Semantic = (s, dst, src) => {
  const value = s.read(src)
  s.write(dst, s.popcnt(value))
  setZeroAndCarry(s, s.isZero(value), s.const(1, 0))
}

export const bits: SemanticTable = {
  BT: bitTest(),
  BTS: bitTest((s, value, mask) => s.or(value, mask)),
  BTR: bitTest((s, value, mask) => s.and(value, s.not(mask))),
  BTC: bitTest((s, value, mask) => s.xor(value, mask)),
  BSF: bitScan((s, value) => s.ctz(value)),
  BSR: bitScan((s, value) => s.sub(s.const(value.width, widthOf(value) - 1), s.clz(value))),
  TZCNT: countZeros((s, value) => s.ctz(value)),
  LZCNT: countZeros((s, value) => s.clz(value)),
  POPCNT,
}
