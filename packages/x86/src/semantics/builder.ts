import type { CpuField } from '../state/cpu-state.ts'

/**
 * The staging interface: a semantic function runs once against a `Builder` and records what its instruction does. The
 * interpreter generator, the compiler and the evaluator each implement it.
 *
 * Rule for every semantic function: reads, then compute, then write, then flags, so that a fault leaves nothing half done.
 */
export type Width = 1 | 8 | 16 | 32 | 64 | 128 | 'f32' | 'f64'

/** A value known when the instruction runs. Integers narrower than their container are kept zero-extended. */
export interface Val {
  readonly width: Width
}

/** A variable that may be assigned inside `if` and `loop`. */
export interface Var {
  readonly width: Width
  get(): Val
  set(value: Val): void
}

/**
 * An explicit operand, as far as it is known at staging. The interpreter knows a register's class but not its index; use
 * `index` only as a refinement (`undefined` = not known).
 */
export type StagedOperand =
  | {
      readonly kind: 'reg'
      readonly cls: 'gpr' | 'seg' | 'cr' | 'dr' | 'mmx' | 'xmm' | 'st' | 'tr'
      readonly width: number
      readonly slot: number
      readonly index: number | undefined
    }
  | { readonly kind: 'mem'; readonly width: number; readonly slot: number }
  | { readonly kind: 'imm'; readonly width: number; readonly slot: number }
  | { readonly kind: 'rel'; readonly width: number; readonly slot: number }
  | { readonly kind: 'far'; readonly width: number; readonly slot: number }

/** General register numbers as in the encodings. */
export const GPR = { RAX: 0, RCX: 1, RDX: 2, RBX: 3, RSP: 4, RBP: 5, RSI: 6, RDI: 7 } as const

export type Seg = 0 | 1 | 2 | 3 | 4 | 5
export type FlagName = 'cf' | 'pf' | 'af' | 'zf' | 'sf' | 'of'

export interface Flags {
  /** Flags of r = a + b or r = a + b + carry. */
  add(a: Val, b: Val, r: Val): void
  /** Flags of r = a - b or r = a - b - borrow. */
  sub(a: Val, b: Val, r: Val): void
  /** CF = OF = AF = 0, the rest by r. */
  logic(r: Val): void
  /** As add/sub with 1, CF kept. */
  inc(r: Val): void
  dec(r: Val): void
  /** ZF, SF, PF by `r`; CF and OF given; AF = 0. For shifts, MUL and the like. */
  result(r: Val, cf: Val, of: Val): void
  /** Changes only the flags named (each a width-1 value). */
  set(flags: Partial<Record<FlagName, Val>>): void
  get(flag: FlagName): Val
  /** The condition of Jcc, SETcc, CMOVcc: cc is the low four bits of the opcode. Width 1. */
  condition(cc: number): Val
  /** The six arithmetic flags in their RFLAGS places, width 32. */
  read(): Val
  /** Sets the six arithmetic flags from RFLAGS places. */
  write(flags: Val): void
}

export interface Subroutine {
  readonly name: string
  readonly params: readonly Width[]
  readonly results: readonly Width[]
  readonly body: (s: Builder, ...args: Val[]) => Val[]
}

/** Numeric WebAssembly operators that semantics may use directly, by their names in the WebAssembly specification, e.g. `f64.add`, `i32x4.sub`, `i8x16.swizzle`. */
export type WasmOp = string

export interface Builder {
  /** Facts known at staging. */
  readonly operandSize: 16 | 32 | 64
  readonly addressSize: 16 | 32 | 64
  readonly codeWidth: 16 | 32 | 64
  /** Width of the stack pointer; where it is not known, the field `stackWidth` of the CPU state decides when the instruction runs. */
  readonly stackWidth?: 16 | 32 | 64
  /** Condition code of Jcc, SETcc, CMOVcc. */
  readonly cc: number
  readonly rep: 0 | 0xf2 | 0xf3
  readonly lock: boolean

