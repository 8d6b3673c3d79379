import { createMachine } from '@guestmode/silicon'
import { cpuidBits, encodeDescriptor, encodeGate, Exception, type Feature } from '@guestmode/x86'
import { codeOf, CRASH, readFxImage, TIMEOUT, writeFxImage, type Outcome, type TestCase } from './case.ts'
import { code, data, imageRegions, imageSize, PAGE, regions, stack, USER_CODE_32, USER_CODE_64, USER_DATA } from './layout.ts'
import { startOf, type Hello } from './wire.ts'

/** Runs cases on our processor, at privilege level 3 of a small system with the descriptors and the page rights of Linux. */
export interface Ours {
  run(image: Uint8Array, test: TestCase): Outcome
}

/** The supervisor's page: a HLT for each vector, the tables and the stack. */
const SYSTEM = 0xffff_8000_0000_0000n
const STUBS = 0x000
const GDT = 0x100
const TSS = 0x200
const LDT = 0x2c0
const IDT = 0x300
const STACK_TOP = 0x1000
const SYSTEM_PAGES = 2
const stackAt = SYSTEM + BigInt(PAGE + STACK_TOP)

const RIGHTS = { present: 1n, writable: 2n, user: 4n, noExecute: 1n << 63n }
const access = {
  code64: 0xa0fb,
  code32: 0xc0fb,
  data: 0xc0f3,
  readOnly: 0x40f5,
  kernelCode: 0xa09b,
  kernelData: 0xc093,
  tss: 0x8b,
  ldt: 0x82,
}
const ldtAccess = { code16: 0x00fb, data16: 0x00f3 }
const flat = 0xffff_ffff
const BUDGET = 300_000
/** Stands for a triple fault. */
const SHUTDOWN = 254

/** Linux's CR0 and CR4 as far as they touch CPL 3; no alignment check, which our processor does not have. */
const CR0 = 0x8001_0033n
const CR4 = 0x1_0620n
const EFER = 0xd01n

