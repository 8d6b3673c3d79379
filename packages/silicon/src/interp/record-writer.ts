import { cpuState, type Insn, type MemOperand, type RegOperand } from '@guestmode/x86'
import type { MachineMemory } from '../machine/memory.ts'
import { Record } from './record.ts'
import { isString } from './shape.ts'
import { ipMask } from './support.ts'

const { gpr, zero, xmm, fpMant, segSelector, segBase } = cpuState.fields

function registerOffset({ cls, index }: RegOperand): number {
  switch (cls) {
    case 'gpr':
      return gpr.offset + 8 * index
    case 'gpr8h':
      return gpr.offset + 8 * index + 1
    case 'xmm':
      return xmm.offset + 16 * index
    case 'mmx':
      return fpMant.offset + 8 * index
    case 'seg':
      return segSelector.offset + 4 * index
    default:
      return zero.offset
  }
}

const RDI = 7

/** How far RIP reaches after a transfer of this operand size. */
const ipMaskOf = (operandSize: 16 | 32 | 64): number => ipMask[operandSize]

/** Writes decoded instructions into records. */
export class RecordWriter {
  private readonly mem: MachineMemory

  constructor(mem: MachineMemory) {
    this.mem = mem
  }

  /** `immediate`: overrides the immediate field (the number of the `Insn`, for microcode). */
  write(
    at: number,
    handler: number,
    insn: Insn,
    pageOffset: number,
    count: number,
    codeWidth: 16 | 32 | 64,
    immediate?: number,
  ): void {
    const { mem } = this
    mem.u32.fill(0, at >> 2, (at + Record.size) >> 2)
    mem.u32[at >> 2] = handler
    mem.u16[(at + Record.pageOffset) >> 1] = pageOffset
    mem.u8[at + Record.length] = insn.length
    mem.u8[at + Record.count] = count
    let registers = 0
    let immediates = 0
    for (const operand of insn.operands) {
      switch (operand.kind) {
        case 'reg':
          mem.u16[(at + Record.registers[registers++]!) >> 1] = registerOffset(operand)
          break
        case 'mem':
          // The destination of a string instruction is ES:rDI: its handler knows.
          if (!isString(insn.mnemonic) || operand.base !== RDI) this.writeMemory(at, operand, codeWidth)
          break
        case 'imm':
          if (immediates++ > 0) mem.i32[(at + Record.displacement) >> 2] = operand.value
          else this.writeImmediate(at, operand.value64 ?? BigInt(operand.value))
          break
        case 'rel':
          this.writeImmediate(at, BigInt(operand.value))
          mem.u8[at + Record.scale] = ipMaskOf(insn.operandSize)
          break
        case 'far':
          break
      }
    }
    if (isString(insn.mnemonic)) {
      const size = insn.operands[0]!.width >> 3
      mem.i32[(at + Record.displacement) >> 2] = insn.addressSize | (size << 8) | (insn.mnemonic === 'STOS' ? 0x10000 : 0)
    }
    if (immediate !== undefined) this.writeImmediate(at, BigInt(immediate))
  }

  /** A record that ends a block: continues at the instruction at `pageOffset`. `count` instructions came before it. */
  writeEnd(at: number, handler: number, pageOffset: number, count: number, codeWidth: 16 | 32 | 64): void {
    const { mem } = this
    mem.u32.fill(0, at >> 2, (at + Record.size) >> 2)
    mem.u32[at >> 2] = handler
    mem.u16[(at + Record.pageOffset) >> 1] = pageOffset
    mem.u8[at + Record.count] = count
    mem.u8[at + Record.scale] = codeWidth === 64 ? ipMask[64] : ipMask[32]
  }

  private writeMemory(at: number, operand: MemOperand, codeWidth: number): void {
    const { mem } = this
    if (operand.disp64 !== undefined) this.writeImmediate(at, operand.disp64)
    mem.u16[(at + Record.base) >> 1] = operand.base < 0 ? zero.offset : gpr.offset + 8 * operand.base
    mem.u16[(at + Record.index) >> 1] = operand.index < 0 ? zero.offset : gpr.offset + 8 * operand.index
    mem.i32[(at + Record.displacement) >> 2] = operand.disp
    // In 64-bit code only FS and GS have a base.
    const based = codeWidth !== 64 || operand.seg >= 4
    mem.u16[(at + Record.segmentBase) >> 1] = based ? segBase.offset + 8 * operand.seg : zero.offset
    mem.u8[at + Record.scale] = operand.scale
    mem.u8[at + Record.segment] = operand.seg
  }

  private writeImmediate(at: number, value: bigint): void {
    this.mem.u64[(at + Record.immediate) >> 3] = BigInt.asUintN(64, value)
  }
}
