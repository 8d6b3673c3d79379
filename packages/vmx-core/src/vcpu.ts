import type { Lapic } from '@guestmode/chips'
import {
  EBADF,
  KVM_MP_STATE_HALTED,
  KVM_MP_STATE_INIT_RECEIVED,
  KVM_MP_STATE_RUNNABLE,
  KVM_MP_STATE_UNINITIALIZED,
  KvmRunView,
  VCPU_MMAP_SIZE,
  type Halted,
  type KvmStats,
  type KvmVcpuFd,
} from '@guestmode/kvm-abi'
import { Vmcs } from '@guestmode/x86'
import { GuestCpuid } from './cpuid.ts'
import { GuestDebug } from './debug.ts'
import { InstructionCache } from './emulation/fetch.ts'
import { MmioQueue } from './emulation/mmio-queue.ts'
import { noException } from './events/exceptions.ts'
import { isInterruptAllowed } from './events/injection.ts'
import { vcpuIoctl } from './ioctl/dispatch.ts'
import { createLocalApic } from './irqchip/local-apic.ts'
import type { VirtualizingProcessor } from './machine.ts'
import { GuestWalker } from './mmu/guest-walk.ts'
import type { Mmu } from './mmu/mmu.ts'
import { NaiveMmu } from './mmu/naive.ts'
import type { NestedMmu } from './mmu/nested.ts'
import { createStats } from './stats.ts'
import type { Vm } from './vm.ts'
import { Controls } from './vmcs/controls.ts'
import { resetGuest } from './vmcs/guest-reset.ts'
import { createVmcs } from './vmcs/region.ts'

/** NMIs that can wait: the one in progress blocks a second, and the pin latches no third. */
const MAX_PENDING_NMIS = 2

/** A virtual processor: the state that is not in its VMCS, and the queues of what it is to receive. */
export class Vcpu implements KvmVcpuFd {
  readonly vm: Vm
  readonly id: number
  readonly isBootProcessor: boolean
  readonly processor: VirtualizingProcessor
  readonly vpid = 1
  readonly counters = createStats()
  readonly mapping = new Uint8Array(VCPU_MMAP_SIZE)
  readonly run = new KvmRunView(this.mapping)
  readonly cpuid = new GuestCpuid()
  readonly controls: Controls
  readonly walker: GuestWalker
  readonly lapic: Lapic | undefined
  readonly debug = new GuestDebug()
  readonly mmio = new MmioQueue()
  readonly instructions = new InstructionCache()
  /** MSRs that only the hypervisor keeps. */
  readonly msrs = new Map<number, bigint>()
  /** Address bits beyond the guest's physical address width. */
  readonly reservedAddressBits: bigint

  readonly nested: NestedMmu
  /** Present with `mmu: 'naive'`. */
  readonly shadow: NaiveMmu | undefined
  mmu: Mmu

  /** As the guest last wrote them; bits that it owns may since have changed in the VMCS. */
  cr0Shadow = 0
  cr4Shadow = 0
  /** The guest's CR3 while the VMCS has that of shadow tables. */
  shadowedCr3 = 0n
  efer = 0
  tscOffset = 0n
  tscAdjust = 0n
  /** Guest physical address of the local APIC's page; infinite where none answers. */
  lapicPage = Infinity

  launched = false
  hasRun = false
  mpState = KVM_MP_STATE_RUNNABLE
  exception = noException()
  readonly interrupt = { injected: false, soft: false, vector: 0 }
  readonly nmi = { pending: 0, injected: false }
  /** Length of the instruction whose software event is given to the processor again. */
  eventInstructionLength = 0
  tripleFault = false
  /** Something may have become injectable. */
  eventRequested = true
  initRequested = false
  sipiVector = -1
  /** Split irqchip: the vector that KVM_INTERRUPT queued; -1 for none. */
  externalVector = -1
  /** Split irqchip: level-triggered vector whose EOI the VMM has to be told; -1 for none. */
  pendingEoi = -1
  /** What the VMM's answer to the last exit completes, at the next KVM_RUN: false for another exit. */
  completion: (() => boolean) | undefined
  /** Userspace local APIC: CR8. */
  userCr8 = 0

  interruptAt: bigint | undefined
  kicked = false
  /** KVM_RUN answered EINTR for a halted vCPU. */
  sleeping = false
  #isClosed = false

