import { Code, type ValType } from '@guestmode/wasm-emit'
import type { Insn, MemOperand, RegOperand } from '@guestmode/x86'

/** What differs between instructions that share a template. */
export type Hole =
  | { readonly kind: 'immediate' | 'displacement'; readonly slot: number }
  /** An instruction on a local that stands for an operand's register. */
  | { readonly kind: 'local'; readonly opcode: number; readonly slot: number; readonly index: boolean }
  /** The address of the next instruction, as a constant. */
  | { readonly kind: 'next' }
  /** To the address in the local for it; along a relative branch; out, at this instruction. */
  | { readonly kind: 'jump' | 'branch' | 'fail' }

export interface Template {
  /** The code in the order of the holes: a piece before each, and one behind the last. */
  readonly pieces: readonly Uint8Array[]
  readonly holes: readonly { readonly depth: number; readonly hole: Hole }[]
  /** Bytes that it takes at the most, without transfers. */
  readonly room: number
}

/** A hole takes at most this: an opcode and an operand of five bytes. */
const holeSize = 6
/** Shorter pieces are copied faster byte by byte. */
const longPiece = 24
const firstOpen = 1000
/** The local of an operand's register, or of its index register, before it is known which. */
export const openLocal = (slot: number, index = false): number => firstOpen + 2 * slot + (index ? 1 : 0)

/** Records a template: code with holes, over the locals that every function has. */
export class TemplateCode extends Code {
  private readonly holes: { at: number; depth: number; hole: Hole }[] = []
  private readonly pools: Partial<Record<ValType, number[]>>
  private readonly exhausted: () => never

  constructor(pools: Partial<Record<ValType, number[]>>, exhausted: () => never) {
    super(0)
    this.pools = pools
    this.exhausted = exhausted
  }

  template(): Template {
    const { holes } = this
    const bytes = this.bytes.view()
    const pieces = holes.map(({ at }, i) => bytes.slice(holes[i - 1]?.at ?? 0, at))
    pieces.push(bytes.slice(holes.at(-1)?.at ?? 0))
    return { pieces, holes, room: bytes.length + holes.length * holeSize }
  }

  hole(hole: Hole): void {
    this.holes.push({ at: this.bytes.length, depth: (this as unknown as { depth: number }).depth, hole })
  }

  override local(type: ValType): number {
    return this.pools[type]?.pop() ?? this.exhausted()
  }

  override get(local: number): this {
    return this.onLocal(0x20, local)
  }
  override set(local: number): this {
    return this.onLocal(0x21, local)
  }
  override tee(local: number): this {
    return this.onLocal(0x22, local)
  }

  private onLocal(opcode: number, local: number): this {
    const open = local - firstOpen
    if (open < 0) {
      this.bytes.byte(opcode)
      this.bytes.byte(local)
    } else this.hole({ kind: 'local', opcode, slot: open >> 1, index: (open & 1) !== 0 })
    return this
  }
}

/** Where the transfers of a template lead. The code's nesting is that of the hole. */
export interface Exits {
  jump(): void
  branch(eip: number): void
  fail(eip: number): void
}

interface RawBytes {
  data: Uint8Array
  length: number
  reserve(more: number): void
}

/** Appends a template for an instruction. `register`: the local of register 0. */
export function stamp(code: Code, template: Template, insn: Insn, eip: number, register: number, exits: Exits): void {
  const { pieces, holes, room } = template
  const nesting = code as unknown as { depth: number }
  const out = code.bytes as unknown as RawBytes
  while (out.length + room > out.data.length) out.reserve(room)
  let { data, length } = out
  for (let i = 0; ; i++) {
    const piece = pieces[i]!
    if (piece.length < longPiece) for (let k = 0; k < piece.length; k++) data[length + k] = piece[k]!
    else data.set(piece, length)
    length += piece.length
    if (i === holes.length) break
    const { depth, hole } = holes[i]!
    let value: number
    switch (hole.kind) {
      case 'local': {
        const operand = insn.operands[hole.slot] as RegOperand | MemOperand
        data[length++] = hole.opcode
        data[length++] = register + (operand.kind === 'reg' ? operand.index : hole.index ? operand.index : operand.base)
        continue
      }
      case 'immediate': {
        const operand = insn.operands[hole.slot] as { value: number; width: number }
        value = operand.width === 8 ? operand.value & 0xff : operand.width === 16 ? operand.value & 0xffff : operand.value
        break
      }
      case 'displacement':
        value = (insn.operands[hole.slot] as MemOperand).disp
        break
      case 'next':
        value = (eip + insn.length) | 0
        break
      default:
        out.length = length
        nesting.depth += depth
        if (hole.kind === 'jump') exits.jump()
        else if (hole.kind === 'fail') exits.fail(eip)
        else exits.branch((eip + insn.length + (insn.operands[0] as { value: number }).value) >>> 0)
        nesting.depth -= depth
        while (out.length + room > out.data.length) out.reserve(room)
        data = out.data
        length = out.length
        continue
    }
    data[length++] = 0x41
    while (value < -64 || value > 63) {
      data[length++] = (value & 0x7f) | 0x80
      value >>= 7
    }
    data[length++] = value & 0x7f
  }
  out.length = length
}
