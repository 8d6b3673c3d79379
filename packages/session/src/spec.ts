import type { BootConfig, CpuModel } from '@guestmode/devmodel'
import type { KvmTracePoint } from '@guestmode/kvm-abi'

/** What machine to build. Plain data: it can be posted to a thread. */
export interface MachineSpec {
  /** Bytes of RAM. */
  readonly memory: number
  readonly boot: BootConfig
  /** COM1 to COM4: the channel behind each; a port without one is not there. */
  readonly serial?: readonly (ChannelSpec | undefined)[]
  readonly virtio?: readonly VirtioSpec[]
  /** How the guest learns of virtio devices. */
  readonly announceVirtio?: 'acpi' | 'command-line'
  /** Port 402h. */
  readonly debugConsole?: ChannelSpec
  /** First port of the debug exit device; undefined: the machine has none. */
  readonly debugExit?: number
  readonly cpu?: CpuModel
  /** A reset ends the session. */
  readonly noReboot?: boolean
  readonly engine?: EngineSpec
  /** Trace points to report. */
  readonly trace?: readonly KvmTracePoint[]
  /** Milliseconds between two reports of the counters; without it there is one, at the end. */
  readonly statsInterval?: number
}

/** One stream of bytes each way; its number is in the messages. */
export interface ChannelSpec {
  readonly channel: number
  /** Where the other end is a screen. */
  readonly size?: ScreenSize
}

export interface ScreenSize {
  readonly columns: number
  readonly rows: number
}

export type VirtioSpec = ({ readonly kind: 'console' } & ChannelSpec) | { readonly kind: 'rng' }

export interface EngineSpec {
  readonly mmu?: 'nested' | 'naive'
  /** Time made of so many guest instructions a microsecond, in place of the host's clock. */
  readonly instructionsPerMicrosecond?: number
  /** Makes all randomness of the machine from this number. */
  readonly seed?: number
  /** The real-time clock starts at this many seconds since 1970, in place of now. */
  readonly unixTime?: number
}
