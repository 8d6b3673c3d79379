/**
 * Runs a machine from its specification to its end, and again after a reset. Everything that goes in or out is a message, so that a
 * session can live in a thread of its own, whatever kind of thread the host has.
 */
import {
  createPc,
  layout,
  type CharBackend,
  type Host,
  type MachineClock,
  type Pc,
  type PcConfig,
  type VmEnd,
} from '@guestmode/devmodel'
import type { KvmTraceEvent } from '@guestmode/kvm-abi'
import { openKvm, type KvmOptions, type OpenKvm } from '@guestmode/vmx-core'
import { Channel } from './channel.ts'
import type { SessionCommand, SessionEvent, SessionStats } from './messages.ts'
import { Outlet } from './outlet.ts'
import { seededRandom } from './random.ts'
import type { ChannelSpec, MachineSpec } from './spec.ts'

export interface SessionHost extends Omit<Host, 'log'> {
  /** The engine; by default this project's own. */
  openKvm?: (options: KvmOptions) => OpenKvm
}

export interface Session {
  receive(command: SessionCommand): void
  /** Resolves after the last event was sent. */
  readonly done: Promise<void>
}

export function startSession(spec: MachineSpec, send: (event: SessionEvent) => void, host: SessionHost): Session {
  const session = new MachineSession(spec, send, host)
  return { receive: (command) => session.receive(command), done: session.run() }
}

const NO_STATS = { vm: {}, vcpu: {} }

class MachineSession {
  readonly #spec: MachineSpec
  readonly #outlet: Outlet
  readonly #host: Host
  readonly #openKvm: (options: KvmOptions) => OpenKvm
  readonly #channels = new Map<number, Channel>()
  readonly #begin: bigint
  readonly #wanted: ReadonlySet<string>
  #trace: KvmTraceEvent[] = []
  #pc: Pc | undefined
  #stopped = false
  #resetPressed = false
  #debugExit: number | undefined

  constructor(spec: MachineSpec, send: (event: SessionEvent) => void, host: SessionHost) {
    this.#spec = spec
    this.#outlet = new Outlet(send)
    this.#openKvm = host.openKvm ?? openKvm
    this.#begin = host.clock.now()
    this.#wanted = new Set(spec.trace)
    // All of them now: input may come before the machine is built.
    const consoles = (spec.virtio ?? []).flatMap((device) => (device.kind === 'console' ? [device] : []))
    for (const channel of [...(spec.serial ?? []), ...consoles, spec.debugConsole]) if (channel) this.#addChannel(channel)
    const { seed } = spec.engine ?? {}
    this.#host = {
      clock: host.clock,
      loop: { turn: () => this.#turn(host), after: (ns, callback) => host.loop.after(ns, callback) },
      random: seed === undefined ? (bytes) => host.random(bytes) : seededRandom(seed),
      unixTime: () => host.unixTime(),
      log: (message) => this.#outlet.send({ type: 'log', message }),
    }
  }

  async run(): Promise<void> {
    const cancelStats = this.#reportStats()
    let last: SessionEvent
    try {
      last = await this.#machines()
    } catch (error) {
      last = failure(error)
    }
    cancelStats()
    this.#sendTrace()
    this.#outlet.send(last)
  }

  receive(command: SessionCommand): void {
    switch (command.type) {
      case 'input':
        this.#channels.get(command.channel)?.input(command.bytes)
        break
      case 'resize':
        this.#channels.get(command.channel)?.resize(command.size)
        break
      case 'drained':
        this.#outlet.drained(command.amount)
        break
      case 'power-button':
        this.#pc?.powerButton()
        break
      case 'reset':
        this.#resetPressed = true
        this.#outlet.close()
        this.#pc?.stop()
        break
      case 'stop':
        this.#stopped = true
        this.#outlet.close()
        this.#pc?.stop()
    }
  }

