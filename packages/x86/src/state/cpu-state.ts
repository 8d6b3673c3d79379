import { array, layout, u32, u64 } from './layout.ts'

/**
 * The state of one logical processor, in linear memory.
 *
 * Order matters in two places: `gpr` stands first, so that register operands have the smallest offsets; `zero` is never
 * written, and stands in for an absent base or index register and for the base of a flat segment.
 */
export const cpuState = layout({
  /** RAX RCX RDX RBX RSP RBP RSI RDI R8..R15. A 32-bit write clears the upper half, in every mode. */
  gpr: array('u64', 16),
  zero: u64,

  /** RIP of the next instruction. Inside a chain of handlers it is stale: RIP is `ripBase` + the record's page offset. */
  rip: u64,
  /** RIP that corresponds to offset 0 of the code page in execution: RIP - (linear address & 0xfff). */
  ripBase: u64,

  /**
   * Arithmetic flags, kept as the last result and the vector of carries out of it:
   *   ZF = flagResult == 0          (flagResult is the result sign-extended to 64 bits)
   *   SF = flagResult < 0  ^ flagAux[0]
   *   PF = even parity of (flagResult[7:0] ^ flagAux[15:8])
   *   CF = flagAux[31], OF = flagAux[31] ^ flagAux[30], AF = flagAux[3]
   */
  flagResult: u64,
  flagAux: u32,
  /** RFLAGS without the six arithmetic flags; bit 1 is always set. */
  flagsSystem: u32,

  /** Indexed by segment number: ES CS SS DS FS GS LDTR TR. */
  segBase: array('u64', 8),
  segLimit: array('u32', 8),
  /** Access rights in the VMCS format [SDM3 25.4.1 "Guest Register State"]; bit 16 = unusable. */
  segAccess: array('u32', 8),
  segSelector: array('u32', 8),
  gdtrBase: u64,
  idtrBase: u64,
  gdtrLimit: u32,
  idtrLimit: u32,

  cr0: u64,
  cr2: u64,
  cr3: u64,
  cr4: u64,
  cr8: u64,
  xcr0: u64,
  efer: u64,
  dr: array('u64', 8),
  cpl: u32,
  /** Width of code by CS.L and CS.D: 16, 32 or 64. */
  codeWidth: u32,
  /** Width of the stack pointer: 16, 32 or 64. */
  stackWidth: u32,
  /** Non-zero when an x87/MMX (bit 0: CR0.EM or TS), or SSE (bit 1: CR0.EM, TS or !CR4.OSFXSR) instruction must take the slow road to a fault. */
  fpuTrap: u32,

  star: u64,
  lstar: u64,
  cstar: u64,
  sfmask: u64,
  kernelGsBase: u64,
  sysenterCs: u64,
  sysenterEsp: u64,
  sysenterEip: u64,
  tscAux: u64,
  pat: u64,
  apicBase: u64,
  debugctl: u64,
  miscEnable: u64,

  /** x87: physical registers (not relative to TOP). MMX registers are their significands. */
  fpMant: array('u64', 8),
  /** Sign (bit 15) and biased exponent of each physical register. */
  fpExp: array('u16', 8),
  fpControl: u32,
  /** Status word without TOP. */
  fpStatus: u32,
  fpTop: u32,
  /** Bit n set: physical register n is empty. */
  fpEmpty: u32,
  fpOpcode: u32,
  mxcsr: u32,
  fpIp: u64,
  fpDp: u64,
  xmm: array('v128', 16),

  /** Instructions that may still run before the chain of handlers must return. Signed. */
  budget: u32,
  /** Why a chain of handlers returned; see silicon's `ChainExit`. */
  chainExit: u32,
  /** Address of the record in execution, valid when a chain has called out or returned. */
  record: u32,
  /** Interruptibility in the VMCS format: bit 0 STI, bit 1 MOV SS, bit 2 SMI, bit 3 NMI [SDM3 25.4.2 "Guest Non-Register State"]. */
  interruptibility: u32,
  /** 0 active, 1 HLT, 2 shutdown, 3 wait-for-SIPI. */
  activity: u32,
  /** Pending debug exceptions in the VMCS format. */
  pendingDebug: u64,
  /** Instructions retired. */
  instructions: u64,

  /** Linear address and size of an access that is being resolved by TypeScript. */
  accessLinear: u64,
  accessSize: u32,
  /** Address (of a TLB) for data reads and writes, and of the jump cache, at the present privilege level. */
  tlbRead: u32,
  tlbWrite: u32,
  jumpCache: u32,
  /** Operands that cross two pages, or that must not be written in place, are moved through here. */
  scratch: array('v128', 8),
  /** Arguments and results of microcode that handlers call. */
  args: array('u64', 4),
})

export type CpuField = keyof typeof cpuState.fields