export function openOurs(hello: Hello, features: ReadonlySet<Feature> | undefined): Ours {
  const physBytes = 1 << 20
  const { memory, processor } = createMachine({
    physBytes,
    environment: { now: () => 0n, tsc: () => 0n, random: () => 0n },
  })
  const { core } = processor
  if (features !== undefined) {
    Object.defineProperty(core, 'hasFeature', { value: (name: string) => name === 'base' || features.has(name as Feature) })
  }
  const { state } = core
  const base = memory.physBase
  let free = 0x1000
  const allocate = (pages: number): number => {
    const at = free
    free += pages * PAGE
    return at
  }
  const put64 = (at: number, value: bigint): void => memory.view.setBigUint64(base + at, value, true)
  const get64 = (at: number): bigint => memory.view.getBigUint64(base + at, true)

  const root = allocate(1)
  function map(linear: bigint, physical: number, rights: bigint): void {
    let table = root
    for (const shift of [39n, 30n, 21n]) {
      const entry = table + 8 * Number((linear >> shift) & 0x1ffn)
      if (get64(entry) === 0n) put64(entry, BigInt(allocate(1)) | RIGHTS.present | RIGHTS.writable | RIGHTS.user)
      table = Number(get64(entry) & 0xf_ffff_f000n)
    }
    put64(table + 8 * Number((linear >> 12n) & 0x1ffn), BigInt(physical) | RIGHTS.present | rights)
  }

  const codeAt = allocate(code.pages)
  const imagePages = allocate(imageSize / PAGE)
  const systemAt = allocate(SYSTEM_PAGES)
  regions.forEach((region, i) => {
    if ((hello.mapped & (1 << i)) === 0) return
    const at = region === code ? codeAt : imagePages + imageOffsetOf(region)
    for (let page = 0; page < region.pages; page++) {
      const rights = RIGHTS.user | (region.writable ? RIGHTS.writable : 0n) | (region.executable ? 0n : RIGHTS.noExecute)
      map(region.address + BigInt(page * PAGE), at + page * PAGE, rights)
    }
  })
  for (let page = 0; page < SYSTEM_PAGES; page++) map(SYSTEM + BigInt(page * PAGE), systemAt + page * PAGE, RIGHTS.writable)

  writeSystemTables((at, words) => words.forEach((word, i) => memory.view.setUint32(base + systemAt + at + 4 * i, word, true)))
  memory.u8.fill(0xf4, base + systemAt + STUBS, base + systemAt + STUBS + 256)
  memory.u8.fill(0xcc, base + codeAt, base + codeAt + code.pages * PAGE)

  const fx = new Uint8Array(512)
  const fxView = new DataView(fx.buffer)

  function setSegment(index: number, selector: number, segmentBase: bigint, limit: number, rights: number): void {
    state.segSelector.set(index, selector)
    state.segBase.set(index, segmentBase)
    state.segLimit.set(index, limit)
    state.segAccess.set(index, rights)
  }

  function setSegments(test: TestCase): void {
    const { mode } = test
    const unusable = 1 << 16
    for (const index of [0, 2, 3, 4, 5]) setSegment(index, USER_DATA, 0n, flat, access.data)
    if (mode === 64) {
      setSegment(1, USER_CODE_64, 0n, flat, access.code64)
      setSegment(4, 0, test.fsBase, 0, unusable)
      setSegment(5, 0, test.gsBase, 0, unusable)
    } else if (mode === 32) setSegment(1, USER_CODE_32, 0n, flat, access.code32)
    else {
      setSegment(1, 0x07, code.address, 0xffff, ldtAccess.code16)
      setSegment(2, 0x0f, stack.address, 0xfff, ldtAccess.data16)
      for (const index of [0, 3, 4, 5]) setSegment(index, 0x17, data.address, 0x2fff, ldtAccess.data16)
    }
  }

  function start(test: TestCase): void {
    state.cr0 = CR0
    state.cr3 = BigInt(root)
    state.cr4 = CR4
    state.efer = EFER
    state.cpl = 3
    setSegments(test)
    setSegment(6, 0x50, SYSTEM + BigInt(LDT), 0x17, access.ldt)
    setSegment(7, 0x40, SYSTEM + BigInt(TSS), 0x67, access.tss)
    state.gdtrBase = SYSTEM + BigInt(GDT)
    state.gdtrLimit = 0x7f
    state.idtrBase = SYSTEM + BigInt(IDT)
    state.idtrLimit = 0xfff
    test.gpr.forEach((value, i) => state.gpr.set(i, value))
    const flags = test.rflags
    const carry = flags & 1
    state.flagAux =
      ((carry << 31) |
        ((carry ^ ((flags >>> 11) & 1)) << 30) |
        ((flags >>> 1) & 8) |
        ((flags >>> 7) & 1) |
        ((~flags & 4) << 6)) >>>
      0
    state.flagResult = BigInt((~flags & 0x40) << 2)
    state.flagsSystem = flags & ~0x8d5
    state.rip = startOf(test)
    state.activity = 0
    state.interruptibility = 0
    fx.fill(0)
    writeFxImage(fxView, 0, test.fp)
    processor.registers.loadFxState(fx)
  }

  /** From the frame that the exception pushed. */
  function outcome(image: Uint8Array): Outcome {
    const vector = Number(state.rip - SYSTEM) - 1
    const coded = Exception.hasErrorCode(vector)
    const frame = base + systemAt + PAGE + STACK_TOP - 40
    const word = (n: number): bigint => memory.view.getBigUint64(frame + 8 * n, true)
    const gpr = Array.from({ length: 16 }, (_, i) => state.gpr.get(i))
    gpr[4] = word(3)
    const selectors = Array.from({ length: 6 }, (_, i) => state.segSelector.get(i))
    selectors[1] = Number(word(1))
    selectors[2] = Number(word(4))
    processor.registers.saveFxState(fx)
    return {
      vector,
      errorCode: coded ? Number(word(-1)) : 0,
      cr2: state.cr2,
      rip: word(0),
      rflags: Number(word(2)),
      fsBase: state.segBase.get(4),
      gsBase: state.segBase.get(5),
      gpr,
      selectors,
      fp: readFxImage(fxView, 0),
      memory: changes(image),
    }
  }

  function changes(image: Uint8Array): Map<number, bigint> {
    const memoryAt = base + imagePages
    const changed = new Map<number, bigint>()
    if (Buffer.compare(image, memory.u8.subarray(memoryAt, memoryAt + imageSize)) === 0) return changed
    const was = new Uint32Array(image.buffer, image.byteOffset, image.byteLength / 4)
    const now = memory.u32.subarray(memoryAt >> 2, (memoryAt + imageSize) >> 2)
    for (let i = 0; i < was.length; i += 2) {
      if (was[i] !== now[i] || was[i + 1] !== now[i + 1]) changed.set(i >> 1, (BigInt(now[i + 1]!) << 32n) | BigInt(now[i]!))
    }
    return changed
  }

  return {
    run(image, test) {
      const text = codeOf(test)
      memory.u8.set(image, base + imagePages)
      for (const { offset, bytes } of test.patches) memory.u8.set(bytes, base + imagePages + offset)
      memory.u8.set(text, base + codeAt + test.codeOffset)
      core.engine.written(codeAt + test.codeOffset, text.length)
      core.engine.written(imagePages, imageSize)
      start(test)
      core.modeChanged()
      core.flushTlb(true)
      let crashed = false
      try {
        for (let left = BUDGET; state.activity === 0 && left > 0; left -= 2000) core.run(2000)
      } catch {
        crashed = true
      }
      const result = outcome(image)
      if (crashed) result.vector = CRASH
      else if (state.activity !== 1) result.vector = state.activity === 0 ? TIMEOUT : SHUTDOWN
      memory.u8.fill(0xcc, base + codeAt + test.codeOffset, base + codeAt + test.codeOffset + text.length)
      core.engine.written(codeAt + test.codeOffset, text.length)
      return result
    },
  }
}

