import type { Memslot } from './memslots.ts'

/** What came of a fault that the hypervisor's tables caused. */
export type FaultOutcome =
  /** The tables have been completed: the guest tries again. */
  | 'retry'
  /** No memory, or a write to read-only memory: the instruction is emulated. */
  | 'emulate'
  /** The guest's own tables refuse: the guest's walker has the error code. */
  | 'guest-fault'

/** How guest memory is presented to the processor. One of them is active on a vCPU at any time. */
export interface Mmu {
  /** Makes the current VMCS use this MMU in the guest's present paging mode. */
  load(): void
  /** Another MMU takes over. */
  unload(): void
  handleEptViolation(gpa: number, qualification: number): FaultOutcome
  handlePageFault(linear: bigint, errorCode: number): FaultOutcome
  /** The guest loaded CR3. */
  cr3Loaded(): void
  invlpg(linear: bigint): void
  /** The guest's paging mode, its control bits or all of its translations have changed. */
  flush(): void
  /** Memory slots, or what they log, have changed. */
  slotsChanged(): void
  /** Pages of a slot must fault at their next write. */
  protectPages(slot: Memslot, firstPage: number, bitmap: Uint8Array): void
}
