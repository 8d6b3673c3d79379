import type { ModuleWriter, ValType } from '@guestmode/wasm-emit'

/** What generated code calls in TypeScript. Addresses and flags are i32; longer values pass through the CPU state. */
export interface HostCalls {
  /** Finds the record for `state.rip`, decoding if need be, and sets `ripBase`; 0 leaves the chain. */
  lookup(): number
  /** Links a relative branch to its target in the same page, at this page offset. */
  link(record: number, offset: number): void
  /** Runs a microcoded instruction and finds the next record; 0 leaves the chain. */
  microcode(record: number): number
  /** Resolve the access in `accessLinear`, `accessSize`: an address, or 0 after a fault. */
  readSlow(): number
  writeSlow(): number
  modifySlow(): number
  commit(): void
  /** Checks the access at offset `accessLinear` of a segment and replaces it by the linear address; sets chainExit on a fault. */
  segmentSlow(segment: number, write: number): void
  named(routine: number): number
  fault(vector: number, errorCode: number): void
  fpuFault(kind: number): void
  bulkString(record: number): void
}

const signatures: { readonly [Name in keyof HostCalls]: readonly [params: number, result: 0 | 1] } = {
  lookup: [0, 1],
  link: [2, 0],
  microcode: [1, 1],
  readSlow: [0, 1],
  writeSlow: [0, 1],
  modifySlow: [0, 1],
  commit: [0, 0],
  segmentSlow: [2, 0],
  named: [1, 1],
  fault: [2, 0],
  fpuFault: [1, 0],
  bulkString: [1, 0],
}

export type HostFunctions = { readonly [Name in keyof HostCalls]: number }

export const hostCallNames = Object.keys(signatures) as (keyof HostCalls)[]

export function importHostCalls(module: ModuleWriter): HostFunctions {
  const i32s = (n: number): ValType[] => new Array<ValType>(n).fill('i32')
  return Object.fromEntries(
    Object.entries(signatures).map(([name, [params, result]]) => [
      name,
      module.importFunction('host', name, module.type(i32s(params), i32s(result))),
    ]),
  ) as HostFunctions
}
