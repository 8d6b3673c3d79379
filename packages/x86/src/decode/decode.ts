import type { CodeWidth, DecodeFailure, DecodeResult, Insn, Operand } from './insn.ts'
import {
  legacyMaps,
  longMaps,
  NO_PREFIX,
  PREFIX_66,
  PREFIX_F2,
  PREFIX_F3,
  type Leaf,
  type OpcodeEntry,
  type OpcodeMaps,
} from './opcode-maps.ts'
import { REX_W, Reading } from './reading.ts'
import { vex, type VectorEscape } from './vex.ts'

const r = new Reading()

/**
 * Decodes the instruction at `bytes[offset]`; bytes from `limit` on are not available.
 * Rows are found whatever CPUID announces: the caller compares `insn.feature` (see `withoutFeature`).
 */
export function decode(bytes: Uint8Array, offset: number, limit: number, width: CodeWidth): DecodeResult {
  r.begin(bytes, offset, limit, width)
  const opcode = readPrefixes()
  r.operandSize = width === 16 ? (r.prefix66 ? 32 : 16) : r.rex & REX_W ? 64 : r.prefix66 ? 16 : 32
  r.addressSize = r.prefix67 ? (width === 32 ? 16 : 32) : width
  const leaf = findLeaf(opcode, width === 64 ? longMaps : legacyMaps)
  if (leaf === undefined || r.overrun) return failure('invalid')
  return finish(leaf.rexMask & r.rex ? leaf.rexLeaf! : leaf)
}

/** Reads prefixes up to the opcode, which it returns. A REX that is not the last prefix is ignored. */
function readPrefixes(): number {
  const long = r.width === 64
  for (;;) {
    const byte = r.u8()
    switch (byte) {
      case 0x26:
      case 0x2e:
      case 0x36:
      case 0x3e:
        // [SDM2 2.1.1 "Instruction Prefixes"; SDM1 3.4.2.1 "Segment Registers in 64-Bit Mode"]
        if (!long) r.segOverride = ((byte >> 3) & 3) as 0 | 1 | 2 | 3
        break
      case 0x64:
        r.segOverride = 4
        break
      case 0x65:
        r.segOverride = 5
        break
      case 0x66:
        r.prefix66 = true
        break
      case 0x67:
        r.prefix67 = true
        break
      case 0xf0:
        r.lock = true
        break
      case 0xf2:
      case 0xf3:
        r.repeat = byte
        break
      default:
        if (!long || (byte & 0xf0) !== 0x40) return byte
        r.rex = byte
        continue
    }
    r.rex = 0
  }
}

function findLeaf(first: number, maps: OpcodeMaps): Leaf | undefined {
  let opcode = first
  let table = maps.one
  if (opcode === 0x0f) {
    opcode = r.u8()
    table = maps.two
    if (opcode === 0x38 || opcode === 0x3a) {
      table = opcode === 0x38 ? maps.three38 : maps.three3A
      opcode = r.u8()
    }
  } else if ((opcode === 0xc4 || opcode === 0xc5 || opcode === 0x62) && isVectorEscape()) {
    return vex(r, opcode as VectorEscape)
  }
  r.opcode = opcode
  const entry: OpcodeEntry | undefined = table[opcode]
  if (entry === undefined) return undefined
  const slot = r.repeat === 0xf3 ? PREFIX_F3 : r.repeat === 0xf2 ? PREFIX_F2 : r.prefix66 ? PREFIX_66 : NO_PREFIX
  if (!entry.modrm) return entry.leaves[slot]
  r.modrm = r.u8()
  const leaf = entry.leaves[(slot << 8) | r.modrm]
  if (leaf !== undefined) r.readModrm(entry.registersOnly)
  return leaf
}

/** Outside 64-bit code the register form of LES, LDS and BOUND, which they do not have, is the escape. */
function isVectorEscape(): boolean {
  return r.width === 64 || (r.pos < r.end && r.bytes[r.pos]! >= 0xc0)
}

function finish(leaf: Leaf): DecodeResult {
  const { row, readers } = leaf
  sizeOperands(leaf)
  const operands: Operand[] = new Array<Operand>(readers.length)
  for (let i = 0; i < readers.length; i++) operands[i] = readers[i]!(r)
  if (r.overrun || r.undefinedOperand) return failure('invalid')
  if (r.lock && !(leaf.lockable && operands[0]!.kind === 'mem')) return failure('invalid')
  const insn: Insn = {
    mnemonic: row.mnemonic,
    operands,
    operandSize: r.operandSize,
    addressSize: r.addressSize,
    cc: leaf.conditional ? r.opcode & 15 : -1,
    rep: leaf.repeatable ? r.repeat : 0,
    lock: r.lock,
    segOverride: r.segOverride,
    length: r.length,
    feature: row.feature,
    row,
  }
  return { ok: true, insn }
}

function sizeOperands(leaf: Leaf): void {
  if (leaf.sizing !== 'v' && r.width === 64) {
    r.operandSize = leaf.sizing === 'd64' && r.prefix66 && !(r.rex & REX_W) ? 16 : 64
  } else if (leaf.fixed66) {
    r.operandSize = r.width === 16 ? 16 : r.rex & REX_W ? 64 : 32
  }
}

function failure(reason: DecodeFailure): DecodeResult {
  if (r.overrun) reason = r.tooLong ? 'too-long' : 'truncated'
  return { ok: false, reason, length: r.length }
}

/** The instruction as a processor executes it that does not announce `insn.feature`; undefined is #UD. */
export function withoutFeature(insn: Insn): Insn | undefined {
  const row = insn.row.otherwise
  if (row === undefined) return undefined
  return { ...insn, mnemonic: row.mnemonic, feature: row.feature, row, operands: row.operands.length === 0 ? [] : insn.operands }
}
