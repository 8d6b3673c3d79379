import { resolveAddress, type EffectiveAddress } from './address.ts'
import type { AssemblyError } from './errors.ts'
import { evaluate, type Scope } from './expression.ts'
import type { MemoryOperand, Operand } from './operand.ts'
import type { Register } from './registers.ts'
import type { Row, Spec } from './row.ts'
import { COMPARISON_ALIASES, ROWS } from './tables/index.ts'

export type Prefixes = {
  /** LOCK, REP and segment bytes in the order of the source. */
  bytes: number[]
  /** From o16, o32, o64; 0 for none. */
  operandSize: number
  /** From a16, a32, a64; 0 for none. */
  addressSize: number
}

export type Instruction = { mnemonic: string; prefixes: Prefixes; operands: Operand[]; column: number }

/** What an instruction has grown to; it never shrinks again, so that the passes come to an end. */
export type Growth = { minimum: number; wide: boolean }

type Mode = { bits: 16 | 32 | 64; defaultRelative: boolean; scope: Scope; growth: Growth }

type Resolved =
  | { kind: 'register'; register: Register }
  | { kind: 'memory'; operand: MemoryOperand; address: EffectiveAddress }
  | { kind: 'immediate'; operand: Extract<Operand, { kind: 'immediate' }>; value: bigint; known: boolean }
  | { kind: 'far'; size: number; segment: bigint; offset: bigint }

const SEGMENT_PREFIX: Readonly<Record<string, number>> = { es: 0x26, cs: 0x2e, ss: 0x36, ds: 0x3e, fs: 0x64, gs: 0x65 }

export const isMnemonic = (name: string): boolean => ROWS.has(name) || COMPARISON_ALIASES.has(name)

export function encodeInstruction(instruction: Instruction, mode: Mode): number[] {
  const { scope } = mode
  const alias = COMPARISON_ALIASES.get(instruction.mnemonic)
  const rows = ROWS.get(alias?.mnemonic ?? instruction.mnemonic)
  if (rows === undefined) throw scope.error(`unknown instruction '${instruction.mnemonic}'`, instruction.column)
  const resolved = instruction.operands.map((operand) => resolve(operand, instruction, mode))
  if (alias !== undefined) {
    const value = { kind: 'number', value: BigInt(alias.predicate) } as const
    const operand = { kind: 'immediate', size: 0, strict: false, distance: undefined, value, column: instruction.column } as const
    resolved.push({ kind: 'immediate', operand, value: value.value, known: true })
  }
  const candidates = rows.filter((row) => accepts(row, resolved, instruction.prefixes, mode))
  checkAmbiguity(candidates, resolved, instruction, mode)
  let best: number[] | undefined
  let shortest: number[] | undefined
  for (const row of candidates) {
    const bytes = emit(row, resolved, instruction.prefixes, mode)
    if (bytes === undefined) continue
    if (shortest === undefined || bytes.length < shortest.length) shortest = bytes
    if (bytes.length >= mode.growth.minimum && (best === undefined || bytes.length < best.length)) best = bytes
  }
  const chosen = best ?? shortest
  if (chosen === undefined) throw refusal(rows, candidates, resolved, instruction, mode)
  return chosen
}

function resolve(operand: Operand, instruction: Instruction, mode: Mode): Resolved {
  switch (operand.kind) {
    case 'register':
      return operand
    case 'memory': {
      const address = resolveAddress(
        operand,
        {
          bits: mode.bits,
          defaultRelative: mode.defaultRelative,
          addressPrefix: instruction.prefixes.addressSize,
          wide: mode.growth.wide,
        },
        mode.scope,
      )
      if (address.mod === 2) mode.growth.wide = true
      return { kind: 'memory', operand, address }
    }
    case 'immediate':
      return { kind: 'immediate', operand, ...evaluate(operand.value, mode.scope) }
    case 'far':
      return {
        kind: 'far',
        size: operand.size,
        segment: evaluate(operand.segment, mode.scope).value,
        offset: evaluate(operand.offset, mode.scope).value,
      }
  }
}

const inMode = (row: Row, bits: number): boolean => (bits === 64 ? row.in64 : row.outside64)

