import { cpuState, type Builder, type Seg, type StagedOperand, type Val, type Width } from '@guestmode/x86'
import type { Node } from '../stage/graph.ts'
import { loadOp, Stage, storeOp, type StageContext } from '../stage/stage.ts'
import { pageIndexBits, tlbEntry } from '../machine/private-layout.ts'
import { Record } from './record.ts'
import type { MemoryForm, OperandShape, Shape } from './shape.ts'

const node = (value: Val): Node => value as Node

/** A memory operand displaced by `at`. */
interface Displaced {
  readonly byteOffset: number
  readonly origin: StagedOperand
}

const { gpr, segBase } = cpuState.fields
const RSP = 4
const RSI = 6
const RDI = 7
const ES = 0

export interface HandlerContext extends StageContext {
  next(record: number, offset: number): void
}

/** Stages one interpreter handler: registers, immediates and addresses come from the decoded-instruction record. */
export class HandlerStage extends Stage implements Builder {
  readonly operandSize: 16 | 32 | 64
  readonly addressSize: 16 | 32 | 64
  readonly codeWidth: 16 | 32 | 64
  readonly stackWidth: 16 | 32 | 64
  readonly cc: number
  readonly rep: 0 | 0xf2 | 0xf3
  readonly lock: boolean
  readonly operands: readonly StagedOperand[]
  private readonly shape: Shape
  private readonly physBase: number
  private readonly registerFields: number[]
  /** Addresses that `readForWrite` has translated, for `write`. */
  private readonly translated = new Map<StagedOperand, Node>()
  private readonly displaced = new Map<StagedOperand, Displaced>()

  /** Emits the transfer to the record `offset` bytes behind the one in a local. */
  private readonly next: (record: number, offset: number) => void

  constructor(context: HandlerContext, shape: Shape, physBase: number) {
    super(context)
    this.next = context.next
    this.shape = shape
    this.physBase = physBase
    this.operandSize = shape.operandSize
    this.addressSize = shape.addressSize
    this.codeWidth = shape.mode.codeWidth
    this.stackWidth = shape.mode.stackWidth
    this.cc = shape.cc
    this.rep = shape.rep
    this.lock = shape.lock
    this.operands = shape.operands.map((o, slot) => stagedOperand(o, slot))
    let registers = 0
    this.registerFields = shape.operands.map((o) => (o.kind === 'reg' ? Record.registers[registers++]! : -1))
  }

  read(operand: StagedOperand): Node {
    switch (operand.kind) {
      case 'reg':
        return this.readRegister(operand)
      case 'imm':
        return this.immediate(operand.slot, operand.width as Width)
      case 'mem':
        return this.loadFrom(
          this.translate(this.linearOf(operand, operand.width, false), operand.width, 'slowRead'),
          operand.width as Width,
        )
      default:
        throw new Error(`${this.shape.mnemonic}: operand ${operand.slot} (${operand.kind}) has no value`)
    }
  }

  readForWrite(operand: StagedOperand): Node {
    if (operand.kind !== 'mem') return this.read(operand)
    const address = this.translate(this.linearOf(operand, operand.width, true), operand.width, 'slowModify')
    this.translated.set(operand, address)
    return this.loadFrom(address, operand.width as Width)
  }

  write(operand: StagedOperand, value: Val): void {
    if (operand.kind === 'reg') return this.writeRegister(operand, node(value))
    if (operand.kind !== 'mem') throw new Error(`${this.shape.mnemonic}: operand ${operand.slot} can't be written`)
    const address =
      this.translated.get(operand) ?? this.translate(this.linearOf(operand, operand.width, true), operand.width, 'slowWrite')
    this.storeTo(address, node(value))
  }

  address(operand: StagedOperand): Node {
    const { byteOffset } = this.origin(operand)
    const ea = this.effectiveAddress(operand.slot)
    const form = this.form(operand.slot)
    const moved = byteOffset === 0 ? ea : this.add(ea, this.const(64, byteOffset))
    return this.trunc(this.wrapAddress(moved, form.addressSize), form.addressSize)
  }

  at(operand: StagedOperand, byteOffset: number, width: Width): StagedOperand {
    const part = { ...operand, width: width as number }
    this.displaced.set(part, { byteOffset: this.origin(operand).byteOffset + byteOffset, origin: operand })
    return part
  }

  gpr(index: number, width: 8 | 16 | 32 | 64): Node {
    return this.readState(gpr.offset + 8 * index, width, 0)
  }

  setGpr(index: number, value: Val): void {
    this.writeState(gpr.offset + 8 * index, value.width === 32 ? this.zext(value, 64) : value, 0)
  }

  gprHigh(index: number): Node {
    return this.readState(gpr.offset + 8 * index + 1, 8, 0)
  }

