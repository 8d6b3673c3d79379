/** An array of the CPU state: elements by index. */
export interface FpuElements<T> {
  get(index: number): T
  set(index: number, value: T): void
}

/** The fields of `cpuState` that floating-point microcode uses, under the same names. */
export interface FpuRegisters {
  readonly fpMant: FpuElements<bigint>
  readonly fpExp: FpuElements<number>
  fpControl: number
  fpStatus: number
  fpTop: number
  fpEmpty: number
  fpOpcode: number
  fpIp: bigint
  fpDp: bigint
  mxcsr: number
  readonly xmm: FpuElements<bigint>
  /** Vector operands and results of microcode: elements 6 and 7. */
  readonly scratch: FpuElements<bigint>
  readonly flagsSystem: number
  readonly cr0: bigint
  readonly cr4: bigint
  readonly efer: bigint
}

/** Facts of the instruction whose microcode runs. */
export interface FpuInstruction {
  readonly operandSize: 16 | 32 | 64
  readonly codeWidth: 16 | 32 | 64
  /** Address and opcode (its low eleven bits, as FOP has them) of the instruction. */
  readonly ip: bigint
  readonly opcode: number
  /** Effective address of the memory operand; absent without one. */
  readonly dataAddress?: bigint
}

/**
 * What floating-point microcode needs of the engine. Addresses are effective addresses in the segment of the instruction's
 * memory operand; `load`, `store` and `probe` do every check of the mode and leave by the engine's own road when one fails.
 */
export interface FpuMachine {
  readonly state: FpuRegisters
  readonly instruction: FpuInstruction
  load(address: bigint, size: 1 | 2 | 4 | 8): bigint
  store(address: bigint, size: 1 | 2 | 4 | 8, value: bigint): void
  /** Checks that `size` bytes can be read, or written, so that the accesses that follow can't fault. */
  probe(address: bigint, size: number, write: boolean): void
  /** The linear address of `address`, for alignment checks. */
  linear(address: bigint): bigint
  /** Raises an exception at the instruction. */
  fault(vector: number, errorCode?: number): never
}

/** Microcode by name: integer arguments of `Builder.microcode` in, its 64-bit results out. */
export type FpuMicrocode = (m: FpuMachine, args: readonly bigint[]) => readonly bigint[] | void
export type FpuMicrocodeTable = Readonly<Record<string, FpuMicrocode>>
