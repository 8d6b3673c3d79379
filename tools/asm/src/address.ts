import { evaluateLinear, type Linear, type Scope } from './expression.ts'
import type { MemoryOperand } from './operand.ts'
import type { Register } from './registers.ts'

/** A memory operand as ModRM, SIB and displacement. [SDM2 2.1.5 "Addressing-Mode Encoding of ModR/M and SIB Bytes"] */
export type EffectiveAddress = {
  size: 16 | 32 | 64
  mod: number
  rm: number
  sib: number | undefined
  rexX: boolean
  rexB: boolean
  displacement: bigint
  /** Bytes. */
  displacementSize: number
  /** The displacement is relative to the end of the instruction. */
  ripRelative: boolean
  /** No register takes part: MOV may use its short form. */
  absolute: boolean
}

export type AddressMode = { bits: 16 | 32 | 64; defaultRelative: boolean; addressPrefix: number; wide: boolean }

const fitsSigned = (value: bigint, bits: number): boolean => BigInt.asIntN(bits, value) === value

export function resolveAddress(operand: MemoryOperand, mode: AddressMode, scope: Scope): EffectiveAddress {
  const fail = (reason: string) => scope.error(reason, operand.column)
  const sum = evaluateLinear(operand.address, scope)
  const terms = collect(sum)
  const size = addressSize(operand, terms, mode)
  for (const { register } of terms) {
    if (register.class !== 'gp' || register.size < 16) throw fail(`${register.name} cannot stand in an address`)
    if (register.size !== size) throw fail(`${register.name} does not fit a ${size}-bit address`)
  }
  if ((size === 64) !== (mode.bits === 64) && (size === 64 || (mode.bits === 64 && size === 16)))
    throw fail(`a ${size}-bit address cannot be encoded in ${mode.bits}-bit code`)
  const base: EffectiveAddress = {
    size,
    mod: 0,
    rm: 0,
    sib: undefined,
    rexX: false,
    rexB: false,
    displacement: BigInt.asIntN(size, sum.value),
    displacementSize: 0,
    ripRelative: false,
    absolute: terms.length === 0,
  }
  if (sum.value !== base.displacement && sum.value !== BigInt.asUintN(size, sum.value))
    throw fail(`the address does not fit ${size} bits`)
  if (terms.length === 0) return absolute(base, operand, mode, sum.value, fail)
  if (operand.relative === true) throw fail('a RIP-relative address takes no registers')
  if (size === 16) return withDisplacement({ ...base, rm: pair16(terms, fail) }, 6, operand, mode, fail)
  return indexed(base, terms, operand, mode, fail)
}

type Term = { register: Register; factor: bigint }

function collect(sum: Linear): Term[] {
  const terms: Term[] = []
  for (const { register, factor } of sum.registers) {
    const same = terms.find((t) => t.register === register)
    if (same === undefined) terms.push({ register, factor })
    else same.factor += factor
  }
  return terms.filter((t) => t.factor !== 0n)
}

function addressSize(operand: MemoryOperand, terms: Term[], mode: AddressMode): 16 | 32 | 64 {
  const first = terms[0]
  if (first !== undefined) return first.register.size as 16 | 32 | 64
  if (mode.addressPrefix !== 0) return mode.addressPrefix as 16 | 32 | 64
  if (mode.bits !== 64 && (operand.displacement === 16 || operand.displacement === 32)) return operand.displacement
  return mode.bits
}

function absolute(
  base: EffectiveAddress,
  operand: MemoryOperand,
  mode: AddressMode,
  value: bigint,
  fail: (reason: string) => Error,
): EffectiveAddress {
  if (base.size === 16) return { ...base, rm: 6, displacementSize: 2 }
  if (mode.bits !== 64) return { ...base, rm: 5, displacementSize: 4 }
  const segment = operand.segment?.name
  const relative =
    operand.relative ?? (mode.defaultRelative && segment !== 'fs' && segment !== 'gs' && operand.displacement === 0)
  if (relative) return { ...base, rm: 5, displacementSize: 4, displacement: value, ripRelative: true }
  const moffs64 = operand.displacement === 64
  if (!moffs64 && base.size === 64 && !fitsSigned(base.displacement, 32))
    throw fail('the address does not fit a signed 32-bit displacement; use [rel ...] or, with the accumulator, [qword ...]')
  return { ...base, rm: 4, sib: 0x25, displacementSize: 4 }
}

