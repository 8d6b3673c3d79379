import type { VmEnd } from '@guestmode/devmodel'
import type { KvmStats, KvmTraceEvent } from '@guestmode/kvm-abi'
import type { ScreenSize } from './spec.ts'

/** To the session. */
export type SessionCommand =
  | { readonly type: 'input'; readonly channel: number; readonly bytes: Uint8Array }
  | { readonly type: 'resize'; readonly channel: number; readonly size: ScreenSize }
  /** So much of what `output` and `trace` carried has been dealt with. */
  | { readonly type: 'drained'; readonly amount: number }
  | { readonly type: 'power-button' }
  /** As the button on the case: builds the machine anew. */
  | { readonly type: 'reset' }
  | { readonly type: 'stop' }

/** From the session. The last one is `ended`, `refused` or `failed`. */
export type SessionEvent =
  /** The guest runs; also after each reset. */
  | { readonly type: 'started' }
  | { readonly type: 'output'; readonly channel: number; readonly bytes: Uint8Array }
  /** The guest has taken so many bytes of input. */
  | { readonly type: 'taken'; readonly channel: number; readonly count: number }
  | { readonly type: 'log'; readonly message: string }
  | { readonly type: 'trace'; readonly events: readonly KvmTraceEvent[] }
  | { readonly type: 'stats'; readonly stats: SessionStats }
  /** The machine was reset and is built anew. */
  | { readonly type: 'reset'; readonly end: VmEnd }
  | { readonly type: 'ended'; readonly end: VmEnd; readonly stats: SessionStats }
  /** The configuration cannot work; the message says what to change. */
  | { readonly type: 'refused'; readonly message: string }
  /** A fault of guestmode itself. */
  | { readonly type: 'failed'; readonly message: string; readonly stack: string | undefined }

export interface SessionStats {
  /** Nanoseconds since the start of the session, on the host's clock. */
  readonly time: bigint
  readonly vm: KvmStats
  readonly vcpu: KvmStats
}

/** What one `drained` unit is: a byte of output; a trace event counts for this many. */
export const TRACE_EVENT_WEIGHT = 128
