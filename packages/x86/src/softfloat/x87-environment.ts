import type { FpuMachine, FpuMicrocode, FpuMicrocodeTable } from './machine.ts'
import { Kind, unpackExtended } from './number.ts'
import { BUSY, ES } from './x87.ts'

const MXCSR_MASK = 0xffff

/** ES and B follow from flags and masks. */
export function updateSummary(m: FpuMachine): void {
  const { state } = m
  const pending = (state.fpStatus & ~state.fpControl & 0x3f) !== 0
  state.fpStatus = pending ? state.fpStatus | ES | BUSY : state.fpStatus & ~(ES | BUSY)
}

/** Bit 6 reads as one, bits 7 and 13..15 as zero. */
export const controlWord = (value: number): number => (value & 0x1f7f) | 0x40
const statusWord = (m: FpuMachine): number => (m.state.fpStatus & 0xc7ff) | (m.state.fpTop << 11)

function setStatusWord(m: FpuMachine, value: number): void {
  m.state.fpTop = (value >> 11) & 7
  m.state.fpStatus = value & 0xc7ff
}

/** Two bits per physical register: valid, zero, special, empty. [SDM1 8.1.7 "x87 FPU Tag Word"] */
function tagWord(m: FpuMachine): number {
  const { state } = m
  let tags = 0
  for (let i = 0; i < 8; i++) {
    const n = unpackExtended(state.fpMant.get(i), state.fpExp.get(i))
    const full = n.kind === Kind.zero ? 1 : n.kind === Kind.finite && !n.denormal ? 0 : 2
    tags |= ((state.fpEmpty >> i) & 1 ? 3 : full) << (2 * i)
  }
  return tags
}

function setTagWord(m: FpuMachine, tags: number): void {
  let empty = 0
  for (let i = 0; i < 8; i++) if (((tags >> (2 * i)) & 3) === 3) empty |= 1 << i
  m.state.fpEmpty = empty
}

function initialize(m: FpuMachine): void {
  const { state } = m
  state.fpControl = 0x37f
  state.fpStatus = 0
  state.fpTop = 0
  state.fpEmpty = 0xff
  state.fpOpcode = 0
  state.fpIp = 0n
  state.fpDp = 0n
}

const realFormat = (m: FpuMachine): boolean => (m.state.cr0 & 1n) === 0n || (m.state.flagsSystem & 0x2_0000) !== 0

/** Size of the environment, by operand size. */
const environmentSize = (m: FpuMachine): number => (m.instruction.operandSize === 16 ? 14 : 28)

/** [SDM1 Figures 8-9 to 8-12 "x87 FPU State Image in Memory"] Selectors are stored as zeros: CPUID deprecates them (FPCSDS). */
function storeEnvironment(m: FpuMachine, address: bigint): void {
  const { state } = m
  const small = m.instruction.operandSize === 16
  const real = realFormat(m)
  const ip = Number(state.fpIp & 0xffff_ffffn)
  const dp = Number(state.fpDp & 0xffff_ffffn)
  const opcode = state.fpOpcode & 0x7ff
  const words = [state.fpControl, statusWord(m), tagWord(m)]
  if (small) {
    words.push(ip & 0xffff, real ? ((ip >>> 4) & 0xf000) | opcode : 0)
    words.push(dp & 0xffff, real ? (dp >>> 4) & 0xf000 : 0)
  } else {
    for (let i = 0; i < 3; i++) words[i] = (words[i]! | 0xffff_0000) >>> 0
    if (real) words.push((0xffff_0000 | ip) >>> 0, ((ip >>> 16) << 12) | opcode, (0xffff_0000 | dp) >>> 0, (dp >>> 16) << 12)
    else words.push(ip, opcode << 16, dp, 0xffff_0000)
  }
  const size = small ? 2 : 4
  words.forEach((word, i) => m.store(address + BigInt(i * size), size, BigInt(word)))
}

function loadEnvironment(m: FpuMachine, address: bigint): void {
  const { state } = m
  const small = m.instruction.operandSize === 16
  const size = small ? 2 : 4
  const words = Array.from({ length: 7 }, (_, i) => Number(m.load(address + BigInt(i * size), size)))
  const [control, status, tags, w3, w4, w5, w6] = words as [number, number, number, number, number, number, number]
  const real = realFormat(m)
  const high = (word: number): number => (small ? (word & 0xf000) << 4 : ((word >>> 12) & 0xffff) << 16)
  state.fpControl = controlWord(control)
  setStatusWord(m, status)
  setTagWord(m, tags)
  const ip = real ? ((w3 & 0xffff) | high(w4)) >>> 0 : w3
  const dp = real ? ((w5 & 0xffff) | high(w6)) >>> 0 : w5
  state.fpIp = BigInt(ip)
  state.fpDp = BigInt(dp)
  if (real) state.fpOpcode = w4 & 0x7ff
  else state.fpOpcode = small ? 0 : (w4 >>> 16) & 0x7ff
  updateSummary(m)
}

