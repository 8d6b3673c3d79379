import type { MachineMemory, MachineOptions, VirtualizingProcessor } from './machine.ts'

/** Host hardware: memory and a processor with VT-x. */
export interface Machine {
  readonly memory: MachineMemory
  readonly processor: VirtualizingProcessor
}

export type CreateMachine = (what: MachineOptions) => Machine

export interface KvmOptions {
  /** Nanoseconds, monotonic. */
  readonly clock: { now(): bigint }
  /** 64 random bits. */
  readonly random: () => bigint
  /** Host hardware; that of `@guestmode/silicon` unless told. */
  readonly createMachine?: CreateMachine
  /**
   * `nested`: guest-physical memory through EPT. `naive`: shadow page tables while the guest has paging on, freed whenever it flushes.
   */
  readonly mmu?: 'nested' | 'naive'
  /** 32: an i386 host, without long mode. */
  readonly hostWidth?: 32 | 64
  /** Sleeps until `deadline` on the engine's clock or until something happens to a device. Absent: KVM_RUN answers EINTR for a halted vCPU. */
  readonly wait?: (deadline: bigint | undefined) => 'event' | 'timeout'
  /** `host`: the clock given. Otherwise time is made of instructions, and does not depend on the host. */
  readonly timebase?: 'host' | { readonly instructionsPerMicrosecond: number }
  /** What a kernel would print in its log. */
  readonly log?: (message: string) => void
}

/** Options that cannot be; the message says what to change. */
export class ConfigError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'ConfigError'
  }
}
