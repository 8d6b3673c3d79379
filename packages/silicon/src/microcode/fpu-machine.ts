import {
  fpuMicrocode,
  SEG_DS,
  SEG_FS,
  type FpuInstruction,
  type FpuMachine,
  type FpuRegisters,
  type MemOperand,
} from '@guestmode/x86'
import type { Cpu } from '../cpu/cpu.ts'
import { GuestFault } from '../cpu/events.ts'
import { currentInstruction } from './current-instruction.ts'
import { linearAddress } from './linear.ts'
import { readAccess, writeAccess } from './mode.ts'
import { effectiveAddress } from './operand.ts'

/** Microcode that semantic functions call by name: up to four integer arguments in, up to four 64-bit results out. */
export type NamedMicrocode = (cpu: Cpu, args: readonly bigint[]) => readonly bigint[]

/** What floating-point microcode sees of the processor. The instruction is looked at only when it is asked for. */
class Machine implements FpuMachine {
  readonly cpu: Cpu
  readonly state: FpuRegisters
  readonly instruction: FpuInstruction

  constructor(cpu: Cpu) {
    this.cpu = cpu
    this.state = cpu.state
    this.instruction = new Instruction(cpu)
  }

  private get segment(): number {
    return memoryOf(this.cpu)?.seg ?? SEG_DS
  }

  load(address: bigint, size: 1 | 2 | 4 | 8): bigint {
    const { cpu } = this
    return cpu.read(linearAddress(cpu, this.segment, this.wrap(address), size, false), size, readAccess(cpu))
  }

  store(address: bigint, size: 1 | 2 | 4 | 8, value: bigint): void {
    const { cpu } = this
    cpu.write(
      linearAddress(cpu, this.segment, this.wrap(address), size, true),
      size,
      BigInt.asUintN(size * 8, value),
      writeAccess(cpu),
    )
  }

  /** Images span two pages at the most: their first word and last byte tell, in this order on Intel's processors. */
  probe(address: bigint, size: number, write: boolean): void {
    const { cpu } = this
    const touch = (at: bigint, length: 1 | 2 | 4): void => {
      const linear = linearAddress(cpu, this.segment, this.wrap(at), length, write)
      if (write) cpu.probeWrite(linear, length, writeAccess(cpu))
      else cpu.read(linear, length, readAccess(cpu))
    }
    touch(address, currentInstruction(cpu).insn.operandSize === 16 ? 2 : 4)
    touch(address + BigInt(size - 1), 1)
  }

  linear(address: bigint): bigint {
    const { cpu, segment } = this
    const is64 = cpu.state.codeWidth === 64
    return BigInt.asUintN(is64 ? 64 : 32, address + (is64 && segment < SEG_FS ? 0n : cpu.state.segBase.get(segment)))
  }

  fault(vector: number, errorCode?: number): never {
    throw new GuestFault(vector, errorCode)
  }

  private wrap(address: bigint): bigint {
    return BigInt.asUintN(currentInstruction(this.cpu).insn.addressSize, address)
  }
}

class Instruction implements FpuInstruction {
  private readonly cpu: Cpu

  constructor(cpu: Cpu) {
    this.cpu = cpu
  }

  get operandSize(): 16 | 32 | 64 {
    return currentInstruction(this.cpu).insn.operandSize
  }
  get codeWidth(): 16 | 32 | 64 {
    return this.cpu.state.codeWidth as 16 | 32 | 64
  }
  get ip(): bigint {
    return this.cpu.state.rip
  }
  /** The low bits of the escape byte, and ModRM. */
  get opcode(): number {
    const { bytes } = currentInstruction(this.cpu)
    const escape = bytes.findIndex((byte) => (byte & 0xf8) === 0xd8)
    return escape < 0 ? 0 : ((bytes[escape]! & 7) << 8) | bytes[escape + 1]!
  }
  get dataAddress(): bigint {
    const memory = memoryOf(this.cpu)
    return memory === undefined ? this.cpu.state.fpDp : effectiveAddress(this.cpu, memory)
  }
}

function memoryOf(cpu: Cpu): MemOperand | undefined {
  for (const operand of currentInstruction(cpu).insn.operands) if (operand.kind === 'mem') return operand
  return undefined
}

const machines = new WeakMap<Cpu, Machine>()

export function fpuMachineOf(cpu: Cpu): FpuMachine {
  let machine = machines.get(cpu)
  if (machine === undefined) machines.set(cpu, (machine = new Machine(cpu)))
  return machine
}

export const fpuNamedMicrocode: Readonly<Record<string, NamedMicrocode>> = Object.fromEntries(
  Object.entries(fpuMicrocode).map(([name, routine]): [string, NamedMicrocode] => [
    name,
    (cpu, args) => routine(fpuMachineOf(cpu), args) ?? [],
  ]),
)