function storeRegister(m: FpuMachine, i: number, address: bigint): void {
  const r = (m.state.fpTop + i) & 7
  m.store(address, 8, m.state.fpMant.get(r))
  m.store(address + 8n, 2, BigInt(m.state.fpExp.get(r)))
}

function loadRegister(m: FpuMachine, i: number, address: bigint): void {
  const r = (m.state.fpTop + i) & 7
  m.state.fpMant.set(r, m.load(address, 8))
  m.state.fpExp.set(r, Number(m.load(address + 8n, 2)))
}

const fnstenv: FpuMicrocode = (m, [address]) => {
  m.probe(address!, environmentSize(m), true)
  storeEnvironment(m, address!)
  m.state.fpControl |= 0x3f
  updateSummary(m)
}

const fldenv: FpuMicrocode = (m, [address]) => {
  m.probe(address!, environmentSize(m), false)
  loadEnvironment(m, address!)
}

const fnsave: FpuMicrocode = (m, [address]) => {
  const size = environmentSize(m)
  m.probe(address!, size + 80, true)
  storeEnvironment(m, address!)
  for (let i = 0; i < 8; i++) storeRegister(m, i, address! + BigInt(size + 10 * i))
  initialize(m)
}

const frstor: FpuMicrocode = (m, [address]) => {
  const size = environmentSize(m)
  m.probe(address!, size + 80, false)
  loadEnvironment(m, address!)
  for (let i = 0; i < 8; i++) loadRegister(m, i, address! + BigInt(size + 10 * i))
}

/** [SDM1 10.5.1 "FXSAVE Area"]; `wide` is REX.W in 64-bit code. */
function checkFxArea(m: FpuMachine, address: bigint, write: boolean): { wide: boolean; vectors: number } {
  if (m.linear(address) & 15n) m.fault(13, 0)
  m.probe(address, 512, write)
  const long = m.instruction.codeWidth === 64
  return { wide: long && m.instruction.operandSize === 64, vectors: (m.state.cr4 & 0x200n) === 0n ? 0 : long ? 16 : 8 }
}

const fxsave: FpuMicrocode = (m, [base]) => {
  const { state } = m
  const { wide, vectors } = checkFxArea(m, base!, true)
  const at = (offset: number): bigint => base! + BigInt(offset)
  m.store(at(0), 2, BigInt(state.fpControl))
  m.store(at(2), 2, BigInt(statusWord(m)))
  m.store(at(4), 2, BigInt(~state.fpEmpty & 0xff))
  m.store(at(6), 2, BigInt(state.fpOpcode & 0x7ff))
  m.store(at(8), 8, wide ? state.fpIp : state.fpIp & 0xffff_ffffn)
  m.store(at(16), 8, wide ? state.fpDp : state.fpDp & 0xffff_ffffn)
  m.store(at(24), 4, BigInt(state.mxcsr))
  m.store(at(28), 4, BigInt(MXCSR_MASK))
  for (let i = 0; i < 8; i++) {
    storeRegister(m, i, at(32 + 16 * i))
    m.store(at(42 + 16 * i), 2, 0n)
    m.store(at(44 + 16 * i), 4, 0n)
  }
  for (let i = 0; i < vectors; i++) {
    m.store(at(160 + 16 * i), 8, state.xmm.get(i) & 0xffff_ffff_ffff_ffffn)
    m.store(at(168 + 16 * i), 8, state.xmm.get(i) >> 64n)
  }
}

const fxrstor: FpuMicrocode = (m, [base]) => {
  const { state } = m
  const { wide, vectors } = checkFxArea(m, base!, false)
  const at = (offset: number): bigint => base! + BigInt(offset)
  const mxcsr = Number(m.load(at(24), 4))
  if (vectors) {
    if (mxcsr & ~MXCSR_MASK) m.fault(13, 0)
    state.mxcsr = mxcsr
  }
  state.fpControl = controlWord(Number(m.load(at(0), 2)))
  setStatusWord(m, Number(m.load(at(2), 2)))
  state.fpEmpty = ~Number(m.load(at(4), 1)) & 0xff
  state.fpOpcode = Number(m.load(at(6), 2)) & 0x7ff
  const ip = m.load(at(8), 8)
  const dp = m.load(at(16), 8)
  state.fpIp = wide ? ip : ip & 0xffff_ffffn
  state.fpDp = wide ? dp : dp & 0xffff_ffffn
  updateSummary(m)
  for (let i = 0; i < 8; i++) loadRegister(m, i, at(32 + 16 * i))
  for (let i = 0; i < vectors; i++) state.xmm.set(i, m.load(at(160 + 16 * i), 8) | (m.load(at(168 + 16 * i), 8) << 64n))
}

export const environmentMicrocode: FpuMicrocodeTable = { fnstenv, fldenv, fnsave, frstor, fxsave, fxrstor, fninit: initialize }
