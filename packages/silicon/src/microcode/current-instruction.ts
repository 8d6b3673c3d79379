import { decode, SEG_CS, type Insn } from '@guestmode/x86'
import { Access, type Cpu } from '../cpu/cpu.ts'

/** The instruction at `state.rip`, for microcode that a handler has called by name: handlers keep no `Insn`. */
export interface CurrentInstruction {
  readonly insn: Insn
  readonly bytes: Uint8Array
}

interface Remembered extends CurrentInstruction {
  readonly width: number
}

/** By cpu: the last one, since the same instruction tends to come again. */
const last = new WeakMap<Cpu, Remembered>()

function readCode(cpu: Cpu, length: number): Uint8Array {
  const { state } = cpu
  const is64 = state.codeWidth === 64
  const kind = state.cpl === 3 ? Access.fetch | Access.user : Access.fetch
  const start = is64 ? state.rip : state.rip + state.segBase.get(SEG_CS)
  const bytes = new Uint8Array(length)
  for (let at = 0; at < length;) {
    const size = length - at >= 8 ? 8 : length - at >= 4 ? 4 : length - at >= 2 ? 2 : 1
    const value = cpu.read(BigInt.asUintN(is64 ? 64 : 32, start + BigInt(at)), size, kind)
    for (let i = 0; i < size; i++) bytes[at + i] = Number((value >> BigInt(8 * i)) & 0xffn)
    at += size
  }
  return bytes
}

/** `nextRip` is behind the instruction, so exactly its bytes are read. */
export function currentInstruction(cpu: Cpu): CurrentInstruction {
  const { state } = cpu
  const length = Number(BigInt.asUintN(32, cpu.nextRip - state.rip))
  const bytes = readCode(cpu, length)
  const known = last.get(cpu)
  if (known?.width === state.codeWidth && known.bytes.length === length && known.bytes.every((byte, i) => byte === bytes[i]))
    return known
  const width = state.codeWidth as 16 | 32 | 64
  const result = decode(bytes, 0, length, width)
  if (!result.ok) throw new Error('the instruction in execution does not decode')
  const found: Remembered = { insn: result.insn, bytes, width }
  last.set(cpu, found)
  return found
}
