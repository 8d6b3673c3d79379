import { Code, ModuleWriter, type ValType } from '@guestmode/wasm-emit'
import { cpuState } from '@guestmode/x86'
import { jumpEntry, jumpIndexBits } from '../machine/private-layout.ts'
import { Record } from './record.ts'
import { ChainExit } from './chain-exit.ts'

/** What generated code calls in TypeScript. Addresses and flags are i32; longer values pass through the CPU state. */
export interface HostCalls {
  /** Finds the record for `state.rip`, decoding if need be, and sets `ripBase`; 0 leaves the chain. */
  lookup(): number
  /** Links a relative branch to its target in the same page, at this page offset. */
  link(record: number, offset: number): void
  /** Runs a microcoded instruction and finds the next record; 0 leaves the chain. */
  microcode(record: number): number
  /** Resolve the access in `accessLinear`, `accessSize`: an address, or 0 after a fault. */
  readSlow(): number
  writeSlow(): number
  modifySlow(): number
  commit(): void
  /** Checks the access at offset `accessLinear` of a segment and replaces it by the linear address; sets chainExit on a fault. */
  segmentSlow(segment: number, write: number): void
  named(routine: number): number
  fault(vector: number, errorCode: number): void
  fpuFault(kind: number): void
  bulkString(record: number): void
}

const hostSignatures: { readonly [Name in keyof HostCalls]: readonly [params: number, result: 0 | 1] } = {
  lookup: [0, 1],
  link: [2, 0],
  microcode: [1, 1],
  readSlow: [0, 1],
  writeSlow: [0, 1],
  modifySlow: [0, 1],
  commit: [0, 0],
  segmentSlow: [2, 0],
  named: [1, 1],
  fault: [2, 0],
  fpuFault: [1, 0],
  bulkString: [1, 0],
}

/** Functions shared by all handlers, written here in WebAssembly; names and signatures. */
export const supportSignatures = {
  jump: [['i64', 'i32'], []],
  dispatch: [['i32'], []],
  branch: [['i32'], []],
  interrupted: [['i32'], []],
  slowRead: [['i64', 'i32', 'i32'], ['i32']],
  slowWrite: [['i64', 'i32', 'i32'], ['i32']],
  slowModify: [['i64', 'i32', 'i32'], ['i32']],
  linear: [['i64', 'i32', 'i32', 'i32', 'i32'], ['i64']],
} as const satisfies { [name: string]: readonly [readonly ValType[], readonly ValType[]] }

/** Handlers of records that are no instruction of their own, by table index. */
export const FixedHandler = { none: 0, microcode: 1, endOfBlock: 2, resync: 3, count: 4 } as const

export type HostFunctions = { readonly [Name in keyof HostCalls]: number }
export type SupportFunctions = { readonly [Name in keyof typeof supportSignatures]: number }

export function importHostCalls(module: ModuleWriter): HostFunctions {
  const i32s = (n: number): ValType[] => new Array<ValType>(n).fill('i32')
  return Object.fromEntries(
    Object.entries(hostSignatures).map(([name, [params, result]]) => [
      name,
      module.importFunction('host', name, module.type(i32s(params), i32s(result))),
    ]),
  ) as HostFunctions
}

const field = (base: number, name: keyof typeof cpuState.fields): number => base + cpuState.fields[name].offset

/** RIP of the record's instruction. */
const putRip = (code: Code, base: number, record: number): Code =>
  code.i32(0).memory('i64.load', field(base, 'ripBase')).get(record).memory('i64.load16_u', Record.pageOffset).op('i64.add')

/** Masks the RIP on the stack by the record's size of instruction pointers (see `ipMask`). */
function maskRip(code: Code, record: number): void {
  const rip = code.local('i64')
  code.set(rip)
  code.get(rip)
  code.i64(-1n)
  code.i64(0xffff_ffffn).i64(0xffffn)
  code.get(record).memory('i32.load8_u', Record.scale).i32(ipMask[32]).op('i32.eq').select()
  code.get(record).memory('i32.load8_u', Record.scale).op('i32.eqz').select()
  code.op('i64.and')
}

/** What `Record.scale` means in records of relative branches and block ends: how far RIP reaches. */
export const ipMask = { 64: 0, 32: 1, 16: 2 } as const

