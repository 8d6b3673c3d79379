import { decode, semantics, withoutFeature, type Insn } from '@guestmode/x86'
import type { MachineMemory } from '../machine/memory.ts'
import { Record } from './record.ts'
import type { BlockCache } from './block-cache.ts'
import type { Handlers } from './handlers.ts'
import type { RecordWriter } from './record-writer.ts'
import { codeModes } from './code-mode.ts'
import { FixedHandler } from './loop.ts'

/** Instructions of one block at the most, besides its end. */
const maxInstructions = 64
export const maxInstructionBytes = 15

/** What a record asks of TypeScript: an instruction for microcode, a fault found in decoding, or an instruction that crosses into the next page. */
export type Micro =
  | { readonly kind: 'insn'; readonly insn: Insn }
  | { readonly kind: 'fault'; readonly vector: number; readonly errorCode: number | undefined }
  | { readonly kind: 'crossing' }

const invalidOpcode: Micro = { kind: 'fault', vector: 6, errorCode: undefined }
const tooLong: Micro = { kind: 'fault', vector: 13, errorCode: 0 }

/** Transfers after which the block can't go on. JCC and its like go on when not taken. */
const ends: ReadonlySet<string> = new Set(['JMP', 'CALL', 'RET'])

const isPrivilegedRegister = (insn: Insn): boolean =>
  insn.operands.some(
    (o, i) => o.kind === 'reg' && (o.cls === 'cr' || o.cls === 'dr' || (o.cls === 'seg' && i === 0 && insn.mnemonic !== 'PUSH')),
  )

/** Whether an instruction runs in microcode rather than in a generated handler. */
export function isMicrocoded(insn: Insn): boolean {
  const { mnemonic } = insn
  return mnemonic === 'MOV' || mnemonic === 'POP' ? isPrivilegedRegister(insn) : semantics[mnemonic] === undefined
}

/** Turns bytes into records. */
export class Decoder {
  private readonly mem: MachineMemory
  private readonly blocks: BlockCache
  private readonly handlers: Handlers
  private readonly writer: RecordWriter
  private readonly hasFeature: (name: string) => boolean
  private readonly hasMicrocode: (mnemonic: string) => boolean
  private micros: Micro[] = []

  constructor(parts: {
    mem: MachineMemory
    blocks: BlockCache
    handlers: Handlers
    writer: RecordWriter
    hasFeature: (name: string) => boolean
    hasMicrocode: (mnemonic: string) => boolean
  }) {
    this.mem = parts.mem
    this.blocks = parts.blocks
    this.handlers = parts.handlers
    this.writer = parts.writer
    this.hasFeature = parts.hasFeature
    this.hasMicrocode = parts.hasMicrocode
  }

  micro(record: number): Micro {
    return this.micros[this.mem.u32[(record + Record.immediate) >> 2]!]!
  }

  dropAll(): void {
    this.micros = []
    this.blocks.dropAll()
  }

  /** Decodes the block at a host physical address; returns its record. `fresh` is called when the page held no code before. */
  block(hpa: number, mode: number, fresh: () => void): number {
    const { mem, blocks } = this
    let at = blocks.reserve(maxInstructions + 1)
    if (at === 0) {
      this.dropAll()
      at = blocks.reserve(maxInstructions + 1)
    }
    const { codeWidth } = codeModes[mode]!
    const pageEnd = mem.physBase + hpa - (hpa & 0xfff) + 4096
    let from = mem.physBase + hpa
    let count = 0
    let ended = false
    while (!ended && count < maxInstructions && from < pageEnd) {
      const record = at + count * Record.size
      const offset = 4096 - (pageEnd - from)
      const result = decode(mem.u8, from, pageEnd, codeWidth)
      if (!result.ok && result.reason === 'truncated') {
        // A crossing instruction begins a block of its own: what it is depends on the next page.
        if (count > 0) break
        this.writeMicro(record, { kind: 'crossing' }, offset, 1)
        ended = true
        count++
        from = pageEnd
      } else if (!result.ok) {
        this.writeMicro(record, result.reason === 'invalid' ? invalidOpcode : tooLong, offset, count + 1)
        ended = true
        count++
        from += result.length
      } else {
        ended = this.write(record, result.insn, offset, count + 1, mode)
        count++
        from += result.insn.length
      }
    }
    // The end counts as a record: it too must resync when the page changes.
    this.writer.writeEnd(at + count * Record.size, FixedHandler.endOfBlock, 4096 - (pageEnd - from), count, codeWidth)
    if (blocks.add(hpa, mode, count + 1, from - mem.physBase - hpa)) fresh()
    return at
  }

  /** Writes one instruction, and an end behind it, at a place outside the cache. Returns false when the bytes don't suffice. */
  single(record: number, bytes: Uint8Array, length: number, pageOffset: number, mode: number): boolean {
    const { codeWidth } = codeModes[mode]!
    const result = decode(bytes, 0, length, codeWidth)
    if (!result.ok && result.reason === 'truncated' && length < maxInstructionBytes) return false
    let size = 0
    if (result.ok) {
      size = result.insn.length
      this.write(record, result.insn, pageOffset, 1, mode)
    } else this.writeMicro(record, result.reason === 'invalid' ? invalidOpcode : tooLong, pageOffset, 1)
    this.writer.writeEnd(record + Record.size, FixedHandler.endOfBlock, pageOffset + size, 1, codeWidth)
    return true
  }

  /** True when nothing can follow in the block. */
  private write(record: number, insn: Insn, pageOffset: number, count: number, mode: number): boolean {
    const codeMode = codeModes[mode]!
    if (!this.hasFeature(insn.feature)) {
      const older = withoutFeature(insn)
      if (older !== undefined) return this.write(record, older, pageOffset, count, mode)
      this.writeMicro(record, invalidOpcode, pageOffset, count)
      return true
    }
    if (isMicrocoded(insn)) {
      if (!this.hasMicrocode(insn.mnemonic)) throw new Error(`${insn.mnemonic} has neither semantics nor microcode`)
      this.writeMicro(record, { kind: 'insn', insn }, pageOffset, count)
      return true
    }
    const handler = this.handlers.indexFor(insn, mode)
    this.writer.write(record, handler, insn, pageOffset, count, codeMode.codeWidth)
    return ends.has(insn.mnemonic)
  }

  private writeMicro(record: number, micro: Micro, pageOffset: number, count: number): void {
    const { mem } = this
    mem.u32.fill(0, record >> 2, (record + Record.size) >> 2)
    mem.u32[record >> 2] = FixedHandler.microcode
    mem.u16[(record + Record.pageOffset) >> 1] = pageOffset
    mem.u8[record + Record.length] = micro.kind === 'insn' ? micro.insn.length : 0
    mem.u8[record + Record.count] = count
    mem.u32[(record + Record.immediate) >> 2] = this.micros.length
    this.micros.push(micro)
  }
}