  // Integers. Operands of two-operand operations have the same width; the result has it too.
  const(width: Width, value: number | bigint): Val
  add(a: Val, b: Val): Val
  sub(a: Val, b: Val): Val
  mul(a: Val, b: Val): Val
  /** High half of the product: unsigned and signed. Widths 8..64. */
  mulHighU(a: Val, b: Val): Val
  mulHighS(a: Val, b: Val): Val
  /** Quotients and remainders; the caller has excluded division by zero and overflow. */
  divU(a: Val, b: Val): Val
  divS(a: Val, b: Val): Val
  remU(a: Val, b: Val): Val
  remS(a: Val, b: Val): Val
  and(a: Val, b: Val): Val
  or(a: Val, b: Val): Val
  xor(a: Val, b: Val): Val
  not(a: Val): Val
  neg(a: Val): Val
  /** Shifts: the amount may have any integer width; the caller has masked it to less than the width of `a`. */
  shl(a: Val, amount: Val): Val
  shr(a: Val, amount: Val): Val
  sar(a: Val, amount: Val): Val
  rotl(a: Val, amount: Val): Val
  rotr(a: Val, amount: Val): Val
  popcnt(a: Val): Val
  /** Count of leading / trailing zeros; the width of `a` when it is zero. Result has the width of `a`. */
  clz(a: Val): Val
  ctz(a: Val): Val
  bswap(a: Val): Val
  // Comparisons: result width 1. and/or/xor/not work on width 1 too.
  eq(a: Val, b: Val): Val
  ne(a: Val, b: Val): Val
  ltU(a: Val, b: Val): Val
  leU(a: Val, b: Val): Val
  ltS(a: Val, b: Val): Val
  leS(a: Val, b: Val): Val
  isZero(a: Val): Val
  /** c ? a : b; both are evaluated. */
  select(c: Val, a: Val, b: Val): Val
  zext(a: Val, width: Width): Val
  sext(a: Val, width: Width): Val
  /** Low bits. */
  trunc(a: Val, width: Width): Val
  /** Bit `n` (known at staging) as width 1. */
  bit(a: Val, n: number): Val

  // Floating point and vectors: direct WebAssembly operators. `lane` for *.extract_lane / replace_lane, `shuffle` for i8x16.shuffle.
  op(name: WasmOp, ...args: Val[]): Val
  lane(name: WasmOp, lane: number, ...args: Val[]): Val
  shuffle(a: Val, b: Val, lanes: readonly number[]): Val
  v128(bytes: readonly number[]): Val

  // Operands.
  read(operand: StagedOperand): Val
  /** Reads an operand that will be written: a memory operand is checked for writing first (a fault says "write"). */
  readForWrite(operand: StagedOperand): Val
  write(operand: StagedOperand, value: Val): void
  /** Effective address without the segment base, width addressSize. */
  address(operand: StagedOperand): Val
  /** The same operand in another width and displaced by a number of bytes (e.g. the selector of an m16:32, halves of m128). */
  at(operand: StagedOperand, byteOffset: number, width: Width): StagedOperand

  // Implicit registers and memory.
  gpr(index: number, width: 8 | 16 | 32 | 64): Val
  /** A 32-bit write clears the upper half; 8 and 16-bit writes keep the rest. */
  setGpr(index: number, value: Val): void
  /** AH: bits 15..8 of RAX (also CH, DH, BH by index 1..3). */
  gprHigh(index: number): Val
  setGprHigh(index: number, value: Val): void
  /** Segment-relative access with every check of the mode. `ea` has width addressSize or stack width. */
  load(seg: Seg | StagedOperand, ea: Val, width: Width): Val
  store(seg: Seg | StagedOperand, ea: Val, value: Val): void
  /** Fields of the CPU state; `index` selects the element of an array. Values have the field's width. */
  get(field: CpuField, index?: Val | number): Val
  set(field: CpuField, value: Val, index?: Val | number): void

  /** Stack, by the mode's stack width. `push` faults before RSP changes; `pop` is a read followed by the change of RSP. */
  push(value: Val): void
  pop(width: 16 | 32 | 64): Val

  readonly flags: Flags

  // Variables and structured control. Values made inside a branch must not be used outside it: carry them in a Var.
  local(initial: Val): Var
  if(condition: Val, then: () => void, otherwise?: () => void): void
  /** Repeats the body while the value it returns (width 1) is true. */
  loop(body: () => Val): void

  // Instruction flow.
  /** RIP of the next instruction, width 64. */
  nextIp(): Val
  /** Raises #GP(0) when `target` can't be RIP (64-bit code: not canonical); before an instruction that jumps there changes anything. */
  checkTarget(target: Val): void
  /** Ends the instruction by a near transfer to `target` (any width; masked to the operand size by the caller). Must be last, may stand in a branch. */
  jump(target: Val): void
  /** Near transfer to the target of a relative operand (known per instruction): may be chained directly. */
  jumpRelative(operand: StagedOperand): void
  /** Raises an exception at this instruction. Ends it. */
  fault(vector: number, errorCode?: Val): void
  /** Raises #UD, #NM by `fpuTrap`: call first in every x87/MMX ('x87') and SSE ('sse') instruction. 'x87' also raises a pending #MF. */
  requireFpu(kind: 'x87' | 'mmx' | 'sse'): void
  /** Calls a shared subroutine (emitted once). */
  call(sub: Subroutine, ...args: Val[]): Val[]
  /**
   * Calls microcode by name with up to four integer arguments; it runs in TypeScript over the same state, reads them from
   * `args` and may leave up to four 64-bit results there (width 64 each). It may fault, which ends the instruction.
   */
  microcode(name: string, args: readonly Val[], results: number): Val[]
}

/** What an instruction does. Operands arrive in the order of the decode row. */
export type Semantic = (s: Builder, ...operands: StagedOperand[]) => void
