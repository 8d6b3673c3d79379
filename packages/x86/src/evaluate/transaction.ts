import { cpuState, type CpuField } from '../state/cpu-state.ts'
import type { EvaluatorMachine, Refusal } from './machine.ts'

/** Thrown inside an evaluation to end it; `evaluate` turns it into a value. */
export class Stop extends Error {
  readonly result: Refusal | { readonly kind: 'unsupported' } | { readonly kind: 'jump'; readonly target: bigint }

  constructor(result: Stop['result']) {
    super(result.kind)
    this.result = result
  }
}

interface PendingStore {
  readonly linear: bigint
  readonly size: number
  readonly value: bigint
}

/** Reads of the machine, and writes that are held back until the instruction has ended without a fault. */
export class Transaction {
  private readonly machine: EvaluatorMachine
  private readonly fields = new Map<string, { field: CpuField; index: number; value: bigint }>()
  private readonly stores: PendingStore[] = []

  constructor(machine: EvaluatorMachine) {
    this.machine = machine
  }

  get(field: CpuField, index = 0): bigint {
    if (index < 0 || index >= cpuState.fields[field].count) throw new Error(`no element ${index} of ${field}`)
    return this.fields.get(`${field}${index}`)?.value ?? this.machine.get(field, index)
  }

  set(field: CpuField, index: number, value: bigint): void {
    this.fields.set(`${field}${index}`, { field, index, value })
  }

  load(linear: bigint, size: number, forWrite: boolean): bigint {
    const end = linear + BigInt(size)
    const earlier = this.stores.find((store) => store.linear < end && linear < store.linear + BigInt(store.size))
    if (earlier) throw new Error('an instruction reads what it has stored')
    const value = this.machine.load(linear, size, forWrite)
    if (typeof value !== 'bigint') throw new Stop(value)
    return value
  }

  store(linear: bigint, size: number, value: bigint): void {
    this.stores.push({ linear, size, value })
  }

  /** Memory first: a store may still be refused, and then no register has changed. */
  commit(): Refusal | undefined {
    for (const { linear, size, value } of this.stores) {
      const refusal = this.machine.store(linear, size, value)
      if (refusal) return refusal
    }
    for (const { field, index, value } of this.fields.values()) this.machine.set(field, index, value)
    return undefined
  }
}