/** [SDM2 Table 2-1 "16-Bit Addressing Forms with the ModR/M Byte"] */
const PAIRS: Readonly<Record<string, number>> = { 'bx+si': 0, 'bx+di': 1, 'bp+si': 2, 'bp+di': 3, si: 4, di: 5, bp: 6, bx: 7 }

function pair16(terms: Term[], fail: (reason: string) => Error): number {
  const names = terms.map((t) => (t.factor === 1n ? t.register.name : '?')).sort()
  const rm = PAIRS[names.join('+')]
  if (rm === undefined) throw fail('not a 16-bit address: only bx or bp, plus si or di')
  return rm
}

function indexed(
  base: EffectiveAddress,
  terms: Term[],
  operand: MemoryOperand,
  mode: AddressMode,
  fail: (reason: string) => Error,
): EffectiveAddress {
  let baseRegister: Register | undefined
  let index: Register | undefined
  let scale: bigint
  const [a, b, ...more] = terms as [Term, Term?, ...Term[]]
  if (more.length > 0) throw fail('an address has at most a base and an index')
  if (b === undefined) {
    if ([1n, 2n, 3n, 5n, 9n].includes(a.factor)) {
      baseRegister = a.register
      scale = a.factor - 1n
      if (scale > 0n) index = a.register
    } else {
      index = a.register
      scale = a.factor
    }
  } else {
    const indexIsFirst = a.factor !== 1n || (b.factor === 1n && (b.register.number & 15) === 4)
    const [baseTerm, indexTerm] = indexIsFirst ? [b, a] : [a, b]
    if (baseTerm.factor !== 1n) throw fail('only one register of an address can be scaled')
    baseRegister = baseTerm.register
    index = indexTerm.register
    scale = indexTerm.factor
  }
  if (index !== undefined && ![1n, 2n, 4n, 8n].includes(scale))
    throw fail(`an index can be scaled by 1, 2, 4 or 8, not by ${scale}`)
  if (index?.number === 4) throw fail(`${index.name} cannot be an index`)
  if (!fitsSigned(base.displacement, 32)) throw fail('the displacement does not fit 32 bits')
  const address = { ...base, rexX: (index?.number ?? 0) >= 8, rexB: (baseRegister?.number ?? 0) >= 8 }
  const scaleBits = { 1: 0, 2: 1, 4: 2, 8: 3 }[Number(scale)] as number
  if (baseRegister === undefined)
    return { ...address, rm: 4, sib: (scaleBits << 6) | (((index as Register).number & 7) << 3) | 5, displacementSize: 4 }
  const low = baseRegister.number & 7
  if (index === undefined && low !== 4) return withDisplacement({ ...address, rm: low }, 5, operand, mode, fail)
  const sib = (index === undefined ? 0x20 : (scaleBits << 6) | ((index.number & 7) << 3)) | low
  return withDisplacement({ ...address, rm: 4, sib }, 5, operand, mode, fail)
}

/** `noDisplacement` is the base whose form without displacement means something else. */
function withDisplacement(
  address: EffectiveAddress,
  noDisplacement: number,
  operand: MemoryOperand,
  mode: AddressMode,
  fail: (reason: string) => Error,
): EffectiveAddress {
  const full = address.size === 16 ? 2 : 4
  const low = address.sib === undefined ? address.rm : address.sib & 7
  const byte = fitsSigned(address.displacement, 8)
  if (operand.displacement === 8) {
    if (!byte) throw fail('the displacement does not fit a byte')
    return { ...address, mod: 1, displacementSize: 1 }
  }
  if (operand.displacement !== 0 || mode.wide || !byte) return { ...address, mod: 2, displacementSize: full }
  if (address.displacement === 0n && low !== noDisplacement) return address
  return { ...address, mod: 1, displacementSize: 1 }
}
