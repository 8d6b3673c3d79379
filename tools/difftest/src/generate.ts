import type { DecodeRow, Feature } from '@guestmode/x86'
import type { FpState, Mode, Patch, TestCase } from './case.ts'
import { encode, type Encoded } from './encode.ts'
import { code, data, high, imageAt, imageSize, stack } from './layout.ts'
import { beginsSequence, endsSequence } from './masks.ts'
import { afterwards, prepare, type Preparation } from './prepare.ts'
import { Random } from './random.ts'
import { Registers } from './registers.ts'
import { rowsFor, type Group } from './rows.ts'
import { float80, integer, octoword } from './values.ts'
import { DEFAULT_CODE_OFFSET, MAX_CODE } from './wire.ts'

/** Cases that share a memory image. */
export const CASES_PER_IMAGE = 500

/** Streams of the random numbers: case numbers, and above them the images. */
const IMAGE_STREAM = 2 ** 48

const RSP = 4

export interface GeneratorOptions {
  readonly seed: number
  readonly group: Group | 'all'
  /** Both processors have them. */
  readonly features: ReadonlySet<Feature>
  readonly modes: readonly Mode[]
  /** Only these, by mnemonic. */
  readonly mnemonics?: ReadonlySet<string> | undefined
  readonly hasLow: boolean
}

export interface Generator {
  image(number: number): Uint8Array
  make(index: number): TestCase
}

export function createGenerator({ seed, group, features, modes, mnemonics, hasLow }: GeneratorOptions): Generator {
  const rows = new Map(
    modes.map((mode): [Mode, DecodeRow[]] => [
      mode,
      rowsFor(group, mode, features).filter((row) => mnemonics === undefined || mnemonics.has(row.mnemonic)),
    ]),
  )
  const usable = modes.filter((mode) => rows.get(mode)!.length > 0)
  if (usable.length === 0) throw new RangeError(`no instruction of group ${group} that both processors have`)

  return {
    image(number) {
      const random = new Random(seed, IMAGE_STREAM + number)
      const bytes = new Uint8Array(imageSize)
      const view = new DataView(bytes.buffer)
      for (let at = 0; at < imageSize; at += 16) {
        const value = octoword(random)
        view.setBigUint64(at, BigInt.asUintN(64, value), true)
        view.setBigUint64(at + 8, value >> 64n, true)
      }
      return bytes
    },
    make(index) {
      const random = new Random(seed, index)
      const mode = random.pick(usable)
      return makeCase(index, mode, random, rows.get(mode)!, hasLow)
    },
  }
}

function makeCase(index: number, mode: Mode, random: Random, rows: readonly DecodeRow[], hasLow: boolean): TestCase {
  const registers = new Registers(random, mode)
  const patches: Patch[] = []
  const base = (): bigint =>
    random.chance(0.7) ? random.pick([data.address, high.address]) + BigInt(random.below(64)) : integer(random, 47)
  const fsBase = mode === 64 ? base() : 0n
  const gsBase = mode === 64 ? base() : 0n
  const stackPointer = random.chance(0.95)
    ? random.between(0x200, 0xe00) & (random.chance(0.8) ? ~7 : ~0)
    : random.pick([0, 2, 4, 8, 0xff8, 0xffc])
  registers.set(RSP, (mode === 16 ? 0n : stack.address) + BigInt(stackPointer))
  const preparation: Preparation = {
    random,
    registers,
    mode,
    hasLow,
    patch(address, bytes) {
      const offset = imageAt(address)
      if (offset === undefined) return
      const inside = bytes.filter((_, i) => {
        const at = imageAt(address + BigInt(i))
        return at !== undefined && at === offset + i
      })
      patches.push({ offset, bytes: Uint8Array.from(inside) })
    },
  }

  const length = random.chance(0.5) ? 1 : random.between(2, 6)
  // Near the end of the page now and then, so that instructions cross it.
  const codeOffset = random.chance(0.1) ? 0x1000 - random.between(1, 30) : DEFAULT_CODE_OFFSET
  const instructions: Uint8Array[] = []
  let at = (mode === 16 ? 0n : 0n) + code.address + BigInt(codeOffset)
  let total = 0
  for (let tries = 0; instructions.length < length && tries < 100; tries++) {
    const row = random.pick(rows)
    const isLast = instructions.length === length - 1
    if ((!isLast && endsSequence(row)) || (instructions.length > 0 && beginsSequence(row))) continue
    prepare(row, preparation)
    const made: Encoded | undefined = encode(row, { random, registers, mode, at, fsBase, gsBase, hasLow })
    if (made === undefined || total + made.bytes.length > MAX_CODE) continue
    if (made.target !== undefined) afterwards(row, made.target, made.insn.operandSize, preparation)
    instructions.push(made.bytes)
    at += BigInt(made.bytes.length)
    total += made.bytes.length
  }
  return {
    index,
    mode,
    instructions,
    codeOffset,
    rflags: 0x202 | (random.u32() & 0x8d5) | (random.chance(0.2) ? 0x400 : 0),
    gpr: registers.all(),
    fsBase,
    gsBase,
    fp: floatingPoint(random, mode),
    image: Math.floor(index / CASES_PER_IMAGE),
    patches,
  }
}

function floatingPoint(random: Random, mode: Mode): FpState {
  const masked = random.chance(0.75)
  const control = (masked ? 0x3f : random.below(64)) | 0x40 | (random.below(4) << 10) | (random.pick([0, 2, 3, 3, 3, 3, 1]) << 8)
  const raised = random.chance(0.3) ? random.below(64) : 0
  // An unmasked exception that is pending makes nearly all of x87 #MF.
  const pending = random.chance(0.04)
  const exceptions = pending ? raised : raised & control
  const stackFault = random.chance(0.05) && (exceptions & 1) !== 0 ? 0x40 : 0
  const status = exceptions | stackFault | (random.below(8) << 11) | (random.u32() & 0x4700)
  const valid = random.chance(0.15) ? random.below(256) : random.chance(0.3) ? 0xff : random.u32() & random.u32() & 0xff
  const depth = random.between(1, 8)
  const top = (status >> 11) & 7
  let filled = random.chance(0.6) ? 0 : valid
  for (let i = 0; i < depth; i++) filled |= 1 << ((top + i) & 7)
  const sseMasked = random.chance(0.75)
  const mxcsr =
    (sseMasked ? 0x1f80 : random.below(64) << 7) |
    (random.chance(0.3) ? random.below(64) : 0) |
    (random.below(4) << 13) |
    (random.chance(0.15) ? 0x8000 : 0) |
    (random.chance(0.15) ? 0x40 : 0)
  return {
    control,
    status: (status & ~0x8080) | ((exceptions & ~control & 0x3f) !== 0 ? 0x8080 : 0),
    valid: filled,
    opcode: random.below(0x800),
    ip: random.u64() & 0xffff_ffffn,
    dp: random.u64() & 0xffff_ffffn,
    mxcsr,
    st: related(random, 8, 80, () => float80(random)),
    xmm: related(random, 16, 128, () => octoword(random)).map((value, i) => (mode !== 64 && i >= 8 ? 0n : value)),
  }
}

/** Values of which some are near others: what subtraction and comparison are about. */
function related(random: Random, count: number, bits: number, make: () => bigint): bigint[] {
  const values: bigint[] = []
  for (let i = 0; i < count; i++) {
    if (i === 0 || !random.chance(0.2)) values.push(make())
    else values.push(random.pick(values) ^ (random.chance(0.3) ? 0n : 1n << BigInt(random.below(bits))))
  }
  return values
}
