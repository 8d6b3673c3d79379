/**
 * Runs the vCPU and serves its exits. KVM_RUN is called in slices, so that the host's event loop gets its turns; while the vCPU
 * is halted the loop sleeps until a timer, an interrupt or `stop`.
 */
import {
  EINTR,
  KVM_EXIT_DEBUG,
  KVM_EXIT_FAIL_ENTRY,
  KVM_EXIT_INTERNAL_ERROR,
  KVM_EXIT_INTR,
  KVM_EXIT_IO,
  KVM_EXIT_IO_IN,
  KVM_EXIT_IRQ_WINDOW_OPEN,
  KVM_EXIT_MMIO,
  KVM_EXIT_SHUTDOWN,
  KVM_EXIT_SYSTEM_EVENT,
  KVM_SYSTEM_EVENT_RESET,
  KVM_SYSTEM_EVENT_SHUTDOWN,
  KvmError,
  dataViewOf,
  errnoName,
  type KvmRunView,
  type KvmVcpu,
} from '@guestmode/kvm-abi'
import type { Host } from '../backends/host.ts'
import type { MmioBus } from '../bus/mmio-bus.ts'
import type { PortBus } from '../bus/port-bus.ts'
import { registerFacts } from './facts.ts'
import type { Timers } from './timers.ts'
import type { VmEnd } from './vm-end.ts'

/** Longest time between two turns of the host's event loop. */
const SLICE_NS = 5_000_000n

/** For embedders: each is called before the machine's own handling, and may take its place. */
export interface PcHooks {
  /** Every exit, by its KVM_EXIT_* reason. */
  exit?: (reason: number) => void
  /** The value that a port read yields, or undefined to ask the bus. */
  portRead?: (port: number, size: number) => number | undefined
  /** True when the write has been dealt with. */
  portWrite?: (port: number, value: number, size: number) => boolean
  /** True when `data` has been filled in. */
  mmioRead?: (address: number, data: Uint8Array) => boolean
  mmioWrite?: (address: number, data: Uint8Array) => boolean
  /** KVM_EXIT_DEBUG: true to go on, false to end the run. */
  debug?: () => boolean
}

export interface RunLoopOptions {
  vcpu: KvmVcpu
  ports: PortBus
  mmio: MmioBus
  timers: Timers
  host: Host
  hooks: PcHooks
  /** Lets collected output out. */
  flush: () => void
}

export class RunLoop {
  readonly #o: RunLoopOptions
  /** The vCPU's `kvm_run`: the same memory for its life. */
  readonly #run: KvmRunView
  readonly #page: DataView
  #end: VmEnd | undefined
  #wake: (() => void) | undefined
  #woken = false

  constructor(options: RunLoopOptions) {
    this.#o = options
    this.#run = options.vcpu.kvmRun
    this.#page = dataViewOf(this.#run.page)
  }

  /** Ends the run as soon as the exit in hand is served. The first end counts. */
  end(end: VmEnd): void {
    this.#end ??= end
    this.wake()
  }

  /** From outside of an exit. */
  stop(): void {
    this.end({ kind: 'quit' })
    this.#o.vcpu.kick()
  }

  /** An interrupt line was raised: a halted vCPU has something to look at. */
  wake(): void {
    this.#woken = true
    this.#wake?.()
  }

  async run(): Promise<VmEnd> {
    const { vcpu, timers, host } = this.#o
    let sliceEnd = host.clock.now() + SLICE_NS
    this.#arm(sliceEnd)
    while (!this.#end) {
      this.#woken = false
      const result = this.#enter()
      if (result === 0) {
        this.#exit()
        if (timers.stale) this.#arm(sliceEnd)
      } else if (result === -EINTR) {
        timers.advance(host.clock.now())
        this.#o.flush()
        if (this.#end) break
        const halted = vcpu.halted()
        if (halted) await this.#sleep(halted.wakeAt)
        else if (host.clock.now() >= sliceEnd) await host.loop.turn()
        else {
          this.#arm(sliceEnd)
          continue
        }
        sliceEnd = host.clock.now() + SLICE_NS
        this.#arm(sliceEnd)
      } else {
        this.end({ kind: 'internal-error', reason: `KVM_RUN failed with ${errnoName(-result)}`, facts: registerFacts(vcpu) })
      }
    }
    this.#o.flush()
    return this.#end
  }

  /** As `vcpu.run`, with a failed request as its negative errno. */
  #enter(): number {
    try {
      return this.#o.vcpu.run()
    } catch (error) {
      if (error instanceof KvmError) return -error.errno
      throw error
    }
  }