function accepts(row: Row, resolved: Resolved[], prefixes: Prefixes, mode: Mode): boolean {
  if (row.specs.length !== resolved.length || !inMode(row, mode.bits)) return false
  if (prefixes.operandSize !== 0 && row.operandSize !== 0 && row.operandSize !== prefixes.operandSize) return false
  if (row.addressSize === (mode.bits === 64 ? 16 : 64)) return false
  if (!row.specs.every((spec, n) => acceptsOperand(spec, resolved[n] as Resolved, row, resolved, mode))) return false
  if (
    row.notEax64 &&
    mode.bits === 64 &&
    row.operandSize === 32 &&
    resolved.every((r) => r.kind === 'register' && r.register.number === 0)
  )
    return false
  return true
}

function acceptsOperand(spec: Spec, operand: Resolved, row: Row, all: Resolved[], mode: Mode): boolean {
  switch (spec.kind) {
    case 'register':
      return operand.kind === 'register' && matchesRegister(operand.register, spec.class, spec.size, spec.number)
    case 'rm':
      if (operand.kind === 'register')
        return spec.class !== undefined && matchesRegister(operand.register, spec.class, spec.size, undefined)
      if (
        operand.kind !== 'memory' ||
        spec.memorySize < 0 ||
        spec.far !== operand.operand.far ||
        operand.operand.displacement === 64
      )
        return false
      return operand.operand.size === 0 || spec.memorySize === 0 || operand.operand.size === spec.memorySize
    case 'immediate': {
      if (operand.kind !== 'immediate' || operand.operand.distance !== undefined) return false
      const { size, strict } = operand.operand
      const bits = spec.bytes * 8
      if (strict && size !== bits) return false
      if (size === 0 || size === row.operandSize || (row.operandSize === 0 && size === bits) || (size === 8 && bits === 8))
        return true
      return size === bits && all.some((o) => o.kind === 'register' || (o.kind === 'memory' && o.operand.size !== 0))
    }
    case 'one':
      return (
        operand.kind === 'immediate' &&
        operand.known &&
        operand.value === 1n &&
        !operand.operand.strict &&
        operand.operand.distance === undefined
      )
    case 'relative': {
      if (operand.kind !== 'immediate') return false
      const { distance, size } = operand.operand
      if (size !== 0 && size !== row.operandSize) return false
      return distance === undefined || (distance === 'short') === (spec.bytes === 1) || row.addressSize !== 0
    }
    case 'offset':
      if (operand.kind !== 'memory' || !operand.address.absolute || operand.address.ripRelative) return false
      if (operand.operand.size !== 0 && operand.operand.size !== spec.size) return false
      return mode.bits !== 64 || operand.operand.displacement === 64
    case 'pointer':
      return operand.kind === 'far' && (operand.size === 0 || operand.size === row.operandSize)
  }
}

const matchesRegister = (register: Register, cls: string, size: number, number: number | undefined): boolean =>
  register.class === cls && register.size === size && (number === undefined || register.number === number)

/** A memory operand without a size is refused when the forms that match would access different sizes. */
function checkAmbiguity(candidates: Row[], resolved: Resolved[], instruction: Instruction, mode: Mode): void {
  const sized = resolved.some((r) => r.kind === 'register' || (r.kind === 'far' ? r.size !== 0 : r.operand.size !== 0))
  if (!sized && candidates.some((row) => row.defaultSize) && instruction.prefixes.operandSize === 0) {
    const wanted = candidates.some((row) => row.operandSize === mode.bits && !row.rexW) ? mode.bits : 32
    const kept = candidates.filter((row) => !row.defaultSize || row.operandSize === wanted)
    candidates.splice(0, candidates.length, ...kept)
    return
  }
  for (const [n, operand] of resolved.entries()) {
    if (operand.kind !== 'memory' || operand.operand.size !== 0) continue
    const sizes = new Set<number>()
    for (const row of candidates) {
      const spec = row.specs[n] as Spec
      if (spec.kind === 'rm' && spec.memorySize > 0) sizes.add(spec.memorySize)
    }
    if (sizes.size > 1) {
      const named = resolved.map((o) => (o.kind === 'immediate' ? o.operand.size : 0)).find((size) => sizes.has(size))
      if (named === undefined) throw mode.scope.error('operand size is not specified', operand.operand.column)
      const kept = candidates.filter((row) => (row.specs[n] as Extract<Spec, { kind: 'rm' }>).memorySize === named)
      candidates.splice(0, candidates.length, ...kept)
    }
  }
}

