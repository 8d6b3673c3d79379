import {
  EAGAIN,
  EINTR,
  KVM_EXIT_FAIL_ENTRY,
  KVM_EXIT_INTR,
  KVM_EXIT_IOAPIC_EOI,
  KVM_EXIT_IRQ_WINDOW_OPEN,
  KVM_EXIT_SHUTDOWN,
  KVM_MP_STATE_HALTED,
  KVM_MP_STATE_INIT_RECEIVED,
  KVM_MP_STATE_RUNNABLE,
  KVM_MP_STATE_UNINITIALIZED,
} from '@guestmode/kvm-abi'
import { ExitReason, Vmcs } from '@guestmode/x86'
import { injectEvents, isInterruptAllowed, needsReinjection, recoverEvents } from './events/injection.ts'
import { EFLAGS_IF } from '@guestmode/x86'
import { handlerOf } from './exits/table.ts'
import { loadSyncedRegisters, storeSyncedRegisters } from './sync-regs.ts'
import type { Vcpu } from './vcpu.ts'
import { acceptInit, acceptStartup } from './modes/startup.ts'

/** KVM_RUN: completes the last exit, then runs the guest until the VMM has to look. */
export function runVcpu(vcpu: Vcpu): number {
  const { run } = vcpu
  vcpu.hasRun = true
  vcpu.sleeping = false
  if (vcpu.wantsInterruptWindow()) vcpu.eventRequested = true
  run.exitReason = 0
  const result = beforeGuest(vcpu) ?? runGuest(vcpu)
  if (result === -EINTR) {
    run.exitReason = KVM_EXIT_INTR
    vcpu.counters.signal_exits++
  }
  tellState(vcpu)
  vcpu.vm.trace?.({ name: 'kvm_userspace_exit', vcpuId: vcpu.id, reason: run.exitReason, errno: result })
  return result
}

/** Undefined: the guest can run. */
function beforeGuest(vcpu: Vcpu): number | undefined {
  const { run, completion } = vcpu
  if (vcpu.mpState === KVM_MP_STATE_UNINITIALIZED || vcpu.mpState === KVM_MP_STATE_INIT_RECEIVED) {
    if (vcpu.initRequested) acceptInit(vcpu)
    if (vcpu.sipiVector < 0) return takeKick(vcpu) ? -EINTR : -EAGAIN
    acceptStartup(vcpu)
    return -EAGAIN
  }
  loadSyncedRegisters(vcpu)
  if (vcpu.lapic === undefined) vcpu.cr8 = Number(run.cr8 & 15n)
  if (completion !== undefined) {
    vcpu.completion = undefined
    if (!completion()) return 0
  }
  return run.immediateExit !== 0 ? -EINTR : undefined
}

/** 0: `kvm_run` has a reason. */
function runGuest(vcpu: Vcpu): number {
  const { vm } = vcpu
  for (;;) {
    if (takeKick(vcpu)) return -EINTR
    const now = vm.time.now()
    if (vcpu.interruptAt !== undefined && now >= vcpu.interruptAt) {
      vcpu.interruptAt = undefined
      return -EINTR
    }
    vm.advanceTimers(now)
    if (vcpu.initRequested) acceptInit(vcpu)
    if (vcpu.tripleFault) return shutdown(vcpu)
    if (vcpu.mpState === KVM_MP_STATE_HALTED) {
      if (!vcpu.canWake()) {
        if (!sleep(vcpu, now)) return -EINTR
        continue
      }
      vcpu.mpState = KVM_MP_STATE_RUNNABLE
      vcpu.counters.halt_wakeup++
      vcpu.eventRequested = true
    }
    if (vcpu.eventRequested || needsReinjection(vcpu)) {
      vcpu.eventRequested = false
      injectEvents(vcpu)
    }
    if (!enter(vcpu, vm.time.slice(now, nextDeadline(vcpu)))) return 0
    if (vcpu.pendingEoi >= 0) return eoiExit(vcpu)
    if (vcpu.wantsInterruptWindow() && isReadyForInterrupt(vcpu)) {
      vcpu.run.exitReason = KVM_EXIT_IRQ_WINDOW_OPEN
      vcpu.counters.request_irq_exits++
      return 0
    }
  }
}

