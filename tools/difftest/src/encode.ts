import type { DecodeRow, Insn, Letter } from '@guestmode/x86'
import type { Mode } from './case.ts'
import { decodeAt, memoryOf } from './decoding.ts'
import { code, data } from './layout.ts'
import { address16, address32 } from './modrm.ts'
import type { Random } from './random.ts'
import type { Registers } from './registers.ts'
import { target } from './target.ts'

/** Makes an instruction of a row: prefixes, opcode, ModRM with an address that leads somewhere, displacement and immediate. */

export interface Surroundings {
  readonly random: Random
  readonly registers: Registers
  readonly mode: Mode
  /** Address of the instruction. */
  readonly at: bigint
  readonly fsBase: bigint
  readonly gsBase: bigint
  readonly hasLow: boolean
}

export interface Encoded {
  readonly bytes: Uint8Array
  readonly insn: Insn
  /** Linear address of the explicit memory operand, as planned. */
  readonly target: bigint | undefined
}

const mandatory: Partial<Record<DecodeRow['prefix'], number>> = { '66': 0x66, f2: 0xf2, f3: 0xf3 }
const escapes: Record<DecodeRow['map'], readonly number[]> = { '1': [], '0f': [0x0f], '0f38': [0x0f, 0x38], '0f3a': [0x0f, 0x3a] }
const segmentPrefix = [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65]

const usesModrm = (letter: Letter): boolean => /^([CDEGMNPQRUVW]([a-z0-9]|$)|Sw|STi|Rv\/)/.test(letter)
const needsModrm = (row: DecodeRow): boolean =>
  row.modrmReg !== undefined || row.mod !== undefined || row.rm !== undefined || row.operands.some(usesModrm)

/** XCHG always locks. */
const locks = (row: DecodeRow, lock: boolean): boolean => lock || row.mnemonic === 'XCHG'

export function encode(row: DecodeRow, s: Surroundings): Encoded | undefined {
  const { random, mode } = s
  const long = mode === 64
  const prefixes: number[] = []
  const required = mandatory[row.prefix]
  if (required !== undefined) prefixes.push(required)
  const anyPrefix = row.prefix === 'any' || row.prefix === 'nfx'
  if (anyPrefix && random.chance(0.22)) prefixes.push(0x66)
  if (row.flags.includes('rep') && random.chance(0.5)) prefixes.push(random.pick([0xf2, 0xf3]))
  else if (row.prefix === 'any' && random.chance(0.02)) prefixes.push(random.pick([0xf2, 0xf3]))
  const wide67 = random.chance(0.1)
  if (wide67) prefixes.push(0x67)
  let segment = -1
  if (random.chance(0.08)) {
    const which = random.below(6)
    prefixes.push(segmentPrefix[which]!)
    if (!long || which >= 4) segment = which
  }
  let lock = false
  if (row.flags.includes('lock') ? random.chance(0.2) : random.chance(0.004)) {
    lock = true
    prefixes.push(0xf0)
  }
  shuffle(random, prefixes)

  let rex = 0
  if (long && (random.chance(0.5) || row.flags.includes('rexW') || row.flags.includes('rexB'))) {
    rex = 0x40 | random.below(16)
    if (row.flags.includes('rexW')) rex |= 8
    if (row.flags.includes('rexB')) rex |= 1
  }
  const opcode = row.opcode + random.below(row.count)
  const bytes = [...prefixes, ...(rex === 0 ? [] : [rex]), ...escapes[row.map], opcode]
  const addressSize = mode === 64 ? (wide67 ? 32 : 64) : mode === 32 ? (wide67 ? 16 : 32) : wide67 ? 32 : 16

  let planned: bigint | undefined
  let ripRelativeAt: number | undefined
  const modrmAt = bytes.length
  if (needsModrm(row)) {
    const reg = row.modrmReg ?? random.below(8)
    const isRegister = row.flags.includes('anymod')
      ? random.chance(0.8)
      : row.mod === undefined
        ? random.chance(0.45)
        : row.mod === 'reg'
    if (isRegister) bytes.push(0xc0 | (reg << 3) | (row.rm ?? random.below(8)))
    else {
      // The size decides about the end of the page: found by decoding with any address.
      const probe = decodeAt([...bytes, reg << 3, ...new Array<number>(12).fill(0)], mode)
      const operand = probe === undefined ? undefined : memoryOf(probe)
      const size = operand === undefined ? 1 : operand.width === 0 ? 1 : operand.width / 8
      const aligned = locks(row, lock) || (size >= 16 && random.chance(0.85))
      planned = target(random, { mode, bytes: size, aligned, addressSize, hasLow: s.hasLow })
      const segmentBase = mode === 16 ? data.address : long ? (segment === 4 ? s.fsBase : segment === 5 ? s.gsBase : 0n) : 0n
      const wanted = planned - segmentBase
      const form = { reg, rm: row.rm, rexX: (rex & 2) !== 0, rexB: (rex & 1) !== 0 }
      if (addressSize === 16) bytes.push(...address16(random, s.registers, form, wanted))
      else {
        const end = long ? s.at + BigInt(modrmAt) : undefined
        const made = address32(random, s.registers, form, wanted, addressSize, end)
        if (made.ripRelativeAt !== undefined) ripRelativeAt = modrmAt + made.ripRelativeAt
        bytes.push(...made.bytes)
      }
    }
  }
  if (row.operands.some((letter) => letter === 'Ob' || letter === 'Ov')) {
    planned = target(random, { mode, bytes: 8, aligned: false, addressSize, hasLow: s.hasLow })
    const offset =
      mode === 16 ? planned - data.address : long && segment >= 4 ? planned - (segment === 4 ? s.fsBase : s.gsBase) : planned
    for (let i = 0; i < addressSize / 8; i++) bytes.push(Number((BigInt.asUintN(64, offset) >> BigInt(8 * i)) & 0xffn))
  }
  const immediateAt = bytes.length
  for (let i = 0; i < 8; i++) bytes.push(immediateByte(random))
  const whole = decodeAt(bytes, mode)
  if (whole === undefined) return lockedOnly(bytes, immediateAt, lock, mode)
  if (whole.row.id !== row.id) return undefined
  const out = Uint8Array.from(bytes.slice(0, whole.length))
  if (ripRelativeAt !== undefined && memoryOf(whole)?.ripRelative === true) adjustRipRelative(out, ripRelativeAt, modrmAt)
  patchImmediate(out, immediateAt, row, s)
  return { bytes: out, insn: decodeAt([...out], mode)!, target: planned }
}

