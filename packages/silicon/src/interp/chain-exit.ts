/** Why a chain of handlers returned to TypeScript (`state.chainExit`); 0 while it runs. */
export const ChainExit = {
  none: 0,
  /** The instruction budget is used up; `rip` is at the next instruction. */
  budget: 1,
  /** The instruction in `record` faulted or caused a VM exit: it waits in the engine. */
  trap: 2,
  /** The engine asked for attention between two instructions; `rip` is at the next one. */
  boundary: 3,
} as const
