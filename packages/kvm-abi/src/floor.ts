import type { KvmStats, KvmTrace } from './trace.ts'

/**
 * What an engine implements: descriptors that take requests, and the few things that a process gets from mmap, eventfd,
 * signals and debugfs. The typed face (`KvmFace`, `KvmVmFace`, `KvmVcpuFace`) is built on it once for all engines.
 */
export interface KvmFloor {
  /** The open /dev/kvm. */
  readonly system: KvmFd
  /** The descriptor whose number KVM_CREATE_VM returned. */
  vm(fd: number): KvmVmFd
  /** The descriptor whose number KVM_CREATE_VCPU returned. */
  vcpu(fd: number): KvmVcpuFd
  /** eventfd(2), for KVM_IRQFD and KVM_IOEVENTFD. An engine without it throws KvmError(ENOSYS). */
  createEventFd(): EventFd
}

/** A descriptor of /dev/kvm, of a VM, or of a vCPU. */
export interface KvmFd {
  /**
   * As the system call: at least 0, or a negative errno. A request that takes a pointer is given the bytes it points to, which it
   * reads and writes in place; a request that takes a value is given a number or, where it can exceed 2^53, a bigint.
   */
  ioctl(request: number, argument?: number | bigint | Uint8Array): number
  close(): void
}

export interface KvmVmFd extends KvmFd {
  /** Zeroed, page-aligned memory of the VMM process, to be given to KVM_SET_USER_MEMORY_REGION; lives as long as the VM. Throws KvmError(ENOMEM). */
  allocateMemory(bytes: number): HostMemory
  /** Called at each trace point while set; costs nothing while undefined. An engine that can't see inside leaves it uncalled. */
  trace: KvmTrace | undefined
  stats(): KvmStats
}

export interface KvmVcpuFd extends KvmFd {
  /** The mapping of KVM_GET_VCPU_MMAP_SIZE bytes: the same memory at every call, never detached. */
  mmap(): Uint8Array
  /**
   * Makes the KVM_RUN in progress, or else the next one, return EINTR. One kick, one return. It stands for the signal that a VMM
   * sends to a vCPU's thread.
   */
  kick(): void
  /**
   * KVM_RUN returns EINTR soon after the engine's clock (nanoseconds) reaches this. It stands for a POSIX timer's signal, which a VMM with
   * one thread needs to serve its devices' timers and its event loop.
   */
  interruptAt: bigint | undefined
  /**
   * Not undefined: the vCPU waits for an interrupt inside KVM_RUN, which returned EINTR because this engine has no thread to
   * block. `wakeAt` is the time on the engine's clock at which one of its own timers will wake the vCPU; undefined if none is
   * armed, so that only a request (an IRQ line, an MSI, an NMI, ...) can. Engines that block always answer undefined.
   */
  halted(): Halted | undefined
  stats(): KvmStats
}

export interface Halted {
  readonly wakeAt: bigint | undefined
}

/** Memory of the VMM process that a guest can be given. */
export interface HostMemory {
  /** `userspace_addr` */
  readonly address: bigint
  readonly size: number
  /** A view of the memory as it is now: get it anew after any call to the engine, since the memory under it may grow and move. */
  readonly bytes: Uint8Array
  /** Bytes were changed by the VMM: whatever the engine derived from the old ones (decoded code) is dropped, dirty pages are logged. */
  written(offset: number, length: number): void
}

/** A 64-bit counter with a descriptor number, as eventfd(2) makes. */
export interface EventFd {
  readonly fd: number
  /** Adds to the counter: triggers the interrupt of a KVM_IRQFD. */
  signal(count?: bigint): void
  /** Takes the counter and zeroes it. */
  consume(): bigint
  /** Called after the counter became other than zero from outside, for example by a guest's write to a KVM_IOEVENTFD address; possibly within KVM_RUN. */
  listener: (() => void) | undefined
  close(): void
}