function imageOffsetOf(region: (typeof regions)[number]): number {
  let at = 0
  for (const each of imageRegions) {
    if (each === region) return at
    at += each.pages * PAGE
  }
  throw new Error(`no image of ${region.name}`)
}

function writeSystemTables(put: (at: number, words: readonly number[]) => void): void {
  const segment = (selector: number, rights: number): void => put(GDT + (selector & ~7), encodeDescriptor(0, flat, rights))
  segment(0x08, 0xc09b)
  segment(0x10, access.kernelCode)
  segment(0x18, access.kernelData)
  segment(USER_CODE_32, access.code32)
  segment(USER_DATA, access.data)
  segment(USER_CODE_64, access.code64)
  // Linux keeps the number of the processor in the limit of this one.
  put(GDT + 0x78, encodeDescriptor(0, 0, access.readOnly))
  const wide = (selector: number, at: number, limit: number, rights: number): void => {
    const address = SYSTEM + BigInt(at)
    put(GDT + selector, [...encodeDescriptor(Number(address & 0xffff_ffffn), limit, rights), Number(address >> 32n), 0])
  }
  wide(0x40, TSS, 0x67, access.tss)
  wide(0x50, LDT, 0x17, access.ldt)
  put(TSS + 4, [Number(stackAt & 0xffff_ffffn), Number(stackAt >> 32n)])
  put(TSS + 0x64, [0x68 << 16])
  const local = (n: number, at: bigint, limit: number, rights: number): void =>
    put(LDT + 8 * n, encodeDescriptor(Number(at), limit, rights))
  local(0, code.address, 0xffff, ldtAccess.code16)
  local(1, stack.address, 0xfff, ldtAccess.data16)
  local(2, data.address, 0x2fff, ldtAccess.data16)
  const open = new Set([3, 4])
  for (let vector = 0; vector < 32; vector++) {
    const gate = encodeGate(0x10, Number((SYSTEM + BigInt(STUBS + vector)) & 0xffff_ffffn), open.has(vector) ? 0xee : 0x8e)
    put(IDT + 16 * vector, [...gate, Number(SYSTEM >> 32n), 0])
  }
}

/** What the processor behind `hello` announces. */
export function announced(hello: Hello): Set<Feature> {
  const has = Object.entries(cpuidBits).filter(([, { leaf, subleaf, register, bit }]) => {
    const words = hello.cpuid.get(`${leaf}:${subleaf}`)
    return words !== undefined && ((words[register] >>> bit) & 1) !== 0
  })
  return new Set(has.map(([name]) => name as Feature))
}
