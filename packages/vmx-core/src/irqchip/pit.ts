import { I8254, Port61, TickRate, type Clock, type I8254ChannelState } from '@guestmode/chips'
import { KVM_PIT_SPEAKER_DUMMY, type KvmPitState2 } from '@guestmode/kvm-abi'
import type { PortBus } from '../devices/port-bus.ts'
import { IrqSource, type InterruptRouter } from './irqchip.ts'

const PIT_GSI = 0
const rate = new TickRate(1_193_182)

/** The in-kernel 8254. Ticks that the guest was too slow for are delivered later, one after each acknowledgement, unless that is turned off. */
export class Pit {
  readonly chip: I8254
  reinject = true
  readonly #clock: Clock
  readonly #router: InterruptRouter
  #owed = 0
  #acknowledged = true
  #output = true

  constructor(clock: Clock, router: InterruptRouter) {
    this.#clock = clock
    this.#router = router
    this.chip = new I8254({ clock, out0: (level) => this.#onOutput(level) })
    router.acknowledged.add((kind, pin) => this.#onAcknowledge(kind, pin))
  }

  attachPorts(ports: PortBus, flags: number, changed: () => void): void {
    ports.add(0x40, 4, {
      read: (port) => this.chip.read(port & 3),
      write: (port, value) => {
        this.chip.write(port & 3, value)
        changed()
      },
    })
    if ((flags & KVM_PIT_SPEAKER_DUMMY) === 0) return
    const speaker = new Port61({ pit: this.chip, clock: this.#clock })
    ports.add(0x61, 1, { read: () => speaker.read(), write: (_port, value) => speaker.write(value) })
  }

  /** A tick is a rise of the output. */
  #onOutput(level: boolean): void {
    const isRise = level && !this.#output
    this.#output = level
    if (isRise) this.#tick()
  }

  #tick(): void {
    const ticks = 1 + this.chip.missedTicks
    this.chip.missedTicks = 0
    if (!this.reinject) {
      this.#pulse()
      return
    }
    this.#owed += ticks
    if (this.#acknowledged) this.#deliver()
  }

  #deliver(): void {
    if (this.#owed === 0) return
    this.#owed--
    this.#acknowledged = false
    this.#pulse()
  }

  #onAcknowledge(kind: 'pic' | 'ioapic', pin: number): void {
    const targets = this.#router.routing.get(PIT_GSI) ?? []
    if (
      !targets.some((target) =>
        target.kind === 'pic' ? kind === 'pic' && target.irq === pin : target.kind === kind && target.pin === pin,
      )
    )
      return
    this.#acknowledged = true
    this.#deliver()
  }

  #pulse(): void {
    const result = this.#router.setIrq(PIT_GSI, true, IrqSource.pit)
    this.#router.setIrq(PIT_GSI, false, IrqSource.pit)
    // Nobody will acknowledge what nobody received; and an edge on the I/O APIC has no EOI to wait for, so its late ticks are lost.
    if (result >= 0 && this.#awaitsAcknowledge()) return
    this.#acknowledged = true
    this.#owed = 0
  }

  #awaitsAcknowledge(): boolean {
    const { chips } = this.#router
    return chips !== undefined && (chips.pic.master.save().imr & 1) === 0
  }

  /** State of the three counters, times on the engine's clock. */
  save(): KvmPitState2 {
    const now = this.#clock.now()
    return { flags: 0, channels: this.chip.save().channels.map((channel) => toKvm(channel, now)) }
  }

  load(state: KvmPitState2): void {
    this.#owed = 0
    this.#acknowledged = true
    const now = this.#clock.now()
    this.chip.load({ version: 1, channels: state.channels.map((channel) => fromKvm(channel, now)) })
  }
}

function toKvm(state: I8254ChannelState, now: bigint): KvmPitState2['channels'][number] {
  const { elapsed, pendingCount: _pending, idleOut: _idle, ...fields } = state
  return { ...fields, countLoadTime: elapsed < 0 ? 0n : now - rate.nsAt(BigInt(elapsed)) }
}

function fromKvm(channel: KvmPitState2['channels'][number], now: bigint): I8254ChannelState {
  const { countLoadTime, ...fields } = channel
  const elapsed = countLoadTime === 0n ? -1 : Number(rate.ticksAt(now > countLoadTime ? now - countLoadTime : 0n))
  return { ...fields, count: fields.count || 0x10000, elapsed, pendingCount: 0, idleOut: fields.mode === 0 ? 0 : 1 }
}
