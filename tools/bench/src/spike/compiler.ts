import { Bytes, Code, ModuleWriter } from '@guestmode/wasm-emit'
import { cpuState, type DecodeRow, type Insn } from '@guestmode/x86'
import { locals, stateOffsets } from './compiler-stage.ts'
import { importHostCalls, type Callees } from './silicon.ts'
import { stamp, type Exits } from './template-code.ts'
import { Templates } from './templates.ts'

export interface GuestInsn {
  readonly eip: number
  readonly insn: Insn
}

/** Instructions without a transfer besides the last. */
export interface GuestBlock {
  readonly eip: number
  readonly insns: readonly GuestInsn[]
}

const transfers: ReadonlySet<string> = new Set(['JMP', 'JCC', 'CALL', 'RET', 'LOOP', 'LOOPE', 'LOOPNE', 'JCXZ', 'JECXZ'])
const neverGoesOn: ReadonlySet<string> = new Set(['JMP', 'CALL', 'RET'])
const setAllFlags: ReadonlySet<string> = new Set(['ADD', 'SUB', 'CMP', 'AND', 'OR', 'XOR', 'TEST', 'NEG', 'IMUL', 'MUL'])
const leaveFlags: ReadonlySet<string> = new Set(['MOV', 'MOVZX', 'MOVSX', 'LEA', 'NOT', 'BSWAP', 'CWDE', 'CDQ', 'NOP', 'XCHG'])

/** Splits decoded code into blocks: at targets of relative transfers, and behind transfers. */
export function splitBlocks(insns: readonly GuestInsn[]): GuestBlock[] {
  const leaders = new Set<number>()
  for (const { eip, insn } of insns) {
    if (!transfers.has(insn.mnemonic)) continue
    leaders.add(eip + insn.length)
    const operand = insn.operands[0]
    if (operand?.kind === 'rel') leaders.add((eip + insn.length + operand.value) >>> 0)
  }
  const blocks: GuestBlock[] = []
  let current: GuestInsn[] = []
  insns.forEach((each, i) => {
    const before = insns[i - 1]
    if (current.length > 0 && (leaders.has(each.eip) || before!.eip + before!.insn.length !== each.eip)) {
      blocks.push({ eip: current[0]!.eip, insns: current })
      current = []
    }
    current.push(each)
  })
  if (current.length > 0) blocks.push({ eip: current[0]!.eip, insns: current })
  return blocks
}

/** Imports of every compiled module; their function numbers are the same in all. */
function startModule(): { module: ModuleWriter; callees: Callees } {
  const module = new ModuleWriter()
  const calls = importHostCalls(module)
  const slow = module.type(['i64', 'i32', 'i32'], ['i32'])
  const support = (name: string): number => module.importFunction('support', name, slow)
  const [slowRead, slowWrite, slowModify] = [support('slowRead'), support('slowWrite'), support('slowModify')]
  module.importMemory('machine', 'memory', 1, 65536, false)
  return { module, callees: { ...calls, slowRead, slowWrite, slowModify } as unknown as Callees }
}

/** A body with the declaration of its locals and its size. */
function withHeader(code: Uint8Array): Uint8Array {
  const { words, wordCount, quadCount } = locals
  const declared = [4, 8, 0x7f, 1, 0x7e, words - locals.aux + wordCount, 0x7f, quadCount, 0x7e]
  const size = new Bytes()
  size.unsigned(declared.length + code.length + 1)
  const body = new Uint8Array(size.length + declared.length + code.length + 1)
  body.set(size.view())
  body.set(declared, size.length)
  body.set(code, size.length + declared.length)
  body[body.length - 1] = 0x0b
  return body
}

/** Compiles regions (some blocks with their transfers among each other) to functions, many in one module. */
export class Compiler {
  /** Guest instructions that became code. */
  compiled = 0
  /** Those left to the interpreter. */
  left = 0
  private readonly base: number
  private readonly templates: Templates
  private readonly code = new Code(1)
  private module: ModuleWriter
  private count = 0

  constructor(base: number, physBase: number) {
    this.base = base
    const { module, callees } = startModule()
    this.module = module
    this.templates = new Templates(callees, base, physBase)
  }

  /** Adds the function of a region; it is exported under its number. Its parameter is the number of the block to begin at. */
  add(blocks: readonly GuestBlock[]): void {
    const func = this.module.declare(this.module.type(['i32'], []))
    this.function(blocks)
    const body = withHeader(this.code.bytes.view())
    this.module.define(func, { encode: () => body } as Code)
    this.module.export(String(this.count++), 'func', func)
  }

  /** The module; the next `add` begins another. */
  finish(): Uint8Array {
    const bytes = this.module.encode()
    this.module = startModule().module
    this.count = 0
    return bytes
  }

