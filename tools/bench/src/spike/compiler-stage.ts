import type { Builder, CpuField, Insn, MemOperand, RegOperand, Seg, StagedOperand, Subroutine, Val, Width } from '@guestmode/x86'
import { cpuState } from '@guestmode/x86'
import { openLocal, type Hole, type TemplateCode } from './template-code.ts'
import { loadOp, pageIndexBits, Stage, storeOp, tlbEntry, type Node, type StageContext } from './silicon.ts'

const node = (value: Val): Node => value as Node
const { gpr, flagResult, flagAux } = cpuState.fields
const RSP = 4
const [CS, SS, DS, FS] = [1, 2, 3, 4]

/** An instruction that the sketch leaves to the interpreter. */
export class NotCompiled extends Error {}

/** Locals of every compiled function, by number. The parameter is the number of the block to run. */
export const locals = {
  pc: 0,
  register: 1,
  result: 9,
  aux: 10,
  target: 11,
  budget: 12,
  words: 13,
  wordCount: 12,
  quads: 25,
  quadCount: 6,
} as const

/**
 * Stages a flat 32-bit instruction once for all that are alike: registers are locals, immediates are constants, and which ones
 * they are is left open as a hole in the code.
 */
export class CompilerStage extends Stage implements Builder {
  readonly operandSize: 16 | 32 | 64
  readonly addressSize: 16 | 32 | 64
  readonly codeWidth = 32
  readonly stackWidth = 32
  readonly cc: number
  readonly rep = 0
  readonly lock: boolean
  readonly operands: readonly StagedOperand[]
  private readonly physBase: number
  private readonly body: TemplateCode
  private readonly insn: Insn
  private readonly flagsDead: boolean
  private readonly next: Node
  private translated: { operand: StagedOperand; address: Node } | undefined

  /** `flagsDead`: nothing will read the arithmetic flags of this instruction. */
  constructor(context: StageContext, body: TemplateCode, physBase: number, insn: Insn, flagsDead: boolean) {
    super(context)
    this.body = body
    this.physBase = physBase
    this.insn = insn
    this.flagsDead = flagsDead
    this.operandSize = insn.operandSize
    this.addressSize = insn.addressSize
    this.cc = insn.cc
    this.lock = insn.lock
    this.operands = insn.operands.map((operand, slot) => staged(operand, slot))
    this.next = this.const(64, 0)
  }

  emit(): void {
    this.graph.emit()
  }

  override and(a: Val, b: Val): Node {
    const folded = this.fold(a, b, (x, y) => x & y)
    return folded === undefined ? super.and(a, b) : this.const(a.width, folded >>> 0)
  }
  override sub(a: Val, b: Val): Node {
    const folded = this.fold(a, b, (x, y) => (x - y) | 0)
    return folded === undefined ? super.sub(a, b) : this.const(a.width, folded)
  }
  override ne(a: Val, b: Val): Node {
    const folded = this.fold(a, b, (x, y) => (x === y ? 0 : 1))
    return folded === undefined ? super.ne(a, b) : this.const(1, folded)
  }
  override zext(a: Val, width: Width): Node {
    if (a === this.next) throw new NotCompiled('RIP')
    const { expression } = node(a)
    return expression.kind === 'const' ? this.const(width, expression.value as number) : super.zext(a, width)
  }
  override trunc(a: Val, width: Width): Node {
    if (a === this.next) return this.hole(32, { kind: 'next' })
    const { expression } = node(a)
    return expression.kind === 'const' && typeof width === 'number' && width <= 32
      ? this.const(width, BigInt.asUintN(width, BigInt(expression.value as number)))
      : super.trunc(a, width)
  }
  override if(condition: Val, then: () => void, otherwise?: () => void): void {
    const { expression } = node(condition)
    if (expression.kind !== 'const') super.if(condition, then, otherwise)
    else if (Number(expression.value) !== 0) then()
    else otherwise?.()
  }

  override get(field: CpuField, index: Val | number = 0): Node {
    if (field === 'flagResult') return this.readLocal(64, locals.result)
    if (field === 'flagAux') return this.readLocal(32, locals.aux)
    return super.get(field, index)
  }
  override set(field: CpuField, value: Val, index: Val | number = 0): void {
    if (field !== 'flagResult' && field !== 'flagAux') return super.set(field, value, index)
    if (!this.flagsDead) this.writeLocal(field === 'flagResult' ? locals.result : locals.aux, node(value))
  }

  read(operand: StagedOperand): Node {
    const actual = this.insn.operands[operand.slot]!
    switch (actual.kind) {
      case 'reg':
        return this.readRegister(actual, operand.slot)
      case 'imm':
        return shiftsBy(this.insn)
          ? this.const(operand.width as Width, actual.value)
          : this.hole(operand.width as Width, { kind: 'immediate', slot: operand.slot })
      case 'mem':
        return this.loadFrom(
          this.translate(this.linear(actual, operand.slot), operand.width >> 3, 'slowRead'),
          operand.width as Width,
        )
      default:
        throw new NotCompiled(actual.kind)
    }
  }

