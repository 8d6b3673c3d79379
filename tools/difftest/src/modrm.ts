import type { Random } from './random.ts'
import type { Registers } from './registers.ts'

/** ModRM, SIB and displacement of a memory operand whose effective address is `wanted`, as far as the registers still allow. */

export interface MemoryForm {
  readonly reg: number
  /** REX bits X and B that the operand needs. */
  readonly rexX: boolean
  readonly rexB: boolean
  /** ModRM.rm is fixed by the row. */
  readonly rm: number | undefined
}

const signed = (value: bigint, bits: number): boolean => BigInt.asIntN(bits, value) === value

function littleEndian(value: bigint, bytes: number): number[] {
  return Array.from({ length: bytes }, (_, i) => Number((BigInt.asUintN(8 * bytes, value) >> BigInt(8 * i)) & 0xffn))
}

const base16 = [3, 3, 5, 5, 6, 7, 5, 3] as const
const index16 = [6, 7, 6, 7, -1, -1, -1, -1] as const

/** Sets a free register of 16 address bits. */
function fit16(random: Random, registers: Registers, rm: number, disp: bigint, wanted: bigint): boolean {
  const base = base16[rm]!
  const index = index16[rm]!
  if (!registers.isFree(base)) return false
  const rest = index < 0 ? 0n : registers.get(index)
  registers.setLow(base, random.chance(0.5) ? 32 : 16, BigInt.asUintN(16, wanted - rest - disp))
  return true
}

export function address16(random: Random, registers: Registers, form: MemoryForm, wanted: bigint): number[] {
  const rm = form.rm ?? random.below(8)
  const short = random.chance(0.4)
  const reg = form.reg << 3
  if (rm === 6 && random.chance(0.5)) return [reg | 6, ...littleEndian(wanted, 2)]
  const disp = short ? BigInt(random.between(-128, 127)) : random.u64() & 0xffffn
  if (!(rm === 6 && random.chance(0.1)) && random.chance(0.3) && rm !== 6 && fit16(random, registers, rm, 0n, wanted))
    return [reg | rm]
  if (fit16(random, registers, rm, disp, wanted)) return [(short ? 0x40 : 0x80) | reg | rm, ...littleEndian(disp, short ? 1 : 2)]
  const sum = registers.get(base16[rm]!) + (index16[rm]! < 0 ? 0n : registers.get(index16[rm]!))
  return [0x80 | reg | rm, ...littleEndian(wanted - sum, 2)]
}

export function address32(
  random: Random,
  registers: Registers,
  form: MemoryForm,
  wanted: bigint,
  size: 32 | 64,
  /** Address of the instruction's end, for RIP-relative operands; undefined outside 64-bit code. */
  endOfCode: bigint | undefined,
): { bytes: number[]; ripRelativeAt: number | undefined } {
  const rm = form.rm ?? random.below(8)
  const reg = form.reg << 3
  const high = form.rexB ? 8 : 0
  const wrap = (value: bigint): bigint => BigInt.asIntN(size, value)
  const done = (...bytes: number[]): { bytes: number[]; ripRelativeAt: undefined } => ({ bytes, ripRelativeAt: undefined })
  const mod = random.below(3)

  if (rm === 5 && mod === 0) {
    if (endOfCode === undefined) return done(reg | 5, ...littleEndian(wanted, 4))
    return { bytes: [reg | 5, ...littleEndian(wanted - endOfCode, 4)], ripRelativeAt: 1 }
  }
  if (rm !== 4) {
    const base = rm | high
    const fitted = fit(base, -1, 0)
    return done((fitted.mod << 6) | reg | rm, ...fitted.disp)
  }
  const scale = random.below(4)
  const indexField = random.below(8)
  const index = indexField === 4 && !form.rexX ? -1 : indexField | (form.rexX ? 8 : 0)
  const baseField = random.below(8)
  const sib = (scale << 6) | (indexField << 3) | baseField
  if (baseField === 5 && mod === 0) {
    const fitted = fit(-1, index, scale)
    return done(reg | 4, sib, ...(fitted.disp.length === 4 ? fitted.disp : littleEndian(fitted.value, 4)))
  }
  const fitted = fit(baseField | high, index, scale)
  return done((fitted.mod << 6) | reg | 4, sib, ...fitted.disp)

  function fit(base: number, index: number, scale: number): { mod: number; disp: number[]; value: bigint } {
    const chosen = mod === 0 ? 0n : mod === 1 ? BigInt(random.between(-128, 127)) : BigInt.asIntN(32, random.u64())
    const shift = BigInt(scale)
    const fits = (mod: number, value: bigint): { mod: number; disp: number[]; value: bigint } => ({
      mod,
      value,
      disp: mod === 0 ? [] : littleEndian(value, mod === 1 ? 1 : 4),
    })
    const plain = base >= 0 && (base & 7) === 5 && mod === 0 ? 1 : mod
    const value = plain === mod ? chosen : 0n
    if (base >= 0 && registers.isFree(base) && base !== index) {
      const rest = index < 0 ? 0n : registers.get(index) << shift
      registers.setLow(base, size, wanted - rest - value)
      return fits(plain, value)
    }
    const baseValue = base < 0 ? 0n : registers.get(base)
    if (index >= 0 && registers.isFree(index) && base !== index) {
      const near = base < 0 ? wrap(wanted - BigInt(random.below(64))) : value
      const disp = base < 0 && signed(near, 32) ? near : value
      const product = BigInt.asUintN(size, wanted - baseValue - disp)
      if (product % (1n << shift) === 0n) {
        registers.setLow(index, size, product >> shift)
        return fits(base < 0 ? 2 : plain, disp)
      }
    }
    const sum = baseValue + (index < 0 ? 0n : registers.get(index) << shift)
    const disp = wrap(wanted - sum)
    return signed(disp, 8) && base >= 0 ? fits(1, disp) : signed(disp, 32) ? fits(2, disp) : fits(base < 0 ? 2 : plain, value)
  }
}
