import type { Insn, MemOperand, Operand } from '../decode/insn.ts'
import { CR0_EM, CR0_TS } from '../facts/cr.ts'
import { DE, MF, NM, UD } from '../facts/exception.ts'
import { SEG_SS } from '../facts/segment.ts'
import type { Builder, Flags, Seg, StagedOperand, Subroutine, Val, Var, Width } from '../semantics/builder.ts'
import { makeFlags } from '../semantics/flags.ts'
import { div128, idiv128 } from '../semantics/integer/wide.ts'
import { cpuState, type CpuField } from '../state/cpu-state.ts'
import type { FieldType } from '../state/layout.ts'
import { IntegerArithmetic } from './arithmetic.ts'
import { checkTarget, linearAddress, type Access } from './segmentation.ts'
import { Stop, type Transaction } from './transaction.ts'
import { bitsOf, unsigned, Value, Variable, widthOf } from './value.ts'
import { laneOperator, shuffled, vectorOf, vectorOperator } from './vector.ts'

/** An operand together with what it was decoded from; `offset` is where `at` has moved it. */
interface EvaluatedOperand {
  readonly kind: StagedOperand['kind']
  readonly width: number
  readonly slot: number
  readonly offset: number
  readonly source: Operand
}

const fieldWidths: Record<FieldType, Width> = { u8: 8, u16: 16, u32: 32, u64: 64, v128: 128 }
const FP_STATUS_ES = 0x80n
const division = { div128, idiv128 }

export function stagedOperand(source: Operand, slot: number): StagedOperand {
  const common = { kind: source.kind, width: source.width, slot, offset: 0, source }
  if (source.kind !== 'reg') return common as EvaluatedOperand as StagedOperand
  const cls = source.cls === 'gpr8h' ? 'gpr' : source.cls
  return { ...common, cls, index: source.index } as EvaluatedOperand as StagedOperand
}

const evaluated = (operand: StagedOperand): EvaluatedOperand => operand as unknown as EvaluatedOperand

/** A builder whose values are known: what a semantic function records happens at once, in a transaction. */
export class Evaluator extends IntegerArithmetic implements Builder {
  readonly operandSize: 16 | 32 | 64
  readonly addressSize: 16 | 32 | 64
  readonly codeWidth: 16 | 32 | 64
  readonly stackWidth: 16 | 32 | 64
  readonly cc: number
  readonly rep: 0 | 0xf2 | 0xf3
  readonly lock: boolean
  readonly flags: Flags
  private readonly state: Transaction
  private readonly end: bigint

  constructor(insn: Insn, state: Transaction) {
    super()
    this.operandSize = insn.operandSize
    this.addressSize = insn.addressSize
    this.codeWidth = Number(state.get('codeWidth')) as 16 | 32 | 64
    this.stackWidth = this.codeWidth === 64 ? 64 : (Number(state.get('stackWidth')) as 16 | 32)
    this.cc = insn.cc
    this.rep = insn.rep
    this.lock = insn.lock
    this.state = state
    this.end = unsigned(state.get('rip') + BigInt(insn.length), this.codeWidth === 64 ? 64 : 32)
    this.flags = makeFlags(this)
  }

  op(name: string, ...args: Val[]): Val {
    return vectorOperator(name, args) ?? this.unsupported()
  }

  lane(name: string, lane: number, ...args: Val[]): Val {
    return laneOperator(name, lane, args) ?? this.unsupported()
  }

  shuffle(a: Val, b: Val, lanes: readonly number[]): Val {
    return shuffled(a, b, lanes)
  }

  v128(bytes: readonly number[]): Val {
    return vectorOf(bytes)
  }

  read(operand: StagedOperand): Val {
    return this.readOperand(operand, 'read')
  }

  readForWrite(operand: StagedOperand): Val {
    return this.readOperand(operand, 'write')
  }

