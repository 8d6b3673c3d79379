import { cpuState, type Field, type FieldSpec } from '@guestmode/x86'
import type { MachineMemory } from '../machine/memory.ts'

/** An array field: elements by index. */
export interface Elements<T> {
  get(index: number): T
  set(index: number, value: T): void
}

type Scalar<S extends FieldSpec> = S['type'] extends 'u64' | 'v128' ? bigint : number
type Access<S extends FieldSpec> = S['count'] extends 1 ? Scalar<S> : Elements<Scalar<S>>

type StateSpecs = typeof cpuState.specs

/** Typed access to a CPU state in linear memory: 64 and 128-bit fields are bigint, narrower ones are numbers. */
export type CpuStateView = { -readonly [Name in keyof StateSpecs]: Access<StateSpecs[Name]> } & { readonly base: number }

const mask64 = (1n << 64n) - 1n

function reader(mem: MachineMemory, base: number, { type, offset, size }: Field): (i: number) => number | bigint {
  const at = base + offset
  switch (type) {
    case 'u8':
      return (i) => mem.u8[at + i]!
    case 'u16':
      return (i) => mem.u16[(at >> 1) + i]!
    case 'u32':
      return (i) => mem.u32[(at >> 2) + i]!
    case 'u64':
      return (i) => mem.u64[(at >> 3) + i]!
    case 'v128':
      return (i) => mem.u64[(at + i * size) >> 3]! | (mem.u64[((at + i * size) >> 3) + 1]! << 64n)
  }
}

function writer(mem: MachineMemory, base: number, { type, offset, size }: Field): (i: number, value: never) => void {
  const at = base + offset
  switch (type) {
    case 'u8':
      return (i, value: number) => void (mem.u8[at + i] = value)
    case 'u16':
      return (i, value: number) => void (mem.u16[(at >> 1) + i] = value)
    case 'u32':
      return (i, value: number) => void (mem.u32[(at >> 2) + i] = value)
    case 'u64':
      return (i, value: bigint) => void (mem.u64[(at >> 3) + i] = value)
    case 'v128':
      return (i, value: bigint) => {
        mem.u64[(at + i * size) >> 3] = value & mask64
        mem.u64[((at + i * size) >> 3) + 1] = value >> 64n
      }
  }
}

/** A view of the CPU state at linear-memory offset `base` (16-byte aligned). */
export function createStateView(mem: MachineMemory, base: number): CpuStateView {
  const view = { base }
  for (const field of Object.values(cpuState.fields) as Field[]) {
    const get = reader(mem, base, field)
    const set = writer(mem, base, field)
    Object.defineProperty(
      view,
      field.name,
      field.count === 1
        ? { get: () => get(0), set: (value) => set(0, value as never), enumerable: true }
        : { value: { get, set }, enumerable: true },
    )
  }
  return view as CpuStateView
}
