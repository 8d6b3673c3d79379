import { codeOf, readFxImage, writeFxImage, type Outcome, type TestCase } from './case.ts'
import { code, CODE_START, imageSize, PAGE, regions } from './layout.ts'

/** The byte layouts that `native/runner.c` reads and writes. */

const MAGIC = 0x54464944
const HEADER_SIZE = 16 + 8 * 16
const TEST_SIZE = 192 + 512 + 128
const RESULT_SIZE = 192 + 416
const HELLO_SIZE = 8 + 5 * 16

export const MAX_CODE = 128

const PROTECTION = { read: 1, write: 2, execute: 4 }

function header(count: number): Uint8Array {
  const bytes = new Uint8Array(HEADER_SIZE)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, MAGIC, true)
  view.setUint32(4, count, true)
  view.setUint32(8, regions.length, true)
  view.setUint32(12, imageSize, true)
  regions.forEach(({ address, pages, writable, executable }, i) => {
    view.setBigUint64(16 + 16 * i, address, true)
    view.setUint32(24 + 16 * i, pages, true)
    const rights = PROTECTION.read | (writable ? PROTECTION.write : 0) | (executable ? PROTECTION.execute : 0)
    view.setUint32(28 + 16 * i, rights, true)
  })
  return bytes
}

function encodeCase(test: TestCase): Uint8Array {
  const patchBytes = test.patches.reduce((sum, { bytes }) => sum + 8 + ((bytes.length + 7) & ~7), 0)
  const out = new Uint8Array(TEST_SIZE + patchBytes)
  const view = new DataView(out.buffer)
  const text = codeOf(test)
  view.setUint32(0, test.mode, true)
  view.setUint32(4, text.length, true)
  view.setBigUint64(8, startOf(test), true)
  view.setBigUint64(16, BigInt(test.rflags), true)
  view.setBigUint64(24, test.fsBase, true)
  view.setBigUint64(32, test.gsBase, true)
  test.gpr.forEach((value, i) => view.setBigUint64(40 + 8 * i, value, true))
  view.setUint32(168, test.codeOffset, true)
  view.setUint32(172, patchBytes, true)
  writeFxImage(view, 192, test.fp)
  view.setUint32(192 + 28, 0xffff, true)
  out.set(text, 704)
  let at = TEST_SIZE
  for (const { offset, bytes } of test.patches) {
    view.setUint32(at, offset, true)
    view.setUint32(at + 4, bytes.length, true)
    out.set(bytes, at + 8)
    at += 8 + ((bytes.length + 7) & ~7)
  }
  return out
}

/** RIP of the first instruction. */
export function startOf({ mode, codeOffset }: Pick<TestCase, 'mode' | 'codeOffset'>): bigint {
  return mode === 16 ? BigInt(codeOffset) : code.address + BigInt(codeOffset)
}

export const DEFAULT_CODE_OFFSET = CODE_START

export function encodeBatch(image: Uint8Array, cases: readonly TestCase[]): Uint8Array {
  return Buffer.concat([header(cases.length), image, ...cases.map(encodeCase)])
}

export interface CpuidWords {
  readonly eax: number
  readonly ebx: number
  readonly ecx: number
  readonly edx: number
}

export interface Hello {
  /** One bit for each region that could be mapped. */
  readonly mapped: number
  /** 16-bit segments can be had. */
  readonly ldt: boolean
  /** By `leaf:subleaf`. */
  readonly cpuid: ReadonlyMap<string, CpuidWords>
}

export interface BatchResult {
  readonly hello: Hello | undefined
  /** Fewer than cases when the runner did not survive one. */
  readonly outcomes: Outcome[]
}

const cpuidLeaves = [
  [1, 0],
  [7, 0],
  [0xd, 1],
  [0x8000_0001, 0],
  [0x8000_0008, 0],
] as const

function decodeHello(view: DataView): Hello {
  const cpuid = new Map<string, CpuidWords>()
  cpuidLeaves.forEach(([leaf, subleaf], i) => {
    const at = 8 + 16 * i
    const word = (n: number): number => view.getUint32(at + 4 * n, true)
    cpuid.set(`${leaf}:${subleaf}`, { eax: word(0), ebx: word(1), ecx: word(2), edx: word(3) })
  })
  return { mapped: view.getUint32(0, true), ldt: view.getUint32(4, true) !== 0, cpuid }
}

export function decodeBatch(bytes: Uint8Array): BatchResult {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (bytes.length < HELLO_SIZE) return { hello: undefined, outcomes: [] }
  const outcomes: Outcome[] = []
  for (let at = HELLO_SIZE; at + RESULT_SIZE <= bytes.length;) {
    const changes = view.getUint32(at + 188, true)
    const end = at + RESULT_SIZE + 16 * changes
    if (end > bytes.length) break
    const memory = new Map<number, bigint>()
    for (let i = at + RESULT_SIZE; i < end; i += 16) memory.set(view.getUint32(i, true), view.getBigUint64(i + 8, true))
    outcomes.push({
      vector: view.getUint32(at, true),
      errorCode: view.getUint32(at + 4, true),
      cr2: view.getBigUint64(at + 8, true),
      rip: view.getBigUint64(at + 16, true),
      rflags: Number(view.getBigUint64(at + 24, true)),
      fsBase: view.getBigUint64(at + 32, true),
      gsBase: view.getBigUint64(at + 40, true),
      gpr: Array.from({ length: 16 }, (_, i) => view.getBigUint64(at + 48 + 8 * i, true)),
      selectors: Array.from({ length: 6 }, (_, i) => view.getUint16(at + 176 + 2 * i, true)),
      fp: readFxImage(view, at + 192),
      memory,
    })
    at = end
  }
  return { hello: decodeHello(view), outcomes }
}

export const codePages = code.pages * PAGE