  write(operand: StagedOperand, value: Val): void {
    const { source, width, offset } = evaluated(operand)
    if (value.width !== width) throw new Error(`write of ${value.width} bits to an operand of ${width}`)
    if (source.kind === 'mem') this.storeAt(source.seg, this.address(operand), value)
    else if (source.kind !== 'reg') throw new Error(`write to an operand of kind ${source.kind}`)
    else if (source.cls === 'gpr') this.setGpr(source.index, value)
    else if (source.cls === 'gpr8h') this.setGprHigh(source.index, value)
    else this.writePart(...this.registerField(operand), offset, value)
  }

  address(operand: StagedOperand): Val {
    const { source, offset } = evaluated(operand)
    if (source.kind !== 'mem') throw new Error(`address of an operand of kind ${source.kind}`)
    return new Value(source.addrSize, unsigned(this.effectiveAddress(source) + BigInt(offset), source.addrSize))
  }

  at(operand: StagedOperand, byteOffset: number, width: Width): StagedOperand {
    const moved = { ...evaluated(operand), width: width as number, offset: evaluated(operand).offset + byteOffset }
    return moved as EvaluatedOperand as StagedOperand
  }

  gpr(index: number, width: 8 | 16 | 32 | 64): Val {
    return new Value(width, unsigned(this.state.get('gpr', index), width))
  }

  setGpr(index: number, value: Val): void {
    if (value.width === 64 || value.width === 32) this.state.set('gpr', index, bitsOf(value))
    else this.writePart('gpr', index, 0, value)
  }

  gprHigh(index: number): Val {
    return new Value(8, unsigned(this.state.get('gpr', index) >> 8n, 8))
  }

  setGprHigh(index: number, value: Val): void {
    this.writePart('gpr', index, 1, value)
  }

  load(seg: Seg | StagedOperand, ea: Val, width: Width): Val {
    return this.loadAt(this.segmentOf(seg), ea, width, 'read')
  }

  store(seg: Seg | StagedOperand, ea: Val, value: Val): void {
    this.storeAt(this.segmentOf(seg), ea, value)
  }

  get(field: CpuField, index: Val | number = 0): Val {
    const width = fieldWidths[cpuState.fields[field].type]
    return new Value(width, this.state.get(field, typeof index === 'number' ? index : Number(bitsOf(index))))
  }

  set(field: CpuField, value: Val, index: Val | number = 0): void {
    if (value.width !== fieldWidths[cpuState.fields[field].type]) throw new Error(`${field} set to ${value.width} bits`)
    this.state.set(field, typeof index === 'number' ? index : Number(bitsOf(index)), bitsOf(value))
  }

  push(value: Val): void {
    const width = this.stackWidth
    const top = unsigned(this.state.get('gpr', 4) - BigInt(widthOf(value) / 8), width)
    this.storeAt(SEG_SS, new Value(width, top), value)
    this.setGpr(4, new Value(width, top))
  }

  pop(width: 16 | 32 | 64): Val {
    const stack = this.stackWidth
    const top = this.gpr(4, stack)
    const value = this.loadAt(SEG_SS, top, width, 'read')
    this.setGpr(4, this.add(top, this.const(stack, width / 8)))
    return value
  }

  local(initial: Val): Var {
    return new Variable(initial)
  }

  if(condition: Val, then: () => void, otherwise?: () => void): void {
    if (bitsOf(condition) !== 0n) then()
    else otherwise?.()
  }

  loop(body: () => Val): void {
    while (bitsOf(body()) !== 0n);
  }

  nextIp(): Val {
    return new Value(64, this.end)
  }

  checkTarget(target: Val): void {
    checkTarget(this.state, bitsOf(target))
  }

  jump(target: Val): void {
    const to = bitsOf(target)
    checkTarget(this.state, to)
    throw new Stop({ kind: 'jump', target: to })
  }

  jumpRelative(operand: StagedOperand): void {
    const { source } = evaluated(operand)
    if (source.kind !== 'rel') throw new Error(`relative jump to an operand of kind ${source.kind}`)
    this.jump(new Value(64, unsigned(this.end + BigInt(source.value), this.operandSize)))
  }

  fault(vector: number, errorCode?: Val): void {
    throw new Stop({ kind: 'fault', vector, ...(errorCode && { errorCode: Number(bitsOf(errorCode)) }) })
  }