  /** Writes the function into `code`, which all functions use one after the other. */
  private function(blocks: readonly GuestBlock[]): void {
    const { base } = this
    const { code } = this
    code.bytes.length = 0
    const { register, result, aux, target, budget, pc } = locals
    const successors = successorsOf(blocks)
    const returns: number[] = []
    blocks.forEach(({ insns }, i) => {
      const number = successors.behind[i]!
      if (insns[insns.length - 1]!.insn.mnemonic === 'CALL' && number >= 0 && returns.length < 8) returns.push(number)
    })
    const budgetAt = base + cpuState.fields.budget.offset
    for (let i = 0; i < 8; i++)
      code
        .i32(0)
        .memory('i32.load', base + stateOffsets.gpr + 8 * i)
        .set(register + i)
    code
      .i32(0)
      .memory('i64.load', base + stateOffsets.flagResult)
      .set(result)
    code
      .i32(0)
      .memory('i32.load', base + stateOffsets.flagAux)
      .set(aux)
    code.i32(0).memory('i32.load', budgetAt).set(budget)
    const exit = code.block()
    const next = code.loop()
    const labels = blocks.map(() => code.block()).reverse()
    let current = 0
    let self = -1
    const go = (number: number): void => {
      code.get(budget).i32(blocks[current]!.insns.length).op('i32.sub').tee(budget).i32(0).op('i32.lt_s').if()
      code.i32(blocks[number]!.eip).set(target).branch(exit)
      code.end()
      if (number === current && self >= 0) code.branch(self)
      else code.i32(number).set(pc).branch(next)
    }
    const leave = (eip: number): void => void code.i32(eip).set(target).branch(exit)
    const goTo = (number: number, eip: number): void => {
      if (number < 0) leave(eip)
      else go(number)
    }
    const exits: Exits = {
      jump: () => {
        for (const number of returns) {
          code.get(target).i32(blocks[number]!.eip).op('i32.eq').if()
          go(number)
          code.end()
        }
        code.branch(exit)
      },
      branch: (eip) => goTo(successors.along[current]!, eip),
      fail: leave,
    }
    code.get(pc).branchTable(labels, exit)
    const dead = deadFlags(blocks, successors)
    let at = 0
    blocks.forEach((block, i) => {
      code.end()
      current = i
      const last = block.insns.at(-1)!
      const end = last.eip + last.insn.length
      self = successors.along[i] === i ? code.loop() : -1
      let complete = true
      const first = at
      at += block.insns.length
      for (let n = 0; complete && n < block.insns.length; n++) {
        const { insn, eip } = block.insns[n]!
        const template = this.templates.find(insn, dead[first + n] === 1)
        if (template) {
          stamp(code, template, insn, eip, register, exits)
          this.compiled++
        } else {
          leave(eip)
          this.left++
          complete = false
        }
      }
      if (complete && !neverGoesOn.has(last.insn.mnemonic)) goTo(successors.behind[i]!, end)
      if (self >= 0) code.end()
    })
    code.end().end()
    for (let i = 0; i < 8; i++)
      code
        .i32(0)
        .get(register + i)
        .op('i64.extend_i32_u')
        .memory('i64.store', base + stateOffsets.gpr + 8 * i)
    code
      .i32(0)
      .get(result)
      .memory('i64.store', base + stateOffsets.flagResult)
    code
      .i32(0)
      .get(aux)
      .memory('i32.store', base + stateOffsets.flagAux)
    code.i32(0).get(budget).memory('i32.store', budgetAt)
    code
      .i32(0)
      .get(target)
      .op('i64.extend_i32_u')
      .memory('i64.store', base + cpuState.fields.rip.offset)
  }
}

const flagClasses = new Map<DecodeRow, number>()
const [sets, keeps, faults] = [1, 2, 4]

/** What an instruction does with the flags, by its row: 1 sets all, 2 leaves them alone; else it may read them. 4: it may fault. */
function flagClass({ row, mnemonic, operands }: Insn): number {
  let known = flagClasses.get(row)
  if (known === undefined) {
    known = setAllFlags.has(mnemonic) ? sets : leaveFlags.has(mnemonic) ? keeps : 0
    flagClasses.set(row, known)
  }
  if (mnemonic === 'LEA') return known
  for (const operand of operands) if (operand.kind === 'mem') return known | faults
  return known
}

/** Numbers of the blocks that follow: behind the last instruction, and along its relative branch. -1: none in the region. */
interface Successors {
  readonly behind: Int32Array
  readonly along: Int32Array
}

function successorsOf(blocks: readonly GuestBlock[]): Successors {
  const numbers = new Map<number, number>()
  for (let i = 0; i < blocks.length; i++) numbers.set(blocks[i]!.eip, i)
  const behind = new Int32Array(blocks.length).fill(-1)
  const along = new Int32Array(blocks.length).fill(-1)
  for (let i = 0; i < blocks.length; i++) {
    const { insns } = blocks[i]!
    const { eip, insn } = insns[insns.length - 1]!
    const to = insn.operands[0]
    behind[i] = numbers.get(eip + insn.length) ?? -1
    if (to?.kind === 'rel') along[i] = numbers.get((eip + insn.length + to.value) >>> 0) ?? -1
  }
  return { behind, along }
}

/**
 * By instruction of the region: 1 when nobody reads its flags. They are read by every instruction that is not known to set them all or
 * to leave them alone, and behind the region; and they must be right where an instruction may fault.
 */
function deadFlags(blocks: readonly GuestBlock[], { behind, along }: Successors): Uint8Array {
  const liveIn = new Uint8Array(blocks.length)
  let size = 0
  for (const { insns } of blocks) size += insns.length
  const dead = new Uint8Array(size)
  for (let changed = true; changed;) {
    changed = false
    let at = size
    for (let i = blocks.length - 1; i >= 0; i--) {
      const { insns } = blocks[i]!
      const { insn } = insns[insns.length - 1]!
      const liveAt = (block: number): number => (block < 0 ? 1 : liveIn[block]!)
      let live = liveAt(behind[i]!)
      if (insn.mnemonic === 'RET') live = 1
      else if (insn.operands[0]?.kind === 'rel') live |= liveAt(along[i]!)
      for (let n = insns.length - 1; n >= 0; n--) {
        const each = insns[n]!.insn
        dead[--at] = live ^ 1
        const what = flagClass(each)
        if (what === sets) live = 0
        else if (what !== keeps && each.mnemonic !== 'JMP') live = 1
      }
      if (live !== liveIn[i]) {
        liveIn[i] = live
        changed = true
      }
    }
  }
  return dead
}