  readForWrite(operand: StagedOperand): Node {
    const actual = this.insn.operands[operand.slot]!
    if (actual.kind !== 'mem') return this.read(operand)
    const address = this.translate(this.linear(actual, operand.slot), operand.width >> 3, 'slowModify')
    this.translated = { operand, address }
    return this.loadFrom(address, operand.width as Width)
  }

  write(operand: StagedOperand, value: Val): void {
    const actual = this.insn.operands[operand.slot]!
    if (actual.kind === 'reg') return this.writeRegister(actual, operand.slot, node(value))
    if (actual.kind !== 'mem') throw new NotCompiled(actual.kind)
    const known = this.translated?.operand === operand ? this.translated.address : undefined
    this.storeTo(known ?? this.translate(this.linear(actual, operand.slot), operand.width >> 3, 'slowWrite'), node(value))
  }

  address(operand: StagedOperand): Node {
    return this.effectiveAddress(this.insn.operands[operand.slot] as MemOperand, operand.slot)
  }

  at(): never {
    throw new NotCompiled('part of an operand')
  }

  gpr(index: number, width: 8 | 16 | 32 | 64): Node {
    return this.readPart(locals.register + index, width)
  }
  setGpr(index: number, value: Val): void {
    this.writePart(locals.register + index, value)
  }
  gprHigh(index: number): Node {
    return this.readHigh(locals.register + index)
  }
  setGprHigh(index: number, value: Val): void {
    this.writeHigh(locals.register + index, value)
  }

  private readPart(local: number, width: 8 | 16 | 32 | 64): Node {
    const whole = this.readLocal(32, local)
    if (width === 64) return this.zext(whole, 64)
    return width === 32 ? whole : this.trunc(whole, width)
  }

  private writePart(local: number, value: Val): void {
    if (value.width === 32) return this.writeLocal(local, node(value))
    if (value.width === 64) return this.writeLocal(local, this.trunc(value, 32))
    const keep = this.and(this.readLocal(32, local), this.const(32, value.width === 8 ? 0xffff_ff00 : 0xffff_0000))
    this.writeLocal(local, this.or(keep, this.zext(value, 32)))
  }

  private readHigh(local: number): Node {
    return this.trunc(this.shr(this.readLocal(32, local), this.const(32, 8)), 8)
  }

  private writeHigh(local: number, value: Val): void {
    const keep = this.and(this.readLocal(32, local), this.const(32, 0xffff_00ff))
    this.writeLocal(local, this.or(keep, this.shl(this.zext(value, 32), this.const(32, 8))))
  }

  load(seg: Seg | StagedOperand, ea: Val, width: Width): Node {
    this.requireFlat(seg)
    return this.loadFrom(this.translate(node(ea), (width as number) >> 3, 'slowRead'), width)
  }

  store(seg: Seg | StagedOperand, ea: Val, value: Val): void {
    this.requireFlat(seg)
    this.storeTo(this.translate(node(ea), (value.width as number) >> 3, 'slowWrite'), node(value))
  }

  push(value: Val): void {
    const pointer = this.sub(this.gpr(RSP, 32), this.const(32, (value.width as number) / 8))
    this.store(SS as Seg, pointer, value)
    this.setGpr(RSP, pointer)
  }

  pop(width: 16 | 32 | 64): Val {
    const pointer = this.gpr(RSP, 32)
    const value = this.load(SS as Seg, pointer, width)
    this.setGpr(RSP, this.add(pointer, this.const(32, width / 8)))
    return value
  }

  nextIp(): Node {
    return this.next
  }

  checkTarget(): void {
    // 32-bit targets are always canonical.
  }

  jump(target: Val): void {
    const eip = this.trunc(target, 32)
    this.graph.effect([eip], (put) => {
      put(eip)
      this.code.set(locals.target)
      this.body.hole({ kind: 'jump' })
    })
  }

  jumpRelative(operand: StagedOperand): void {
    const actual = this.insn.operands[operand.slot]!
    if (actual.kind !== 'rel' || this.operandSize !== 32) throw new NotCompiled('16-bit transfer')
    this.graph.effect([], () => this.body.hole({ kind: 'branch' }))
  }

  override microcode(name: string): never {
    throw new NotCompiled(name)
  }

  override call({ name }: Subroutine): never {
    throw new NotCompiled(name)
  }

  protected storeRecord(): void {
    // RIP of an instruction is known here: `leave` stores it.
  }

  protected leave(): void {
    this.body.hole({ kind: 'fail' })
  }

  /** A constant that differs from instruction to instruction. */
  private hole(width: Width, hole: Hole): Node {
    return this.graph.node(width, { kind: 'read', args: [], emit: () => this.body.hole(hole) })
  }

  private fold(a: Val, b: Val, compute: (x: number, y: number) => number): number | undefined {
    const [x, y] = [node(a).expression, node(b).expression]
    if (x.kind !== 'const' || y.kind !== 'const' || typeof a.width !== 'number' || a.width > 32) return undefined
    return compute(Number(x.value), Number(y.value))
  }

