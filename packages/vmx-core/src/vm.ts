import type { Lapic, TimedChip } from '@guestmode/chips'
import { EBADF, ENOMEM, KvmError, type HostMemory, type KvmStats, type KvmTrace, type KvmVmFd } from '@guestmode/kvm-abi'
import { CoalescedZones } from './devices/coalesced.ts'
import { IoEvents } from './devices/ioeventfd.ts'
import { PortBus } from './devices/port-bus.ts'
import { GuestMemory } from './guest-memory.ts'
import { HostMemoryAllocator, PAGE_SIZE } from './host-memory.ts'
import type { InterruptRouter } from './irqchip/irqchip.ts'
import type { Pit } from './irqchip/pit.ts'
import { vmIoctl } from './ioctl/dispatch.ts'
import type { Engine } from './kvm.ts'
import type { VirtualizingProcessor } from './machine.ts'
import { markDirty, Memslots } from './mmu/memslots.ts'
import { NestedMmu } from './mmu/nested.ts'
import type { Machine } from './options.ts'
import { createStats } from './stats.ts'
import type { Timebase } from './time.ts'
import { Vcpu } from './vcpu.ts'
import { enterVmxOperation } from './vmcs/region.ts'

/** A virtual machine: a machine's memory and processor, memory slots, interrupt controllers. */
export class Vm implements KvmVmFd {
  readonly engine: Engine
  readonly processor: VirtualizingProcessor
  readonly host: HostMemoryAllocator
  readonly time: Timebase
  readonly slots = new Memslots()
  readonly guest: GuestMemory
  readonly nested: NestedMmu
  readonly mmuKind: 'nested' | 'naive'
  readonly hasLongMode: boolean
  readonly ports = new PortBus()
  readonly portEvents = new IoEvents()
  readonly memoryEvents = new IoEvents()
  readonly coalesced = new CoalescedZones()
  readonly counters = createStats()
  trace: KvmTrace | undefined

  vcpu: Vcpu | undefined
  router: InterruptRouter | undefined
  pit: Pit | undefined
  bootCpuId = 0
  /** KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2: reading the log leaves it to KVM_CLEAR_DIRTY_LOG. */
  manualDirtyLog = 0
  /** KVM_CAP_X86_USER_SPACE_MSR: reasons for which the VMM sees an MSR access. */
  userSpaceMsr = 0
  /** KVM_CAP_X2APIC_API. */
  x2apicIds = false
  /** KVM_CAP_EXCEPTION_PAYLOAD. */
  exceptionPayload = false
  /** Added to the engine's clock for kvmclock. */
  clockOffset: bigint
  /** KVM_SET_NR_MMU_PAGES. */
  mmuPages = 0
  /** Irqfds by eventfd number. */
  readonly irqfds = new Map<number, { gsi: number; close: () => void }>()
  #timersDirty = true
  #deadline: bigint | undefined
  #isClosed = false

  constructor(engine: Engine, machine: Machine) {
    this.engine = engine
    this.processor = machine.processor
    this.time = engine.time
    this.mmuKind = engine.mmuKind
    this.hasLongMode = engine.hasLongMode
    this.host = new HostMemoryAllocator(machine.memory)
    enterVmxOperation(this.processor, this.host)
    this.guest = new GuestMemory(this.processor, this.slots)
    this.nested = new NestedMmu(this.host, this.processor, this.slots, this.counters)
    this.clockOffset = -this.time.now()
  }

  ioctl(request: number, argument?: number | bigint | Uint8Array): number {
    return this.#isClosed ? -EBADF : vmIoctl(this, request, argument)
  }

  close(): void {
    this.#isClosed = true
    for (const irqfd of this.irqfds.values()) irqfd.close()
    this.irqfds.clear()
    this.engine.vmClosed(this)
  }

  stats(): KvmStats {
    return { ...this.counters }
  }

  allocateMemory(bytes: number): HostMemory {
    const { memory } = this.host
    let region
    try {
      region = this.host.allocateRegion(bytes)
    } catch (error) {
      if (error instanceof RangeError) throw new KvmError(ENOMEM, 'allocateMemory')
      throw error
    }
    const { hpa, size } = region
    return {
      address: BigInt(hpa),
      size,
      get bytes() {
        return memory.u8.subarray(memory.physBase + hpa, memory.physBase + hpa + size)
      },
      written: (offset, length) => this.#written(hpa + offset, length),
    }
  }

  #written(hpa: number, length: number): void {
    this.processor.invalidateCode(hpa, length)
    for (const slot of this.slots.ofHost(hpa, length)) {
      if (slot.dirty === undefined) continue
      const first = Math.max(hpa, slot.hpa)
      const end = Math.min(hpa + length, slot.hpa + slot.size)
      for (let page = Math.floor(first / PAGE_SIZE) * PAGE_SIZE; page < end; page += PAGE_SIZE)
        markDirty(slot, slot.gpa + (page - slot.hpa))
    }
  }

  createVcpu(id: number): Vcpu {
    return (this.vcpu = new Vcpu(this, id))
  }

  vcpuClosed(vcpu: Vcpu): void {
    this.engine.vcpuClosed(vcpu)
  }

  get lapics(): readonly Lapic[] {
    const lapic = this.vcpu?.lapic
    return lapic === undefined ? [] : [lapic]
  }

  /** Slots, or which of them log, have changed. */
  slotsChanged(): void {
    this.nested.slotsChanged()
    this.vcpu?.shadow?.slotsChanged()
  }

  // Timers of the chips.

  timersChanged(): void {
    this.#timersDirty = true
  }

  *#timedChips(): Generator<TimedChip> {
    if (this.pit !== undefined) yield this.pit.chip
    yield* this.lapics
  }

  /** When the first of the chips' timers is due. */
  nextTimer(): bigint | undefined {
    if (!this.#timersDirty) return this.#deadline
    this.#timersDirty = false
    this.#deadline = undefined
    for (const chip of this.#timedChips()) {
      const next = chip.nextEvent()
      if (next !== undefined && (this.#deadline === undefined || next < this.#deadline)) this.#deadline = next
    }
    return this.#deadline
  }

  /** Lets the timers act that are due. */
  advanceTimers(now: bigint): void {
    const deadline = this.nextTimer()
    if (deadline === undefined || now < deadline) return
    for (const chip of this.#timedChips()) chip.advance(now)
    this.#timersDirty = true
  }
}