  requireFpu(kind: 'x87' | 'mmx' | 'sse'): void {
    const trap = this.state.get('fpuTrap') & (kind === 'sse' ? 2n : 1n)
    const emulated = (this.state.get('cr0') & BigInt(CR0_EM)) !== 0n
    const taskSwitched = (this.state.get('cr0') & BigInt(CR0_TS)) !== 0n
    if (trap !== 0n) this.fault(kind === 'x87' ? NM : kind === 'mmx' ? (emulated ? UD : NM) : emulated || !taskSwitched ? UD : NM)
    if (kind !== 'sse' && (this.state.get('fpStatus') & FP_STATUS_ES) !== 0n) this.fault(MF)
  }

  call(sub: Subroutine, ...args: Val[]): Val[] {
    return sub.body(this, ...args)
  }

  microcode(name: string, args: readonly Val[]): Val[] {
    if (name !== 'div128' && name !== 'idiv128') return this.unsupported()
    const [high, low, divisor] = args.map(bitsOf)
    const result = division[name](high!, low!, divisor!)
    if (!result) throw new Stop({ kind: 'fault', vector: DE })
    return [new Value(64, result.quotient), new Value(64, result.remainder)]
  }

  private unsupported(): never {
    throw new Stop({ kind: 'unsupported' })
  }

  private segmentOf(seg: Seg | StagedOperand): number {
    if (typeof seg === 'number') return seg
    const { source } = evaluated(seg)
    if (source.kind !== 'mem') throw new Error(`segment of an operand of kind ${source.kind}`)
    return source.seg
  }

  private effectiveAddress(mem: MemOperand): bigint {
    if (mem.disp64 !== undefined) return mem.disp64
    const base = mem.base >= 0 ? this.state.get('gpr', mem.base) : 0n
    const index = mem.index >= 0 ? this.state.get('gpr', mem.index) << BigInt(mem.scale) : 0n
    return base + index + BigInt(mem.disp) + (mem.ripRelative ? this.end : 0n)
  }

  private readOperand(operand: StagedOperand, access: Access): Val {
    const { source, width, offset } = evaluated(operand)
    const bits = width as Width
    switch (source.kind) {
      case 'imm':
        return this.const(bits, source.value64 ?? source.value)
      case 'mem':
        return this.loadAt(source.seg, this.address(operand), bits, access)
      case 'reg': {
        if (source.cls === 'gpr8h') return this.gprHigh(source.index)
        const [field, index] = this.registerField(operand)
        return new Value(bits, unsigned(this.state.get(field, index) >> BigInt(8 * offset), width))
      }
      default:
        throw new Error(`read of an operand of kind ${source.kind}`)
    }
  }

  private registerField(operand: StagedOperand): [CpuField, number] {
    const { source } = evaluated(operand)
    if (source.kind !== 'reg') throw new Error(`register of an operand of kind ${source.kind}`)
    switch (source.cls) {
      case 'gpr':
      case 'gpr8h':
        return ['gpr', source.index]
      case 'seg':
        return ['segSelector', source.index]
      case 'xmm':
        return ['xmm', source.index]
      case 'mmx':
        return ['fpMant', source.index]
      default:
        return this.unsupported()
    }
  }

  /** Replaces part of a field, at a byte offset. */
  private writePart(field: CpuField, index: number, offset: number, value: Val): void {
    const shift = BigInt(8 * offset)
    const mask = ((1n << BigInt(widthOf(value))) - 1n) << shift
    this.state.set(field, index, (this.state.get(field, index) & ~mask) | (bitsOf(value) << shift))
  }

  private loadAt(seg: number, ea: Val, width: Width, access: Access): Val {
    const size = (width as number) / 8
    return new Value(width, this.state.load(linearAddress(this.state, seg, bitsOf(ea), size, access), size, access === 'write'))
  }

  private storeAt(seg: number, ea: Val, value: Val): void {
    const size = widthOf(value) / 8
    this.state.store(linearAddress(this.state, seg, bitsOf(ea), size, 'write'), size, bitsOf(value))
  }
}
