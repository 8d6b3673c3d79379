import type { CpuField } from '../state/cpu-state.ts'

/** An access that did not come about. */
export type Refusal =
  | { readonly kind: 'fault'; readonly vector: number; readonly errorCode?: number }
  /** Not possible now: evaluate the instruction again later. Nothing has changed. */
  | { readonly kind: 'retry' }

/** What one instruction is evaluated on. */
export interface EvaluatorMachine {
  /** An element of a field of `cpuState`, unsigned. `rip` is the address of the instruction to evaluate. */
  get(field: CpuField, index: number): bigint
  set(field: CpuField, index: number, value: bigint): void
  /** Little-endian bytes at a linear address; `forWrite` when a store to the same place will follow. */
  load(linear: bigint, size: number, forWrite: boolean): bigint | Refusal
  store(linear: bigint, size: number, value: bigint): Refusal | undefined
}

export type EvalResult =
  /** The state is changed, but for RIP, which becomes `nextIp`: this instruction's own while a repeated one has iterations left. */
  { readonly kind: 'done'; readonly nextIp: bigint } | Refusal | { readonly kind: 'unsupported'; readonly mnemonic: string }