/** VM entry, the guest, VM exit, and what the exit asks for. */
function enter(vcpu: Vcpu, instructions: number): boolean {
  const { processor, vm } = vcpu
  if (vm.trace !== undefined) vm.trace({ name: 'kvm_entry', vcpuId: vcpu.id, rip: processor.vmread(Vmcs.GUEST_RIP) })
  const status = vcpu.launched ? processor.vmresume(instructions) : processor.vmlaunch(instructions)
  if (status !== undefined) return entryFailed(vcpu, status)
  const reason = processor.vmread32(Vmcs.VM_EXIT_REASON)
  if (reason >= ExitReason.ENTRY_FAILURE) return entryFailed(vcpu, reason)
  vcpu.launched = true
  vcpu.counters.exits++
  vm.time.exited(reason === ExitReason.EXTERNAL_INTERRUPT)
  recoverEvents(vcpu)
  if (vm.trace !== undefined) traceExit(vcpu, reason)
  return handlerOf(reason)(vcpu)
}

/** The processor refused: its state is not one that a guest can have. */
function entryFailed(vcpu: Vcpu, reason: number): false {
  const { run, processor } = vcpu
  vcpu.vm.engine.log(`vCPU ${vcpu.id}: VM entry failed with ${reason & 0xffff}: ${processor.lastEntryFailure ?? 'unknown check'}`)
  run.exitReason = KVM_EXIT_FAIL_ENTRY
  run.failEntry.hardwareEntryFailureReason = BigInt(reason)
  run.failEntry.cpu = 0
  return false
}

function shutdown(vcpu: Vcpu): number {
  vcpu.tripleFault = false
  vcpu.run.exitReason = KVM_EXIT_SHUTDOWN
  return 0
}

function eoiExit(vcpu: Vcpu): number {
  vcpu.run.exitReason = KVM_EXIT_IOAPIC_EOI
  vcpu.run.eoi.vector = vcpu.pendingEoi
  vcpu.pendingEoi = -1
  return 0
}

function takeKick(vcpu: Vcpu): boolean {
  if (!vcpu.kicked && vcpu.run.immediateExit === 0) return false
  vcpu.kicked = false
  return true
}

function nextDeadline(vcpu: Vcpu): bigint | undefined {
  const timer = vcpu.vm.nextTimer()
  const { interruptAt } = vcpu
  if (timer === undefined || interruptAt === undefined) return timer ?? interruptAt
  return timer < interruptAt ? timer : interruptAt
}

/** A halted vCPU waits: in virtual time it is at once the next deadline. False: nothing here can wait, the VMM has to. */
function sleep(vcpu: Vcpu, now: bigint): boolean {
  const { vm } = vcpu
  const { wait } = vm.engine.options
  const deadline = nextDeadline(vcpu)
  if (vm.time.skipTo !== undefined && deadline !== undefined) {
    vm.time.skipTo(deadline)
    return true
  }
  if (wait !== undefined) {
    const outcome = wait(deadline)
    vm.trace?.({ name: 'kvm_vcpu_wakeup', vcpuId: vcpu.id, ns: vm.time.now() - now, waited: true })
    // What happened may have been for the VMM alone, which then has to run.
    return outcome === 'timeout' || vcpu.canWake()
  }
  vcpu.sleeping = true
  return false
}

/** The guest can take an interrupt of the VMM's PIC now. */
export function isReadyForInterrupt(vcpu: Vcpu): boolean {
  if (needsReinjection(vcpu) || vcpu.exception.pending || vcpu.externalVector >= 0) return false
  return (vcpu.lapic === undefined || vcpu.lapic.acceptsExtInt) && isInterruptAllowed(vcpu)
}

/** What `kvm_run` says after every KVM_RUN. */
function tellState(vcpu: Vcpu): void {
  const { run, processor, vm } = vcpu
  run.ifFlag = (processor.vmread32(Vmcs.GUEST_RFLAGS) & EFLAGS_IF) !== 0 ? 1 : 0
  run.cr8 = BigInt(vcpu.cr8)
  run.apicBase = vcpu.apicBase
  run.readyForInterruptInjection = vm.router?.chips !== undefined || isReadyForInterrupt(vcpu) ? 1 : 0
  storeSyncedRegisters(vcpu)
}

function traceExit(vcpu: Vcpu, exitReason: number): void {
  const { processor, vm } = vcpu
  vm.trace?.({
    name: 'kvm_exit',
    vcpuId: vcpu.id,
    isa: 'VMX',
    exitReason,
    guestRip: processor.vmread(Vmcs.GUEST_RIP),
    info1: processor.vmread(Vmcs.EXIT_QUALIFICATION),
    info2: processor.vmread(Vmcs.IDT_VECTORING_INFO),
    intrInfo: processor.vmread32(Vmcs.VM_EXIT_INTR_INFO),
    errorCode: processor.vmread32(Vmcs.VM_EXIT_INTR_ERROR_CODE),
  })
}