function emit(row: Row, resolved: Resolved[], prefixes: Prefixes, mode: Mode): number[] | undefined {
  let rm: Resolved | undefined
  let reg: Register | undefined
  const tail: { bytes: number; value: bigint; relative: boolean; known?: boolean }[] = []
  let offset: EffectiveAddress | undefined
  for (const [n, spec] of row.specs.entries()) {
    const operand = resolved[n] as Resolved
    if (spec.kind === 'rm') rm = operand
    else if (spec.kind === 'register' && spec.number === undefined && operand.kind === 'register') reg = operand.register
    else if (spec.kind === 'offset' && operand.kind === 'memory') offset = operand.address
    else if (spec.kind === 'immediate' && operand.kind === 'immediate') {
      const value = fitImmediate(operand.value, spec.bytes, spec.check, spec.operandSize)
      if (value === undefined) return undefined
      tail.push({ bytes: spec.bytes, value, relative: false })
    } else if (spec.kind === 'relative' && operand.kind === 'immediate')
      tail.push({ bytes: spec.bytes, value: operand.value, relative: true, known: operand.known })
    else if (spec.kind === 'pointer' && operand.kind === 'far') {
      if (
        fitImmediate(operand.offset, spec.bytes, 'any', 0) === undefined ||
        fitImmediate(operand.segment, 2, 'any', 0) === undefined
      )
        return undefined
      tail.push(
        { bytes: spec.bytes, value: operand.offset, relative: false },
        { bytes: 2, value: operand.segment, relative: false },
      )
    }
  }
  if (row.modrm === 'rr' && reg !== undefined) rm = { kind: 'register', register: reg }
  if (typeof row.modrm === 'number' && rm === undefined && reg !== undefined) {
    rm = { kind: 'register', register: reg }
    reg = undefined
  }

  const address = rm?.kind === 'memory' ? rm.address : undefined
  const rmRegister = rm?.kind === 'register' ? rm.register : row.plusRegister ? reg : undefined
  const regRegister = row.modrm === undefined || typeof row.modrm === 'number' ? undefined : reg
  const rexW = row.rexW || (prefixes.operandSize === 64 && row.operandSize === 0)
  const rexBits =
    (rexW ? 8 : 0) |
    ((regRegister?.number ?? 0) >= 8 ? 4 : 0) |
    (address?.rexX ? 2 : 0) |
    ((rmRegister?.number ?? 0) >= 8 || address?.rexB ? 1 : 0)
  const registers = [...resolved].flatMap((r) => (r.kind === 'register' ? [r.register] : []))
  const rex = rexBits !== 0 || registers.some((r) => r.needsRex)
  if (rex && (mode.bits !== 64 || registers.some((r) => r.high))) return undefined

  const out: number[] = []
  const wait = row.opcode[0] === 0x9b && row.opcode.length > 1
  if (wait) out.push(0x9b)
  out.push(...prefixes.bytes)
  for (const operand of resolved)
    if (operand.kind === 'memory' && operand.operand.segment !== undefined)
      out.push(SEGMENT_PREFIX[operand.operand.segment.name] as number)
  const addressSize = (address ?? offset)?.size ?? (row.addressSize || prefixes.addressSize || mode.bits)
  if (operandPrefix(row, prefixes, mode.bits)) out.push(0x66)
  if (addressSize !== mode.bits) out.push(0x67)
  if (row.mandatory !== 0) out.push(row.mandatory)
  if (rex) out.push(0x40 | rexBits)
  const opcode = wait ? row.opcode.slice(1) : [...row.opcode]
  if (row.plusRegister) opcode[opcode.length - 1] = (opcode[opcode.length - 1] as number) + ((reg as Register).number & 7)
  out.push(...opcode)

  let ripAt = -1
  if (row.modrm !== undefined) {
    const field = typeof row.modrm === 'number' ? row.modrm : (reg as Register).number & 7
    if (address === undefined) out.push(0xc0 | (field << 3) | ((rmRegister as Register).number & 7))
    else {
      out.push((address.mod << 6) | (field << 3) | address.rm)
      if (address.sib !== undefined) out.push(address.sib)
      if (address.ripRelative) ripAt = out.length
      put(out, address.displacement, address.displacementSize)
    }
  }
  if (offset !== undefined) put(out, offset.displacement, offset.size / 8)
  const length = out.length + tail.reduce((sum, t) => sum + t.bytes, 0)
  const end = mode.scope.here + BigInt(length)
  for (const { bytes, value, relative, known } of tail) {
    if (!relative) put(out, value, bytes)
    else {
      const distance = known === false ? 0n : value - end
      if (bytes === 2 ? distance < -0x10000n || distance > 0xffffn : BigInt.asIntN(bytes * 8, distance) !== distance)
        return undefined
      put(out, distance, bytes)
    }
  }
  if (ripAt >= 0) {
    const distance = (address as EffectiveAddress).displacement - end
    if (BigInt.asIntN(32, distance) !== distance) return undefined
    const bytes: number[] = []
    put(bytes, distance, 4)
    out.splice(ripAt, 4, ...bytes)
  }
  return out
}