  constructor(vm: Vm, id: number) {
    this.vm = vm
    this.id = id
    this.isBootProcessor = id === vm.bootCpuId
    const { processor } = vm
    this.processor = processor
    const physicalAddressBits = processor.cpuid(0x8000_0008, 0).eax & 0xff
    this.reservedAddressBits = 0x000f_ffff_ffff_f000n & ~((1n << BigInt(physicalAddressBits)) - 1n)
    this.walker = new GuestWalker(vm.guest, processor.memory, physicalAddressBits)
    createVmcs(processor, vm.host, vm.hasLongMode)
    this.controls = new Controls(processor, vm.hasLongMode, this.vpid)
    this.nested = vm.nested
    this.shadow = vm.mmuKind === 'naive' ? new NaiveMmu(this) : undefined
    this.mmu = this.nested
    this.lapic = vm.router === undefined ? undefined : createLocalApic(this)
    this.apicBaseChanged()
    if (this.lapic !== undefined && !this.isBootProcessor) this.mpState = KVM_MP_STATE_UNINITIALIZED
    this.setTsc(0n)
    resetGuest(this)
  }

  // What VMMs call.

  ioctl(request: number, argument?: number | bigint | Uint8Array): number {
    return this.#isClosed ? -EBADF : vcpuIoctl(this, request, argument)
  }

  close(): void {
    this.#isClosed = true
    this.vm.vcpuClosed(this)
  }

  mmap(): Uint8Array {
    return this.mapping
  }

  kick(): void {
    this.kicked = true
  }

  halted(): Halted | undefined {
    if (!this.sleeping || this.mpState !== KVM_MP_STATE_HALTED || this.canWake()) return undefined
    return { wakeAt: this.vm.nextTimer() }
  }

  stats(): KvmStats {
    return { ...this.counters }
  }

  // Interrupts.

  get blocksInterrupts(): boolean {
    return this.debug.blocksInterrupts
  }

  /** An interrupt waits to be injected, whatever RFLAGS.IF is. */
  hasInterrupt(): boolean {
    const { lapic } = this
    if (lapic === undefined) return false
    return (lapic.acceptsExtInt && this.#externalPending()) || lapic.highestPending() >= 0
  }

  #externalPending(): boolean {
    const chips = this.vm.router?.chips
    return chips === undefined ? this.externalVector >= 0 : chips.pic.int
  }

  /** The vector of the interrupt that waits: INTA. */
  takeInterrupt(): number {
    const lapic = this.lapic!
    if (!lapic.acceptsExtInt || !this.#externalPending()) return lapic.acknowledge()
    if (this.vm.router!.chips !== undefined) return this.vm.router!.acknowledgePic()
    const vector = this.externalVector
    this.externalVector = -1
    return vector
  }

  /** The VMM has a PIC of its own, and asked to be told when the guest can take an interrupt. */
  wantsInterruptWindow(): boolean {
    return this.run.requestInterruptWindow !== 0 && this.vm.router?.chips === undefined
  }

  raiseNmi(): void {
    this.nmi.pending = Math.min(this.nmi.pending + 1, MAX_PENDING_NMIS)
    this.eventRequested = true
  }

  /** A halted vCPU has something to wake up for. */
  canWake(): boolean {
    if (this.nmi.pending > 0 || this.exception.pending || this.initRequested || this.tripleFault || this.externalVector >= 0)
      return true
    return this.hasInterrupt() && isInterruptAllowed(this) && !this.blocksInterrupts
  }

  startup(vector: number): void {
    if (this.mpState === KVM_MP_STATE_INIT_RECEIVED) this.sipiVector = vector
  }

  endOfLevelInterrupt(vector: number): void {
    for (const targets of this.vm.router!.routing.values()) {
      for (const target of targets) {
        if (target.kind === 'msi' && target.message.trigger === 'level' && target.message.vector === vector)
          this.pendingEoi = vector
      }
    }
  }

  get apicBase(): bigint {
    return this.lapic?.apicBase ?? this.userApicBase
  }

  /** IA32_APIC_BASE where the local APIC is the VMM's. */
  userApicBase = 0xfee0_0000n | (1n << 11n) | (1n << 8n)

  apicBaseChanged(): void {
    const { lapic } = this
    const answers = lapic !== undefined && lapic.hardwareEnabled && !lapic.x2apic
    this.lapicPage = answers ? Number(lapic.apicBase & 0x000f_ffff_ffff_f000n) : Infinity
  }

  get cr8(): number {
    return this.lapic?.cr8 ?? this.userCr8
  }

  set cr8(value: number) {
    if (this.lapic !== undefined) this.lapic.cr8 = value
    else this.userCr8 = value
  }

  // Time. The host's time-stamp counter ticks once a nanosecond of the engine's clock.

  get tsc(): bigint {
    return BigInt.asUintN(64, this.vm.time.now() + this.tscOffset)
  }

  setTsc(value: bigint): void {
    this.tscOffset = BigInt.asUintN(64, value - this.vm.time.now())
    this.processor.vmwrite(Vmcs.TSC_OFFSET, this.tscOffset)
  }

  /** The engine's time when the guest's counter is at `tsc`. */
  timeAtTsc(tsc: bigint): bigint {
    return BigInt.asIntN(64, tsc - this.tscOffset)
  }
}
