import type { Insn } from '@guestmode/x86'
import type { MachineMemory } from '../machine/memory.ts'
import type { GuestFault, VmExit } from './events.ts'
import type { NonRoot } from './non-root.ts'
import type { CpuStateView } from './state-view.ts'

/** Kinds of access to linear memory; combined by `|`. */
export const Access = {
  read: 0,
  write: 1,
  /** By CPL 3; without it a supervisor access (also the implicit ones, to descriptor tables and the TSS). */
  user: 2,
  fetch: 4,
  /** Implicit supervisor access: made whatever CPL is; SMAP has no AC override. */
  implicit: 8,
} as const

export type CpuidLeaf = { eax: number; ebx: number; ecx: number; edx: number }

/** What the processor's surroundings supply. */
export interface Environment {
  /** Nanoseconds, monotonic. */
  now(): bigint
  /** Time-stamp counter ticks, before any VMX offset. */
  tsc(): bigint
  /** 64 random bits. */
  random(): bigint
  /** Port I/O in root operation or outside VMX (non-root I/O exits first). Absent: reads give ones. */
  portIn?(port: number, size: 1 | 2 | 4): number
  portOut?(port: number, size: 1 | 2 | 4, value: number): void
}

/** One logical processor, as microcode sees it. Implemented by `Processor`. */
export interface Cpu {
  readonly mem: MachineMemory
  readonly state: CpuStateView
  readonly environment: Environment
  readonly nonRoot: NonRoot | undefined
  /** RIP after this instruction. `state.rip` is at the instruction while its microcode runs; microcode that transfers control assigns `nextRip`. */
  nextRip: bigint

  /** Linear memory with translation and checks of paging; throws GuestFault(14) after setting CR2, or VmExit. Access crossing a page is atomic in its faults. */
  read(linear: bigint, size: 1 | 2 | 4 | 8, access: number): bigint
  write(linear: bigint, size: 1 | 2 | 4 | 8, value: bigint, access: number): void
  /** Checks that a write would succeed (both pages). */
  probeWrite(linear: bigint, size: number, access: number): void

  /** Must be called after a change of CR0, CR3, CR4, EFER, CPL, or a segment register: recomputes what the engine caches of it. */
  modeChanged(): void
  /** Drops cached translations. Without an address: all (`global`: also global ones). */
  flushTlb(global: boolean): void
  invalidatePage(linear: bigint): void

  /** CPUID as announced by the machine (in root operation; in non-root CPUID always exits). */
  cpuid(leaf: number, subleaf: number): CpuidLeaf
  /** Features by the names of the decode rows ('sse2', ...). */
  hasFeature(name: string): boolean
}

/** A VM exit may be returned instead of thrown. */
export type Microcode = (cpu: Cpu, insn: Insn) => VmExit | void
export type { GuestFault }
