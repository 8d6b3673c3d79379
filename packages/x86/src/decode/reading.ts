import type { CodeWidth, SegIndex } from './insn.ts'

export const REX_W = 8
const REX_R = 4
const REX_X = 2
export const REX_B = 1

const MAX_LENGTH = 15

/** One instruction being read: the byte cursor, what the prefixes said, and the ModRM and SIB fields. */
export class Reading {
  bytes: Uint8Array = new Uint8Array(0)
  pos = 0
  start = 0
  end = 0
  width: CodeWidth = 64

  /** Set when a byte past `end` was wanted; such bytes read as 0. */
  overrun = false
  /** Set by an operand that has no meaning, such as CR1. */
  undefinedOperand = false

  prefix66 = false
  prefix67 = false
  /** 0, or the last of F2 and F3. */
  repeat: 0 | 0xf2 | 0xf3 = 0
  lock = false
  segOverride: -1 | SegIndex = -1
  rex = 0

  opcode = 0
  operandSize: 16 | 32 | 64 = 32
  addressSize: 16 | 32 | 64 = 32

  modrm = 0
  mod = 0
  /** With REX.R. */
  reg = 0
  /** With REX.B; a register number when `mod` is 3. */
  rm = 0
  base = -1
  index = -1
  scale: 0 | 1 | 2 | 3 = 0
  disp = 0
  ripRelative = false
  /** DS or SS, as the base register asks. */
  defaultSeg: SegIndex = 3

  begin(bytes: Uint8Array, offset: number, limit: number, width: CodeWidth): void {
    this.bytes = bytes
    this.pos = this.start = offset
    this.end = Math.min(limit, bytes.length, offset + MAX_LENGTH)
    this.width = width
    this.overrun = this.undefinedOperand = this.prefix66 = this.prefix67 = this.lock = false
    this.repeat = 0
    this.segOverride = -1
    this.rex = 0
  }

  get length(): number {
    return this.pos - this.start
  }

  get tooLong(): boolean {
    return this.overrun && this.end === this.start + MAX_LENGTH
  }

  u8(): number {
    if (this.pos < this.end) return this.bytes[this.pos++]!
    this.overrun = true
    return 0
  }

  s8(): number {
    return (this.u8() << 24) >> 24
  }

  u16(): number {
    const low = this.u8()
    return low | (this.u8() << 8)
  }

  s16(): number {
    return (this.u16() << 16) >> 16
  }

  s32(): number {
    if (this.pos + 4 <= this.end) {
      const { bytes, pos } = this
      this.pos = pos + 4
      return bytes[pos]! | (bytes[pos + 1]! << 8) | (bytes[pos + 2]! << 16) | (bytes[pos + 3]! << 24)
    }
    const low = this.u16()
    return low | (this.u16() << 16)
  }

  /** A displacement or an immediate that is at most 32 bits long. */
  signed(size: 8 | 16 | 32 | 64): number {
    return size === 8 ? this.s8() : size === 16 ? this.s16() : this.s32()
  }

  /** Reads ModRM and all of the address. `registersOnly` is for MOV to and from CR and DR, which ignore ModRM.mod. */
  readModrm(registersOnly: boolean): void {
    const modrm = this.modrm
    this.reg = ((modrm >> 3) & 7) | (this.rex & REX_R ? 8 : 0)
    this.mod = registersOnly ? 3 : modrm >> 6
    if (this.mod === 3) {
      this.rm = (modrm & 7) | (this.rex & REX_B ? 8 : 0)
      return
    }
    this.base = this.index = -1
    this.scale = 0
    this.disp = 0
    this.ripRelative = false
    this.defaultSeg = 3
    if (this.addressSize === 16) this.#address16()
    else this.#address32()
  }

  /** [SDM2 Table 2-1 "16-Bit Addressing Forms with the ModR/M Byte"] */
  #address16(): void {
    const rm = this.modrm & 7
    if (this.mod === 0 && rm === 6) {
      this.disp = this.s16()
      return
    }
    this.base = base16[rm]!
    this.index = index16[rm]!
    if (this.base === 5) this.defaultSeg = 2
    if (this.mod === 1) this.disp = this.s8()
    else if (this.mod === 2) this.disp = this.s16()
  }

  /** [SDM2 Table 2-2 "32-Bit Addressing Forms with the ModR/M Byte", 2.2.1.6 "RIP-Relative Addressing"] */
  #address32(): void {
    const { mod, rex } = this
    let base = this.modrm & 7
    if (base === 4) {
      const sib = this.u8()
      const index = ((sib >> 3) & 7) | (rex & REX_X ? 8 : 0)
      if (index !== 4) {
        this.index = index
        this.scale = (sib >> 6) as 0 | 1 | 2 | 3
      }
      base = sib & 7
      if (base === 5 && mod === 0) {
        this.disp = this.s32()
        return
      }
    } else if (base === 5 && mod === 0) {
      this.ripRelative = this.width === 64
      this.disp = this.s32()
      return
    }
    if (rex & REX_B) base |= 8
    this.base = base
    if (base === 4 || base === 5) this.defaultSeg = 2
    if (mod === 1) this.disp = this.s8()
    else if (mod === 2) this.disp = this.s32()
  }
}

const base16 = [3, 3, 5, 5, 6, 7, 5, 3]
const index16 = [6, 7, 6, 7, -1, -1, -1, -1]