  /** KVM_RUN shall return when the slice is over or a device's timer is due. */
  #arm(sliceEnd: bigint): void {
    const next = this.#o.timers.next()
    this.#o.vcpu.interruptAt = next !== undefined && next < sliceEnd ? next : sliceEnd
  }

  async #sleep(wakeAt: bigint | undefined): Promise<void> {
    const { timers, host } = this.#o
    const timer = timers.next()
    const until = wakeAt === undefined || (timer !== undefined && timer < wakeAt) ? timer : wakeAt
    const now = host.clock.now()
    if (until !== undefined && until <= now) await host.loop.turn()
    else if (!this.#woken) {
      await new Promise<void>((resolve) => {
        const cancel = until === undefined ? undefined : host.loop.after(until - now, () => this.#wake?.())
        this.#wake = () => {
          this.#wake = undefined
          cancel?.()
          resolve()
        }
      })
    }
    timers.advance(host.clock.now())
  }

  #exit(): void {
    const { vcpu, hooks } = this.#o
    const run = this.#run
    const reason = run.exitReason
    hooks.exit?.(reason)
    switch (reason) {
      case KVM_EXIT_IO:
        this.#io()
        break
      case KVM_EXIT_MMIO:
        this.#memory()
        break
      case KVM_EXIT_INTR:
      case KVM_EXIT_IRQ_WINDOW_OPEN:
        break
      case KVM_EXIT_SHUTDOWN:
        this.end({ kind: 'triple-fault', facts: registerFacts(vcpu) })
        break
      case KVM_EXIT_DEBUG:
        if (!hooks.debug?.()) this.#fail('a debug exit that nobody asked for', {})
        break
      case KVM_EXIT_FAIL_ENTRY:
        this.#fail('the processor refused the guest’s state', { reason: hex(run.failEntry.hardwareEntryFailureReason) })
        break
      case KVM_EXIT_SYSTEM_EVENT:
        this.#systemEvent(run.systemEvent.type)
        break
      case KVM_EXIT_INTERNAL_ERROR:
        this.#fail('the engine cannot emulate what the guest does', internalErrorFacts(vcpu))
        break
      default:
        this.#fail(`unexpected exit ${reason}`, {})
    }
  }

  #io(): void {
    const { ports, hooks } = this.#o
    const { io } = this.#run
    const data = this.#page
    const { direction, size, port, count } = io
    const first = Number(io.dataOffset)
    for (let at = first; at < first + count * size; at += size) {
      if (direction === KVM_EXIT_IO_IN) {
        const value = hooks.portRead?.(port, size) ?? ports.read(port, size)
        if (size === 1) data.setUint8(at, value)
        else if (size === 2) data.setUint16(at, value, true)
        else data.setUint32(at, value, true)
      } else {
        const value = size === 1 ? data.getUint8(at) : size === 2 ? data.getUint16(at, true) : data.getUint32(at, true)
        if (!hooks.portWrite?.(port, value, size)) ports.write(port, value, size)
      }
    }
  }

  #memory(): void {
    const { mmio, hooks } = this.#o
    const exit = this.#run.mmio
    const address = Number(exit.physAddr)
    const data = exit.data.subarray(0, exit.len)
    if (exit.isWrite) {
      if (!hooks.mmioWrite?.(address, data)) mmio.write(address, data)
    } else if (!hooks.mmioRead?.(address, data)) mmio.read(address, data)
  }

  #systemEvent(type: number): void {
    if (type === KVM_SYSTEM_EVENT_SHUTDOWN) this.end({ kind: 'power-off' })
    else if (type === KVM_SYSTEM_EVENT_RESET) this.end({ kind: 'reset', by: 'system event' })
    else this.#fail(`system event ${type}`, {})
  }

  #fail(reason: string, facts: Record<string, string>): void {
    this.end({ kind: 'internal-error', reason, facts: { ...facts, ...registerFacts(this.#o.vcpu) } })
  }
}

function internalErrorFacts(vcpu: KvmVcpu): Record<string, string> {
  const { internal } = vcpu.kvmRun
  const facts: Record<string, string> = { suberror: String(internal.suberror) }
  for (let i = 0; i < Math.min(internal.ndata, internal.data.length); i++) facts[`data[${i}]`] = hex(internal.data.at(i))
  return facts
}

function hex(value: bigint): string {
  return `0x${value.toString(16)}`
}
