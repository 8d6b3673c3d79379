import type { CpuEvent, GuestFault, VmExit } from './events.ts'

/**
 * What VMX non-root operation changes [SDM3 26 "VMX Non-Root Operation"]. Microcode asks `cpu.nonRoot` (undefined in root
 * operation and outside VMX) at the place of an instruction's operation where the manual puts the intercept. A method either
 * returns, or throws `VmExit`. Implemented by the VMX part over the current VMCS.
 */
export interface NonRoot {
  /** Instructions that exit by a control or always; `name` is the mnemonic (CPUID, HLT, INVD, WBINVD, INVLPG, INVPCID, RDTSC, RDTSCP, RDPMC, PAUSE, MONITOR, MWAIT, RDRAND, RDSEED, XSETBV, GETSEC, RSM, VMCALL, VMXON, ..., SGDT, LGDT, SLDT, LTR, ...). */
  instruction(name: string, qualification?: bigint): void
  /** The exit is returned, because I/O exits are frequent and a throw is dear. */
  io(
    port: number,
    size: 1 | 2 | 4,
    direction: 'in' | 'out',
    string: boolean,
    rep: boolean,
    immediate: boolean,
  ): VmExit | undefined
  readMsr(index: number): void
  writeMsr(index: number): void
  /** MOV to CR0/CR3/CR4/CR8, CLTS, LMSW. Returns the value that the register takes (masks and shadows applied), for CR8 see TPR shadow. */
  writeCr(cr: 0 | 3 | 4 | 8, value: bigint, gpr: number, access: 'mov' | 'clts' | 'lmsw', current: bigint): bigint
  /** MOV from CR, SMSW. Returns what the guest sees. */
  readCr(cr: 0 | 3 | 4 | 8, gpr: number, current: bigint): bigint
  movDr(dr: number, direction: 'to' | 'from', gpr: number): void
  /** Before an exception is delivered: by the exception bitmap and the page-fault masks. */
  exception(fault: GuestFault, cr2: bigint | undefined): void
  taskSwitch(selector: number, source: 'call' | 'iret' | 'jmp' | 'gate'): void
  tripleFault(): void
  /** An event was being delivered through the IDT when something exits: recorded as IDT-vectoring information. */
  delivering: CpuEvent | undefined
  /** Added to RDTSC, RDTSCP and reads of IA32_TIME_STAMP_COUNTER. */
  readonly tscOffset: bigint
  /** Something waits for an instruction boundary (interrupt or NMI window, preemption timer, monitor trap flag). */
  readonly watching: boolean
  /** Each instruction is followed by a boundary (monitor trap flag). */
  readonly singleStep: boolean
  /** Called by the engine at instruction boundaries while `watching`: at entry and after each microcoded instruction. Throws VmExit when its condition holds. */
  boundary(): void
  readonly unrestrictedGuest: boolean
  readonly ept: boolean
}
