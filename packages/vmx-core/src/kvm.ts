import { KvmError, ENOENT, EBADF, type KvmFd, type KvmFloor } from '@guestmode/kvm-abi'
import { createMachine } from '@guestmode/silicon'
import { Counter } from './devices/eventfd.ts'
import { systemIoctl } from './ioctl/dispatch.ts'
import type { VirtualizingProcessor } from './machine.ts'
import { ConfigError, type KvmOptions, type Machine } from './options.ts'
import { HostTime, VirtualTime, type Timebase } from './time.ts'
import type { Vcpu } from './vcpu.ts'
import { Vm } from './vm.ts'

/** Host physical memory that a machine begins with: structures of the hypervisor; guest memory is added to it. */
const INITIAL_MEMORY = 1 << 20

/** /dev/kvm: makes machines and hands out descriptors. */
export class Engine implements KvmFloor {
  readonly options: KvmOptions
  readonly time: Timebase
  readonly mmuKind: 'nested' | 'naive'
  readonly hasLongMode: boolean
  readonly system: KvmFd
  readonly #descriptors = new Map<number, Vm | Vcpu | Counter>()
  /** Made to answer questions about the processor; the next VM gets it. */
  #spare: Machine | undefined
  #isClosed = false

  constructor(options: KvmOptions) {
    this.options = options
    const { timebase = 'host', mmu = 'nested', hostWidth = 64 } = options
    if (timebase !== 'host' && !(timebase.instructionsPerMicrosecond > 0)) {
      throw new ConfigError('timebase.instructionsPerMicrosecond must be more than 0')
    }
    this.time = timebase === 'host' ? new HostTime(options.clock) : new VirtualTime(timebase.instructionsPerMicrosecond)
    this.mmuKind = mmu
    this.hasLongMode = hostWidth === 64
    this.system = {
      ioctl: (request, argument) => (this.#isClosed ? -EBADF : systemIoctl(this, request, argument)),
      close: () => void (this.#isClosed = true),
    }
  }

  log(message: string): void {
    this.options.log?.(message)
  }

  #createMachine(): Machine {
    const { time } = this
    const environment = { now: () => time.now(), tsc: () => time.now(), random: this.options.random }
    const create = this.options.createMachine ?? createMachine
    const machine = create({ physBytes: INITIAL_MEMORY, environment, options: { longMode: this.hasLongMode } })
    time.attach(machine.processor)
    return machine
  }

  /** A processor of the kind that VMs get, to be asked what it can do. */
  get processor(): VirtualizingProcessor {
    return (this.#spare ??= this.#createMachine()).processor
  }

  createVm(): number {
    const machine = this.#spare ?? this.#createMachine()
    this.#spare = undefined
    return this.register(new Vm(this, machine))
  }

  /** The lowest free number, as open(2) would give; 0 to 2 are taken in a process. */
  register(descriptor: Vm | Vcpu | Counter): number {
    const fd = this.#freeNumber()
    this.#descriptors.set(fd, descriptor)
    return fd
  }

  #freeNumber(): number {
    let fd = 3
    while (this.#descriptors.has(fd)) fd++
    return fd
  }

  #unregister(descriptor: Vm | Vcpu | Counter): void {
    for (const [fd, other] of this.#descriptors) if (other === descriptor) this.#descriptors.delete(fd)
  }

  vmClosed(vm: Vm): void {
    this.#unregister(vm)
  }

  vcpuClosed(vcpu: Vcpu): void {
    this.#unregister(vcpu)
  }

  vm(fd: number): Vm {
    const vm = this.#descriptors.get(fd)
    if (!(vm instanceof Vm)) throw new KvmError(ENOENT, `descriptor ${fd} of a VM`)
    return vm
  }

  vcpu(fd: number): Vcpu {
    const vcpu = this.#descriptors.get(fd)
    if (vcpu === undefined || vcpu instanceof Vm || vcpu instanceof Counter)
      throw new KvmError(ENOENT, `descriptor ${fd} of a vCPU`)
    return vcpu
  }

  eventFd(fd: number): Counter | undefined {
    const counter = this.#descriptors.get(fd)
    return counter instanceof Counter ? counter : undefined
  }

  createEventFd(): Counter {
    const fd = this.#freeNumber()
    const counter: Counter = new Counter(fd, () => this.#unregister(counter))
    this.#descriptors.set(fd, counter)
    return counter
  }
}
