import { KvmFace, type Kvm } from '@guestmode/kvm-abi'
import { Engine } from './kvm.ts'
import type { KvmOptions } from './options.ts'

export { ConfigError } from './options.ts'
export type { CreateMachine, KvmOptions, Machine } from './options.ts'

export interface OpenKvm extends Kvm {
  /** The engine's clock, in nanoseconds: the one given, or virtual time. */
  readonly clock: { now(): bigint }
}

/** Opens /dev/kvm. Throws ConfigError for options that cannot be. */
export function openKvm(options: KvmOptions): OpenKvm {
  const engine = new Engine(options)
  return Object.assign(new KvmFace(engine), { clock: { now: () => engine.time.now() } })
}