  /** One machine after the other, until one ends for good. */
  async #machines(): Promise<SessionEvent> {
    for (;;) {
      // Commands that came with the start are waiting.
      await this.#host.loop.turn()
      if (this.#stopped) return { type: 'ended', end: { kind: 'quit' }, stats: this.#stats() }
      const pc = this.#build()
      this.#pc = pc
      this.#outlet.send({ type: 'started' })
      const end = this.#meaning(await pc.run())
      const stats = this.#stats()
      this.#pc = undefined
      pc.close()
      const again = (end.kind === 'reset' || end.kind === 'triple-fault') && (!this.#spec.noReboot || this.#resetPressed)
      this.#resetPressed = false
      if (!again || this.#stopped) return { type: 'ended', end, stats }
      this.#outlet.send({ type: 'reset', end })
    }
  }

  #build(): Pc {
    const { spec, host } = { spec: this.#spec, host: this.#host }
    // A new engine each time gives the old machine's memory back to the host.
    const kvm = this.#openKvm(this.#kvmOptions())
    const config: PcConfig = {
      memory: spec.memory,
      boot: spec.boot,
      serial: (spec.serial ?? []).map((channel) => channel && this.#connect(channel)),
      virtio: (spec.virtio ?? []).map((device) =>
        device.kind === 'console' ? { kind: 'console', backend: this.#connect(device) } : device,
      ),
      ...(spec.announceVirtio && { announceVirtio: spec.announceVirtio }),
      ...(spec.debugConsole && { debugConsole: this.#connect(spec.debugConsole) }),
      ...(spec.cpu && { cpu: spec.cpu }),
    }
    const pc = createPc(config, { kvm, ...host, clock: kvm.clock, unixTime: this.#unixTime(kvm.clock) })
    if (this.#wanted.size) pc.vm.trace = (event) => this.#traced(event)
    this.#debugExit = undefined
    pc.hooks.portWrite = (port, value) => this.#portWritten(pc, port, value)
    return pc
  }

  #kvmOptions(): KvmOptions {
    const { mmu, instructionsPerMicrosecond } = this.#spec.engine ?? {}
    const word = new Uint8Array(8)
    return {
      clock: this.#host.clock,
      random: () => {
        this.#host.random(word)
        return new DataView(word.buffer).getBigUint64(0, true)
      },
      log: (message) => this.#host.log(message),
      ...(mmu && { mmu }),
      ...(instructionsPerMicrosecond !== undefined && { timebase: { instructionsPerMicrosecond } }),
    }
  }

  /** Wall-clock time that passes with the machine's clock, unless both are the host's. */
  #unixTime(clock: MachineClock): () => number {
    const { unixTime, instructionsPerMicrosecond } = this.#spec.engine ?? {}
    if (unixTime === undefined && instructionsPerMicrosecond === undefined) return () => this.#host.unixTime()
    const base = unixTime ?? this.#host.unixTime()
    const begin = instructionsPerMicrosecond === undefined ? this.#begin : clock.now()
    return () => base + Number(clock.now() - begin) / 1_000_000_000
  }

  #addChannel({ channel: id, size }: ChannelSpec): void {
    if (this.#channels.has(id)) throw new Error(`channel ${id} has two devices`)
    this.#channels.set(id, new Channel(id, size, this.#outlet.send))
  }

  #connect({ channel }: ChannelSpec): CharBackend {
    return this.#channels.get(channel)!.connect()
  }

  /** The board always has a debug exit port; here it is where the specification puts it, or nowhere. */
  #portWritten(pc: Pc, port: number, value: number): boolean {
    const { debugExit } = this.#spec
    if (debugExit !== undefined && port === debugExit) {
      this.#debugExit ??= ((value << 1) | 1) & 0xff
      pc.stop()
      return true
    }
    return port >= BOARD_DEBUG_EXIT && port < BOARD_DEBUG_EXIT + 4
  }

  /** `stop` ends a run with `quit` whoever called it. */
  #meaning(end: VmEnd): VmEnd {
    if (end.kind !== 'quit' || this.#stopped) return end
    if (this.#debugExit !== undefined) return { kind: 'debug-exit', status: this.#debugExit }
    return this.#resetPressed ? { kind: 'reset', by: 'reset button' } : end
  }

  #traced(event: KvmTraceEvent): void {
    if (!this.#wanted.has(event.name)) return
    this.#trace.push(event)
    if (this.#trace.length >= TRACE_BATCH) this.#sendTrace()
  }

  #sendTrace(): void {
    if (!this.#trace.length) return
    const events = this.#trace
    this.#trace = []
    this.#outlet.send({ type: 'trace', events })
  }

  async #turn(host: SessionHost): Promise<void> {
    this.#sendTrace()
    await host.loop.turn()
    await this.#outlet.room()
  }

  #stats(): SessionStats {
    const pc = this.#pc
    return {
      time: this.#host.clock.now() - this.#begin,
      ...(pc ? { vm: pc.vm.stats(), vcpu: pc.vcpu.stats() } : NO_STATS),
    }
  }

  #reportStats(): () => void {
    const { statsInterval } = this.#spec
    if (statsInterval === undefined) return () => {}
    let cancel = () => {}
    const again = (): void => {
      cancel = this.#host.loop.after(BigInt(Math.round(statsInterval * 1e6)), () => {
        this.#sendTrace()
        if (this.#pc) this.#outlet.send({ type: 'stats', stats: this.#stats() })
        again()
      })
    }
    again()
    return () => cancel()
  }
}

const BOARD_DEBUG_EXIT = layout.PORT_DEBUG_EXIT
const TRACE_BATCH = 512

function failure(error: unknown): SessionEvent {
  if (error instanceof Error && error.name === 'ConfigError') return { type: 'refused', message: error.message }
  const { message, stack } = error instanceof Error ? error : { message: String(error), stack: undefined }
  return { type: 'failed', message, stack }
}