/** Adds the support functions and fixed handlers to the module that owns the table. */
export function writeSupport(module: ModuleWriter, host: HostFunctions, base: number): SupportFunctions {
  const names = Object.keys(supportSignatures) as (keyof typeof supportSignatures)[]
  const functions = Object.fromEntries(
    names.map((name) => [name, module.declare(module.type(supportSignatures[name][0], supportSignatures[name][1]))]),
  ) as SupportFunctions
  const handlerType = module.type(['i32'], [])
  const define = (name: keyof SupportFunctions, write: (code: Code) => void): void => {
    const code = new Code(supportSignatures[name][0].length)
    write(code)
    module.define(functions[name], code)
  }
  const store32 = (code: Code, name: keyof typeof cpuState.fields, put: () => void): void => {
    code.i32(0)
    put()
    code.memory('i32.store', field(base, name))
  }
  const dispatchTo = (code: Code, local: number): void =>
    void code.get(local).get(local).memory('i32.load', Record.handler).returnCallIndirect(handlerType)
  const lookUp = (code: Code): void => {
    const record = code.local('i32')
    code.call(host.lookup).tee(record).op('i32.eqz').if()
    code.return().end()
    dispatchTo(code, record)
  }
  const count = (code: Code, record: number, less: number): void => {
    code.i32(0)
    code.i32(0).memory('i32.load', field(base, 'budget')).get(record).memory('i32.load8_u', Record.count).op('i32.sub')
    if (less) code.i32(less).op('i32.add')
    code.memory('i32.store', field(base, 'budget'))
  }

  define('dispatch', (code) => dispatchTo(code, 0))

  define('jump', (code) => {
    const [rip, record] = [0, 1]
    const entry = code.local('i32')
    count(code, record, 0)
    code.i32(0).memory('i32.load', field(base, 'budget')).i32(0).op('i32.lt_s').if()
    code.i32(0).get(rip).memory('i64.store', field(base, 'rip'))
    store32(code, 'chainExit', () => code.i32(ChainExit.budget))
    code.return().end()
    code.get(rip).op('i32.wrap_i64').get(rip).i64(BigInt(jumpIndexBits)).op('i64.shr_u').op('i32.wrap_i64').op('i32.xor')
    code
      .i32((1 << jumpIndexBits) - 1)
      .op('i32.and')
      .i32(jumpEntry.log2Size)
      .op('i32.shl')
    code.i32(0).memory('i32.load', field(base, 'jumpCache')).op('i32.add').tee(entry)
    code.memory('i64.load', jumpEntry.tag).get(rip).op('i64.eq').if()
    code.get(entry).memory('i32.load', jumpEntry.record).set(record)
    code
      .i32(0)
      .get(rip)
      .get(record)
      .memory('i64.load16_u', Record.pageOffset)
      .op('i64.sub')
      .memory('i64.store', field(base, 'ripBase'))
    dispatchTo(code, record)
    code.end()
    code.i32(0).get(rip).memory('i64.store', field(base, 'rip'))
    store32(code, 'record', () => code.get(record))
    lookUp(code)
  })

  define('branch', (code) => {
    const offset = code.local('i64')
    code.get(0).memory('i64.load16_u', Record.pageOffset).get(0).memory('i64.load8_u', Record.length).op('i64.add')
    code.get(0).memory('i64.load', Record.immediate).op('i64.add').tee(offset)
    code.i64(4096n).op('i64.lt_u').get(0).memory('i32.load', Record.link).op('i32.eqz').op('i32.and').if()
    code.get(0).get(offset).op('i32.wrap_i64').call(host.link)
    code.end()
    code.i32(0).memory('i64.load', field(base, 'ripBase')).get(offset).op('i64.add')
    maskRip(code, 0)
    code.get(0).returnCall(functions.jump)
  })

  define('interrupted', (code) => {
    count(code, 0, 1)
    code.i32(0)
    putRip(code, base, 0).memory('i64.store', field(base, 'rip'))
    store32(code, 'chainExit', () => code.i32(ChainExit.budget))
  })

  const slow = (name: 'slowRead' | 'slowWrite' | 'slowModify', callee: number): void =>
    define(name, (code) => {
      code.i32(0).get(0).memory('i64.store', field(base, 'accessLinear'))
      store32(code, 'accessSize', () => code.get(1))
      store32(code, 'record', () => code.get(2))
      code.call(callee)
    })
  slow('slowRead', host.readSlow)
  slow('slowWrite', host.writeSlow)
  slow('slowModify', host.modifySlow)

  define('linear', (code) => {
    const [offset, size, segment, write, record] = [0, 1, 2, 3, 4]
    const element = (name: 'segAccess' | 'segLimit'): Code =>
      code.get(segment).i32(2).op('i32.shl').memory('i32.load', field(base, name))
    // Usable, present, not system, data, expand-up; writable for a write.
    element('segAccess').i32(0x1009c).get(write).i32(1).op('i32.shl').op('i32.or').op('i32.and')
    code.i32(0x90).get(write).i32(1).op('i32.shl').op('i32.or').op('i32.eq')
    code.get(offset).get(size).op('i64.extend_i32_u').op('i64.add')
    element('segLimit').op('i64.extend_i32_u').i64(1n).op('i64.add').op('i64.le_u').op('i32.and').if()
    code.get(segment).i32(3).op('i32.shl').memory('i64.load', field(base, 'segBase')).get(offset).op('i64.add')
    code.i64(0xffff_ffffn).op('i64.and').return().end()
    code.i32(0).get(offset).memory('i64.store', field(base, 'accessLinear'))
    store32(code, 'accessSize', () => code.get(size))
    store32(code, 'record', () => code.get(record))
    code.get(segment).get(write).call(host.segmentSlow)
    code.i32(0).memory('i64.load', field(base, 'accessLinear'))
  })

  const fixed = (write: (code: Code) => void): number => {
    const func = module.declare(handlerType)
    const code = new Code(1)
    write(code)
    module.define(func, code)
    return func
  }
  module.element(0, [
    fixed((code) => code.unreachable()),
    fixed((code) => {
      const next = code.local('i32')
      store32(code, 'record', () => code.get(0))
      code.i32(0)
      putRip(code, base, 0).memory('i64.store', field(base, 'rip'))
      code.get(0).call(host.microcode).tee(next).op('i32.eqz').if()
      code.return().end()
      dispatchTo(code, next)
    }),
    fixed((code) => {
      putRip(code, base, 0)
      maskRip(code, 0)
      code.get(0).returnCall(functions.jump)
    }),
    fixed((code) => {
      count(code, 0, 1)
      code.i32(0)
      putRip(code, base, 0).memory('i64.store', field(base, 'rip'))
      lookUp(code)
    }),
  ])
  return functions
}
