import { Code, type ModuleWriter, type ValType } from '@guestmode/wasm-emit'
import { cpuState } from '@guestmode/x86'
import { jumpEntry, jumpIndexBits } from '../machine/private-layout.ts'
import { ChainExit } from './chain-exit.ts'
import type { HostFunctions } from './host-calls.ts'
import { Record } from './record.ts'

/** Functions shared by all handlers. Those that give a record give 0 to leave the chain. */
export const supportSignatures = {
  jump: [['i64', 'i32'], ['i32']],
  branch: [['i32'], ['i32']],
  interrupted: [['i32'], ['i32']],
  slowRead: [['i64', 'i32', 'i32'], ['i32']],
  slowWrite: [['i64', 'i32', 'i32'], ['i32']],
  slowModify: [['i64', 'i32', 'i32'], ['i32']],
  linear: [['i64', 'i32', 'i32', 'i32', 'i32'], ['i64']],
} as const satisfies { [name: string]: readonly [readonly ValType[], readonly ValType[]] }

export type SupportFunctions = { readonly [Name in keyof typeof supportSignatures]: number }
type StateField = keyof typeof cpuState.fields

/** What `Record.scale` means in records of relative branches and block ends: how far RIP reaches. */
export const ipMask = { 64: 0, 32: 1, 16: 2 } as const

/** Pieces of code that the support functions and the loop have in common. `record` and `rip` are locals. */
export class Fragments {
  private readonly base: number
  private readonly host: HostFunctions

  constructor(base: number, host: HostFunctions) {
    this.base = base
    this.host = host
  }

  field(name: StateField): number {
    return this.base + cpuState.fields[name].offset
  }

  store32(code: Code, name: StateField, put: () => void): void {
    code.i32(0)
    put()
    code.memory('i32.store', this.field(name))
  }

  /** RIP of the record's instruction. */
  putRip(code: Code, record: number): void {
    code.i32(0).memory('i64.load', this.field('ripBase')).get(record).memory('i64.load16_u', Record.pageOffset).op('i64.add')
  }

  storeRip(code: Code, record: number): void {
    code.i32(0)
    this.putRip(code, record)
    code.memory('i64.store', this.field('rip'))
  }

  /** Masks the RIP on the stack by the record's size of instruction pointers (see `ipMask`). */
  maskRip(code: Code, record: number): void {
    const rip = code.local('i64')
    code.set(rip).get(rip)
    code.i64(-1n).i64(0xffff_ffffn).i64(0xffffn)
    code.get(record).memory('i32.load8_u', Record.scale).i32(ipMask[32]).op('i32.eq').select()
    code.get(record).memory('i32.load8_u', Record.scale).op('i32.eqz').select()
    code.op('i64.and')
  }

  /** budget -= instructions of the block so far, less some that don't count. */
  count(code: Code, record: number, less: number): void {
    code.i32(0)
    code.i32(0).memory('i32.load', this.field('budget')).get(record).memory('i32.load8_u', Record.count).op('i32.sub')
    if (less) code.i32(less).op('i32.add')
    code.memory('i32.store', this.field('budget'))
  }

  /** Continues at the RIP in its local after the transfer in `record`: sets `record`, then `found`; or `leave`s. */
  jump(code: Code, rip: number, record: number, found: () => void, leave: () => void): void {
    const entry = code.local('i32')
    this.count(code, record, 0)
    code.i32(0).memory('i32.load', this.field('budget')).i32(0).op('i32.lt_s').if()
    code.i32(0).get(rip).memory('i64.store', this.field('rip'))
    this.store32(code, 'chainExit', () => code.i32(ChainExit.budget))
    leave()
    code.end()
    code.get(rip).op('i32.wrap_i64').get(rip).i64(BigInt(jumpIndexBits)).op('i64.shr_u').op('i32.wrap_i64').op('i32.xor')
    code
      .i32((1 << jumpIndexBits) - 1)
      .op('i32.and')
      .i32(jumpEntry.log2Size)
      .op('i32.shl')
    code.i32(0).memory('i32.load', this.field('jumpCache')).op('i32.add').tee(entry)
    code.memory('i64.load', jumpEntry.tag).get(rip).op('i64.eq').if()
    code.i32(0).get(rip).get(entry).memory('i32.load', jumpEntry.record).tee(record)
    code.memory('i64.load16_u', Record.pageOffset).op('i64.sub').memory('i64.store', this.field('ripBase'))
    found()
    code.end()
    code.i32(0).get(rip).memory('i64.store', this.field('rip'))
    this.store32(code, 'record', () => code.get(record))
    this.lookUp(code, record, found, leave)
  }