  setGprHigh(index: number, value: Val): void {
    this.writeState(gpr.offset + 8 * index + 1, this.trunc(value, 8), 0)
  }

  load(seg: Seg | StagedOperand, ea: Val, width: Width): Node {
    return this.loadFrom(this.translate(this.segmentLinear(seg, ea, width as number, false), width as number, 'slowRead'), width)
  }

  store(seg: Seg | StagedOperand, ea: Val, value: Val): void {
    const width = value.width as number
    this.storeTo(this.translate(this.segmentLinear(seg, ea, width, true), width, 'slowWrite'), node(value))
  }

  push(value: Val): void {
    const width = this.shape.mode.stackWidth
    const pointer = this.sub(this.gpr(RSP, width), this.const(width, (value.width as number) / 8))
    this.store(2, pointer, value)
    this.setGpr(RSP, pointer)
  }

  pop(width: 16 | 32 | 64): Val {
    const stackWidth = this.shape.mode.stackWidth
    const pointer = this.gpr(RSP, stackWidth)
    const value = this.load(2, pointer, width)
    this.setGpr(RSP, this.add(pointer, this.const(stackWidth, width / 8)))
    return value
  }

  nextIp(): Node {
    const next = this.add(this.get('ripBase'), this.zext(this.nextOffset(), 64))
    return this.codeWidth === 64 ? next : this.and(next, this.const(64, 0xffff_ffff))
  }

  checkTarget(target: Val): void {
    if (this.codeWidth !== 64 || target.width !== 64) return
    const canonical = this.isZero(this.shr(this.add(target, this.const(64, 1n << 47n)), this.const(64, 48)))
    this.if(this.not(canonical), () => this.fault(13, this.const(32, 0)))
  }

  jump(target: Val): void {
    const rip = this.zext(target, 64)
    this.graph.effect([rip], (put) => {
      put(rip)
      this.code.get(0).returnCall(this.context.callees.jump)
    })
  }

  jumpRelative(operand: StagedOperand): void {
    if (operand.kind !== 'rel') throw new Error('jumpRelative takes a relative operand')
    this.graph.effect([], () => {
      const { code } = this
      const link = code.local('i32')
      code.get(0).memory('i32.load', Record.link).tee(link).if()
      // The target stands in the same page, so `ripBase` stays.
      this.countInstructions()
      code.if()
      this.next(link, 0)
      code.end().end()
      code.get(0).returnCall(this.context.callees.branch)
    })
  }

  /** Emits the body, wrapped in the REP loop where the instruction repeats, and the transfer to the next record. */
  finish(semantic: () => void): void {
    if (this.rep === 0) {
      semantic()
      this.graph.emit()
    } else this.repeat(semantic)
    this.next(0, Record.size)
  }

  protected storeRecord(): void {
    this.graph.effect([], () => this.emitStoreRecord())
  }

  protected leave(): void {
    this.code.i32(0).return()
  }

  /**
   * Each iteration is complete in itself, so that a fault or the end of the budget between two of them leaves the registers
   * as if the instruction stood at its beginning [SDM2 "REP/REPE/REPZ/REPNE/REPNZ"].
   */
  private repeat(semantic: () => void): void {
    const { code } = this
    const compares = this.shape.mnemonic === 'CMPS' || this.shape.mnemonic === 'SCAS'
    const bulk = this.shape.mnemonic === 'MOVS' || this.shape.mnemonic === 'STOS'
    const count = (): Val => this.gpr(1, this.addressSize)
    this.if(this.ne(count(), this.const(this.addressSize, 0)), () => {
      this.loop(() => {
        if (bulk) {
          this.if(this.leU(this.const(this.addressSize, 8), count()), () => {
            this.graph.effect([], () => {
              this.emitStoreRecord()
              code.get(0).call(this.context.callees.bulkString)
            })
          })
        }
        semantic()
        const left = this.sub(count(), this.const(this.addressSize, 1))
        this.setGpr(1, left)
        const more = this.ne(left, this.const(this.addressSize, 0))
        const goOn = this.local(
          compares ? this.and(more, this.xor(this.flags.get('zf'), this.const(1, this.rep === 0xf2 ? 1 : 0))) : more,
        )
        this.if(goOn.get(), () => this.graph.effect([], () => this.interruptPoint()))
        return goOn.get()
      })
    })
    this.graph.emit()
  }

  /** Between two iterations: when the budget is used up, leaves with RIP at the instruction. */
  private interruptPoint(): void {
    const { code } = this
    const budget = this.context.base + cpuState.fields.budget.offset
    code.i32(0)
    code.i32(0).memory('i32.load', budget).i32(1).op('i32.sub')
    code.memory('i32.store', budget)
    code.i32(0).memory('i32.load', budget).i32(0).op('i32.lt_s').if()
    this.emitStoreRecord()
    code.get(0).returnCall(this.context.callees.interrupted)
    code.end()
  }