function operandPrefix(row: Row, prefixes: Prefixes, bits: number): boolean {
  const size = row.operandSize === 0 ? prefixes.operandSize : row.operandSize
  if (size === 0 || size === 64) return false
  return (size === 16) !== (bits === 16)
}

function fitImmediate(
  value: bigint,
  bytes: number,
  check: 'any' | 'signed' | 'unsigned',
  operandSize: number,
): bigint | undefined {
  const bits = bytes * 8
  if (check === 'unsigned') return BigInt.asUintN(bits, value) === value ? value : undefined
  if (check === 'any') return value >= -(1n << BigInt(bits - 1)) && value < 1n << BigInt(bits) ? value : undefined
  if (operandSize === 0) return BigInt.asIntN(bits, value) === value ? value : undefined
  if (value < -(1n << BigInt(operandSize - 1)) || value >= 1n << BigInt(operandSize)) return undefined
  const signed = BigInt.asIntN(operandSize, value)
  return BigInt.asIntN(bits, signed) === signed ? signed : undefined
}

function put(out: number[], value: bigint, bytes: number): void {
  if (bytes <= 4) {
    let v = Number(BigInt.asUintN(32, value))
    for (let n = 0; n < bytes; n++) {
      out.push(v & 0xff)
      v >>>= 8
    }
    return
  }
  for (let n = 0; n < bytes; n++) out.push(Number((value >> BigInt(8 * n)) & 0xffn))
}

function refusal(
  rows: readonly Row[],
  candidates: Row[],
  resolved: Resolved[],
  instruction: Instruction,
  mode: Mode,
): AssemblyError {
  const name = instruction.mnemonic
  if (candidates.length > 0) {
    const high = resolved.find((r) => r.kind === 'register' && r.register.high)
    if (mode.bits === 64 && high?.kind === 'register')
      return mode.scope.error(`${high.register.name} cannot be encoded together with a REX prefix`, instruction.column)
    if (resolved.some((r) => r.kind === 'register' && (r.register.needsRex || r.register.number >= 8))) {
      if (mode.bits !== 64) return mode.scope.error(`this register exists only in 64-bit code`, instruction.column)
    }
    return mode.scope.error(`a value or distance is out of range for '${name}'`, instruction.column)
  }
  const other = ([16, 32, 64] as const).find(
    (bits) => bits !== mode.bits && rows.some((row) => accepts(row, resolved, instruction.prefixes, { ...mode, bits })),
  )
  if (other !== undefined)
    return mode.scope.error(`'${name}' with these operands does not exist in ${mode.bits}-bit code`, instruction.column)
  return mode.scope.error(`no form of '${name}' takes these operands`, instruction.column)
}