/** Where LOCK makes the instruction undefined, that is what is tested. */
function lockedOnly(bytes: number[], end: number, lock: boolean, mode: Mode): Encoded | undefined {
  if (!lock) return undefined
  const without = decodeAt(
    bytes.filter((byte) => byte !== 0xf0),
    mode,
  )
  if (without === undefined || bytes.filter((byte) => byte === 0xf0).length !== 1) return undefined
  return { bytes: Uint8Array.from(bytes.slice(0, Math.max(end, without.length + 1))), insn: without, target: undefined }
}

function immediateByte(random: Random): number {
  return random.chance(0.4)
    ? random.pick([0, 1, 2, 3, 4, 7, 8, 15, 16, 31, 32, 33, 63, 64, 0x7f, 0x80, 0xfe, 0xff])
    : random.below(256)
}

/** The displacement counts from the end of the instruction, which is known only now. */
function adjustRipRelative(bytes: Uint8Array, at: number, assumedEnd: number): void {
  const view = new DataView(bytes.buffer)
  view.setInt32(at, view.getInt32(at, true) - (bytes.length - assumedEnd), true)
}

/** Branches lead out of the sequence, so that it ends; frames and vectors stay small. */
function patchImmediate(bytes: Uint8Array, at: number, row: DecodeRow, s: Surroundings): void {
  const { random, mode } = s
  const view = new DataView(bytes.buffer)
  const size = bytes.length - at
  if (row.operands.includes('Jb')) view.setInt8(at, random.pick([0, 127, 100, -128, -127, -100]))
  else if (row.operands.includes('Jz')) {
    if (random.chance(0.05)) return
    const there = BigInt(random.chance(0.5) ? random.between(0x100, 0x700) : random.between(0xa00, 0x1f00))
    const from = mode === 16 ? s.at - code.address : s.at
    const to = mode === 16 ? there : code.address + there
    const distance = Number(to - from) - bytes.length
    if (size === 4) view.setInt32(at, distance, true)
    else view.setInt16(at, (distance << 16) >> 16, true)
  } else if (row.operands.includes('Ap')) {
    const there = code.address + BigInt(random.between(0x100, 0x700))
    if (random.chance(0.7)) {
      if (size === 6) view.setUint32(at, Number(there), true)
      view.setUint16(at + size - 2, random.pick([0x23, 0x33, 0x20, 0x2b, 0x10, 0, 3]), true)
    }
  } else if (row.mnemonic === 'ENTER') {
    view.setUint16(at, random.pick([0, 1, 2, 8, 64, 100, 4096, 0xffff]), true)
    view.setUint8(at + 2, random.chance(0.6) ? random.below(4) : random.below(256))
  } else if (row.mnemonic === 'INT') {
    // Linux has gates for 3, 4 and 80h only.
    if (bytes[at] === 0x80) bytes[at] = random.pick([3, 4])
  } else if ((row.mnemonic === 'RET' || row.mnemonic === 'RETF') && row.operands.includes('Iw'))
    view.setUint16(at, random.pick([0, 2, 4, 8, 16, 0x7fff, 0xffff]), true)
}

function shuffle(random: Random, list: number[]): void {
  for (let i = list.length - 1; i > 0; i--) {
    const other = random.below(i + 1)
    const kept = list[i]!
    list[i] = list[other]!
    list[other] = kept
  }
}