  /** budget -= instructions of the block so far; leaves 1 when there is budget left. */
  private countInstructions(): void {
    const { code } = this
    const budget = this.context.base + cpuState.fields.budget.offset
    const left = code.local('i32')
    code.i32(0).memory('i32.load', budget).get(0).memory('i32.load8_u', Record.count).op('i32.sub').tee(left)
    code.i32(0).op('i32.ge_s').if('i32')
    code.i32(0).get(left).memory('i32.store', budget).i32(1)
    code.else().i32(0).end()
  }

  private emitStoreRecord(): void {
    this.code
      .i32(0)
      .get(0)
      .memory('i32.store', this.context.base + cpuState.fields.record.offset)
  }

  private readRegister(operand: StagedOperand & { kind: 'reg' }): Node {
    if (operand.cls === 'cr' || operand.cls === 'dr' || operand.cls === 'tr')
      throw new Error(`${operand.cls} registers are for microcode`)
    const { byteOffset } = this.origin(operand)
    const width = (operand.cls === 'seg' ? 16 : operand.width) as Width
    return this.graph.node(
      width,
      {
        kind: 'read',
        args: [],
        emit: () => {
          this.emitRegisterAddress(operand)
          this.code.memory(loadOp(width), this.context.base + byteOffset)
        },
      },
      true,
    )
  }

  private writeRegister(operand: StagedOperand & { kind: 'reg' }, value: Node): void {
    const { byteOffset } = this.origin(operand)
    const stored = operand.cls === 'gpr' && value.width === 32 ? this.zext(value, 64) : value
    this.graph.effect([stored], (put) => {
      this.emitRegisterAddress(operand)
      put(stored)
      this.code.memory(storeOp(stored.width), this.context.base + byteOffset)
    })
  }

  private emitRegisterAddress(operand: StagedOperand & { kind: 'reg' }): void {
    this.code.get(0).memory('i32.load16_u', this.registerFields[operand.slot]!)
  }

  /** The second of two immediates stands in the displacement field. */
  private immediate(slot: number, width: Width): Node {
    const second = this.shape.operands.slice(0, slot).some((o) => o.kind === 'imm')
    const field = second ? Record.displacement : Record.immediate
    return this.recordField(width, `${loadOp(width)}`, field)
  }

  private nextOffset(): Node {
    return this.add(this.recordField(32, 'i32.load16_u', Record.pageOffset), this.recordField(32, 'i32.load8_u', Record.length))
  }

  private recordField(width: Width, op: string, offset: number): Node {
    return this.graph.node(width, { kind: 'read', args: [], emit: () => void this.code.get(0).memory(op, offset) }, true)
  }

  /** A state word whose offset is in the record. */
  private indirect(width: Width, field: number): Node {
    return this.graph.node(
      width,
      {
        kind: 'read',
        args: [],
        emit: () => void this.code.get(0).memory('i32.load16_u', field).memory(loadOp(width), this.context.base),
      },
      true,
    )
  }

  private form(slot: number): MemoryForm {
    const shape = this.shape.operands[slot]
    if (shape?.kind !== 'mem') throw new Error(`${this.shape.mnemonic}: operand ${slot} has no address`)
    return shape.form
  }

  private origin(operand: StagedOperand): Displaced {
    return this.displaced.get(operand) ?? { byteOffset: 0, origin: operand }
  }

  private wrapAddress(ea: Node, addressSize: 16 | 32 | 64): Node {
    return addressSize === 64 ? ea : this.and(ea, this.const(64, addressSize === 32 ? 0xffff_ffff : 0xffff))
  }

  /** base + index << scale + displacement, 64 bits wide, not yet wrapped. Computed anew at each use: a POP may change RSP between. */
  private effectiveAddress(slot: number): Node {
    const form = this.form(slot)
    if (form.string !== 'none') return this.gpr(form.string === 'source' ? RSI : RDI, 64)
    if (form.absolute) return this.recordField(64, 'i64.load', Record.immediate)
    const displacement = this.recordField(64, 'i64.load32_s', Record.displacement)
    if (form.ripRelative) return this.add(this.add(this.get('ripBase'), this.zext(this.nextOffset(), 64)), displacement)
    let ea = this.add(this.indirect(64, Record.base), displacement)
    if (form.indexed) {
      const scale = this.recordField(32, 'i32.load8_u', Record.scale)
      ea = this.add(ea, this.shl(this.indirect(64, Record.index), scale))
    }
    return ea
  }

