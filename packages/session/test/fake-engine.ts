import {
  KVM_EXIT_IO,
  KVM_EXIT_SHUTDOWN,
  KVM_REGS,
  KVM_SREGS,
  EINTR,
  KvmRunView,
  VCPU_MMAP_SIZE,
  type KvmTrace,
} from '@guestmode/kvm-abi'
import type { OpenKvm } from '@guestmode/vmx-core'

/** What makes KVM_RUN return: a port write, a port read, a triple fault, or the wait for an interrupt. */
export type Step = { out: number; value: number } | { in: number } | { shutdown: true } | { halt: true } | { spin: true }
export type Guest = Generator<Step, void, number>

/** An engine whose guests are generators; each boot takes the next one. */
export function fakeEngine(guests: readonly (() => Guest)[]): { openKvm: () => OpenKvm; opened: () => number } {
  let opened = 0
  const openKvm = (): OpenKvm => {
    const guest = guests[opened++]
    if (!guest) throw new Error('no guest is left')
    return kvm(guest())
  }
  return { openKvm, opened: () => opened }
}

function kvm(guest: Guest): OpenKvm {
  const kvmRun = new KvmRunView(new Uint8Array(VCPU_MMAP_SIZE))
  const vm = { trace: undefined as KvmTrace | undefined }
  let step: Step | undefined
  let kicked = false
  const vcpu = {
    kvmRun,
    interruptAt: undefined as bigint | undefined,
    run: () => {
      if (kicked) {
        kicked = false
        return -EINTR
      }
      if (vcpu.interruptAt !== undefined && process.hrtime.bigint() >= vcpu.interruptAt) return -EINTR
      const next = guest.next(kvmRun.page[4096] ?? 0)
      step = next.done ? { shutdown: true } : next.value
      if ('halt' in step || 'spin' in step) return -EINTR
      vm.trace?.({ name: 'kvm_entry', vcpuId: 0, rip: 0n })
      vm.trace?.({ name: 'kvm_userspace_exit', vcpuId: 0, reason: 0, errno: 0 })
      if ('shutdown' in step) kvmRun.exitReason = KVM_EXIT_SHUTDOWN
      else {
        kvmRun.exitReason = KVM_EXIT_IO
        const [direction, port] = 'out' in step ? [1, step.out] : [0, step.in]
        Object.assign(kvmRun.io, { direction, size: 1, port, count: 1, dataOffset: 4096n })
        kvmRun.page[4096] = 'out' in step ? step.value : 0
      }
      return 0
    },
    kick: () => (kicked = true),
    halted: () => (step && 'halt' in step ? { wakeAt: undefined } : undefined),
    getRegs: () => KVM_REGS.decode(KVM_REGS.allocate()),
    getSregs: () => KVM_SREGS.decode(KVM_SREGS.allocate()),
    setRegs: () => {},
    setSregs: () => {},
    setCpuid2: () => {},
    setMsrs: (entries: readonly unknown[]) => entries.length,
    stats: () => ({ exits: 3 }),
    close: () => {},
  }
  const nothing = (): void => {}
  Object.assign(vm, {
    allocateMemory: (size: number) => ({ address: 0n, size, bytes: new Uint8Array(size), written: nothing }),
    setUserMemoryRegion: nothing,
    createVcpu: () => vcpu,
    setTssAddr: nothing,
    setIdentityMapAddr: nothing,
    createIrqchip: nothing,
    setGsiRouting: nothing,
    createPit2: nothing,
    getPic: () => ({ elcr: 0, imr: 0 }),
    setPic: nothing,
    irqLine: nothing,
    stats: () => ({ remote_tlb_flush: 1 }),
    close: nothing,
  })
  return { createVm: () => vm, getSupportedCpuid: () => [], clock: { now: () => process.hrtime.bigint() } } as unknown as OpenKvm
}

/** A multiboot kernel that has only its header. */
export function emptyKernel(): Uint8Array {
  const image = new Uint8Array(4096)
  const view = new DataView(image.buffer)
  const flags = 0x10000
  const fields = [0x1badb002, flags, -(0x1badb002 + flags) >>> 0, 0x100000, 0x100000, 0x101000, 0x101000, 0x100020]
  fields.forEach((value, i) => view.setUint32(i * 4, value, true))
  return image
}