  /** As `jump`, at the state's RIP. */
  lookUp(code: Code, record: number, found: () => void, leave: () => void): void {
    code.call(this.host.lookup).tee(record).if()
    found()
    code.end()
    leave()
  }

  /** RIP of the target of the relative branch in `record`, on the stack; links the branch when its target is in its page. */
  branchTarget(code: Code, record: number): void {
    const offset = code.local('i64')
    code.get(record).memory('i64.load16_u', Record.pageOffset).get(record).memory('i64.load8_u', Record.length).op('i64.add')
    code.get(record).memory('i64.load', Record.immediate).op('i64.add').tee(offset)
    code.i64(4096n).op('i64.lt_u').get(record).memory('i32.load', Record.link).op('i32.eqz').op('i32.and').if()
    code.get(record).get(offset).op('i32.wrap_i64').call(this.host.link)
    code.end()
    code.i32(0).memory('i64.load', this.field('ripBase')).get(offset).op('i64.add')
    this.maskRip(code, record)
  }

  /** Between two iterations of a repeated instruction: `rip` at it, no budget left. */
  interrupt(code: Code, record: number): void {
    this.count(code, record, 1)
    this.storeRip(code, record)
    this.store32(code, 'chainExit', () => code.i32(ChainExit.budget))
  }
}

/** Adds the support functions to the module that owns the table. */
export function writeSupport(module: ModuleWriter, host: HostFunctions, fragments: Fragments): SupportFunctions {
  const names = Object.keys(supportSignatures) as (keyof SupportFunctions)[]
  const functions = Object.fromEntries(
    names.map((name) => [name, module.declare(module.type(supportSignatures[name][0], supportSignatures[name][1]))]),
  ) as SupportFunctions
  const define = (name: keyof SupportFunctions, write: (code: Code) => void): void => {
    const code = new Code(supportSignatures[name][0].length)
    write(code)
    module.define(functions[name], code)
  }
  const found = (code: Code, record: number) => (): void => void code.get(record).return()
  const leave = (code: Code) => (): void => void code.i32(0).return()

  define('jump', (code) => {
    const [rip, record] = [0, 1]
    fragments.jump(code, rip, record, found(code, record), leave(code))
    code.unreachable()
  })

  define('branch', (code) => {
    fragments.branchTarget(code, 0)
    code.get(0).call(functions.jump)
  })

  define('interrupted', (code) => {
    fragments.interrupt(code, 0)
    code.i32(0)
  })

  const slow = (name: 'slowRead' | 'slowWrite' | 'slowModify', callee: number): void =>
    define(name, (code) => {
      code.i32(0).get(0).memory('i64.store', fragments.field('accessLinear'))
      fragments.store32(code, 'accessSize', () => code.get(1))
      fragments.store32(code, 'record', () => code.get(2))
      code.call(callee)
    })
  slow('slowRead', host.readSlow)
  slow('slowWrite', host.writeSlow)
  slow('slowModify', host.modifySlow)

  define('linear', (code) => {
    const [offset, size, segment, write, record] = [0, 1, 2, 3, 4]
    const element = (name: 'segAccess' | 'segLimit'): Code =>
      code.get(segment).i32(2).op('i32.shl').memory('i32.load', fragments.field(name))
    // Usable, present, not system, data, expand-up; writable for a write.
    element('segAccess').i32(0x1009c).get(write).i32(1).op('i32.shl').op('i32.or').op('i32.and')
    code.i32(0x90).get(write).i32(1).op('i32.shl').op('i32.or').op('i32.eq')
    code.get(offset).get(size).op('i64.extend_i32_u').op('i64.add')
    element('segLimit').op('i64.extend_i32_u').i64(1n).op('i64.add').op('i64.le_u').op('i32.and').if()
    code.get(segment).i32(3).op('i32.shl').memory('i64.load', fragments.field('segBase')).get(offset).op('i64.add')
    code.i64(0xffff_ffffn).op('i64.and').return().end()
    code.i32(0).get(offset).memory('i64.store', fragments.field('accessLinear'))
    fragments.store32(code, 'accessSize', () => code.get(size))
    fragments.store32(code, 'record', () => code.get(record))
    code.get(segment).get(write).call(host.segmentSlow)
    code.i32(0).memory('i64.load', fragments.field('accessLinear'))
  })
  return functions
}

/** The support functions, for a module that does not own them. */
export function importSupport(module: ModuleWriter): SupportFunctions {
  return Object.fromEntries(
    Object.entries(supportSignatures).map(([name, [params, results]]) => [
      name,
      module.importFunction('support', name, module.type(params, results)),
    ]),
  ) as SupportFunctions
}