  private linearOf(operand: StagedOperand, width: number, write: boolean): Node {
    const form = this.form(operand.slot)
    const { byteOffset } = this.origin(operand)
    const ea = this.effectiveAddress(operand.slot)
    const moved = byteOffset === 0 ? ea : this.add(ea, this.const(64, byteOffset))
    const seg = form.string === 'destination' ? ES : undefined
    return this.toLinear(this.wrapAddress(moved, form.addressSize), form.segmentation, seg, width, write)
  }

  private segmentLinear(seg: Seg | StagedOperand, ea: Val, width: number, write: boolean): Node {
    const offset = this.zext(ea, 64)
    if (typeof seg === 'object') {
      const { segmentation, addressSize } = this.form(seg.slot)
      return this.toLinear(this.wrapAddress(offset, addressSize), segmentation, undefined, width, write)
    }
    const { codeWidth, flat } = this.shape.mode
    const based = seg >= 4
    const segmentation = codeWidth === 64 ? (based ? 'based' : 'flat') : flat && !based ? 'flat' : 'checked'
    return this.toLinear(offset, segmentation, seg, width, write)
  }

  /** `seg` undefined: the segment is named by the record. */
  private toLinear(
    offset: Node,
    segmentation: MemoryForm['segmentation'],
    seg: Seg | undefined,
    width: number,
    write: boolean,
  ): Node {
    switch (segmentation) {
      case 'flat':
        return offset
      case 'based':
        return this.add(
          offset,
          seg === undefined ? this.indirect(64, Record.segmentBase) : this.readState(segBase.offset + 8 * seg, 64, 0),
        )
      case 'checked': {
        this.mayFault = true
        const linear = this.graph.localNode(64, this.code.local('i64'))
        this.graph.effect([offset], (put) => {
          const { code } = this
          put(offset)
          code.i32(width / 8)
          if (seg === undefined) code.get(0).memory('i32.load8_u', Record.segment)
          else code.i32(seg)
          code
            .i32(write ? 1 : 0)
            .get(0)
            .call(this.context.callees.linear)
            .set(linear.local)
          this.loadState('chainExit').if()
          this.leave()
          code.end()
        })
        return linear
      }
    }
  }

  /** One inline probe of the TLB; the slow road fills it, splits or bounces the access, or faults. */
  private translate(linear: Node, width: number, slow: 'slowRead' | 'slowWrite' | 'slowModify'): Node {
    const { code, context } = this
    const address = this.graph.localNode(32, code.local('i32'))
    const size = width / 8
    const tlb = context.base + cpuState.fields[slow === 'slowRead' ? 'tlbRead' : 'tlbWrite'].offset
    const held = this.hold(linear)
    this.graph.effect([held], (put) => {
      const entry = code.local('i32')
      put(held)
      code
        .op('i32.wrap_i64')
        .i32(12 - tlbEntry.log2Size)
        .op('i32.shr_u')
        .i32(((1 << pageIndexBits) - 1) << tlbEntry.log2Size)
        .op('i32.and')
      code.i32(0).memory('i32.load', tlb).op('i32.add').tee(entry)
      code.memory('i64.load', tlbEntry.tag)
      put(held)
      if (size > 1) code.i64(BigInt(size - 1)).op('i64.add')
      code.i64(-4096n).op('i64.and').op('i64.eq').if('i32')
      put(held)
      code.op('i32.wrap_i64').get(entry).memory('i32.load', tlbEntry.addend).op('i32.add')
      code.else()
      put(held)
      code.i32(size).get(0).call(context.callees[slow]).tee(address.local).op('i32.eqz').if()
      this.leave()
      code.end().get(address.local)
      code.end().set(address.local)
    })
    return address
  }

  /** Makes a value that closures may put several times without computing it again. */
  private hold(value: Node): Node {
    value.uses += 2
    return value
  }

  private loadFrom(address: Node, width: Width): Node {
    return this.graph.node(
      width,
      {
        kind: 'read',
        args: [address],
        emit: (put) => {
          put(address)
          this.code.memory(loadOp(width))
        },
      },
      true,
    )
  }

  private storeTo(address: Node, value: Node): void {
    this.graph.effect([address, value], (put) => {
      put(address)
      put(value)
      this.code.memory(storeOp(value.width))
      // Addresses below physical memory are the bounce buffer.
      put(address)
      this.code.i32(this.physBase).op('i32.lt_u').if()
      this.code.call(this.context.callees.commit)
      this.code.end()
    })
  }
}

function stagedOperand(shape: OperandShape, slot: number): StagedOperand {
  return shape.kind === 'reg'
    ? { kind: 'reg', cls: shape.cls, width: shape.width, slot, index: shape.index }
    : { kind: shape.kind, width: shape.width, slot }
}