  private readLocal(width: Width, local: number): Node {
    return this.graph.node(width, { kind: 'read', args: [], emit: () => void this.code.get(local) }, true)
  }

  private writeLocal(local: number, value: Node): void {
    this.graph.effect([value], (put) => {
      put(value)
      this.code.set(local)
    })
  }

  private readRegister({ cls, width }: RegOperand, slot: number): Node {
    if (cls === 'gpr8h') return this.readHigh(openLocal(slot))
    if (cls !== 'gpr') throw new NotCompiled(cls)
    return this.readPart(openLocal(slot), width as 8 | 16 | 32)
  }

  private writeRegister({ cls }: RegOperand, slot: number, value: Node): void {
    if (cls === 'gpr8h') this.writeHigh(openLocal(slot), value)
    else if (cls === 'gpr') this.writePart(openLocal(slot), value)
    else throw new NotCompiled(cls)
  }

  private requireFlat(seg: Seg | StagedOperand): void {
    const index = typeof seg === 'number' ? seg : (this.insn.operands[seg.slot] as MemOperand).seg
    if (index >= FS || index === CS || index > SS + DS) throw new NotCompiled('segment with a base')
  }

  private effectiveAddress({ base, index, scale, disp, addrSize }: MemOperand, slot: number): Node {
    if (addrSize !== 32) throw new NotCompiled('16-bit address')
    let ea: Node | undefined = base < 0 ? undefined : this.readLocal(32, openLocal(slot))
    if (index >= 0) {
      const whole = this.readLocal(32, openLocal(slot, true))
      const scaled = scale === 0 ? whole : this.shl(whole, this.const(32, scale))
      ea = ea ? this.add(ea, scaled) : scaled
    }
    if (ea !== undefined && disp === 0) return ea
    const displacement = this.hole(32, { kind: 'displacement', slot })
    return ea ? this.add(ea, displacement) : displacement
  }

  private linear(operand: MemOperand, slot: number): Node {
    if (operand.seg >= FS) throw new NotCompiled('segment with a base')
    return this.effectiveAddress(operand, slot)
  }

  private translate(linear: Node, size: number, slow: 'slowRead' | 'slowWrite' | 'slowModify'): Node {
    const { code, context } = this
    const address = this.graph.localNode(32, 0)
    linear.uses += 2
    this.graph.effect([linear], (put) => {
      const [entry, at] = [code.local('i32'), code.local('i32')]
      address.local = code.local('i32')
      put(linear)
      code
        .tee(at)
        .i32(12 - tlbEntry.log2Size)
        .op('i32.shr_u')
        .i32(((1 << pageIndexBits) - 1) << tlbEntry.log2Size)
        .op('i32.and')
      const tlb = cpuState.fields[slow === 'slowRead' ? 'tlbRead' : 'tlbWrite'].offset
      code
        .i32(0)
        .memory('i32.load', context.base + tlb)
        .op('i32.add')
        .tee(entry)
      code.memory('i64.load', tlbEntry.tag).get(at)
      if (size > 1) code.i32(size - 1).op('i32.add')
      code.i32(-4096).op('i32.and').op('i64.extend_i32_u').op('i64.eq').if('i32')
      code.get(at).get(entry).memory('i32.load', tlbEntry.addend).op('i32.add')
      code.else()
      code.get(at).op('i64.extend_i32_u').i32(size).i32(0).call(context.callees[slow]).tee(address.local).op('i32.eqz').if()
      this.leave()
      code.end().get(address.local).end().set(address.local)
    })
    return address
  }

  private loadFrom(address: Node, width: Width): Node {
    const emit = (put: (n: Node) => void): void => {
      put(address)
      this.code.memory(loadOp(width))
    }
    return this.graph.node(width, { kind: 'read', args: [address], emit }, true)
  }

  private storeTo(address: Node, value: Node): void {
    this.graph.effect([address, value], (put) => {
      put(address)
      put(value)
      this.code.memory(storeOp(value.width))
      put(address)
      this.code.i32(this.physBase).op('i32.lt_u').if()
      this.code.call(this.context.callees.commit)
      this.code.end()
    })
  }
}

/** Instructions whose second operand decides what they do: all that are alike have the same. */
export const shiftsBy = (insn: Insn): boolean => shifts.has(insn.mnemonic)
const shifts: ReadonlySet<string> = new Set(['SHL', 'SHR', 'SAR', 'ROL', 'ROR', 'RCL', 'RCR', 'SHLD', 'SHRD'])

export const stateOffsets = { gpr: gpr.offset, flagResult: flagResult.offset, flagAux: flagAux.offset }

function staged(operand: Insn['operands'][number], slot: number): StagedOperand {
  if (operand.kind !== 'reg') return { kind: operand.kind, width: operand.width, slot }
  const cls = operand.cls === 'gpr8h' ? 'gpr' : operand.cls
  return { kind: 'reg', cls, width: operand.width, slot, index: operand.index }
}
