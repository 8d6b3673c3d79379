import { KVM_EXIT_HLT, KVM_EXIT_SHUTDOWN, KVM_MP_STATE_HALTED } from '@guestmode/kvm-abi'
import {
  APIC_BASE_ENABLE,
  CPU_INTERRUPT_WINDOW_EXITING,
  CPU_NMI_WINDOW_EXITING,
  Vmcs,
  XCR0_AVX,
  XCR0_SSE,
  XCR0_X87,
} from '@guestmode/x86'
import { afterInstruction } from '../debug.ts'
import { queueGp, queueUd } from '../events/exceptions.ts'
import { skipInstruction } from '../instruction.ts'
import { isLongMode, readCr4 } from '../modes/control-registers.ts'
import type { Vcpu } from '../vcpu.ts'

const LOW = 0xffff_ffffn

export function handleCpuid(vcpu: Vcpu): boolean {
  const { registers } = vcpu.processor
  const leaf = Number(registers.gpr(0) & LOW)
  const subleaf = Number(registers.gpr(1) & LOW)
  const apicEnabled = (vcpu.apicBase & BigInt(APIC_BASE_ENABLE)) !== 0n
  const { leaf: answer, found } = vcpu.cpuid.answer(leaf, subleaf, { cr4: readCr4(vcpu), apicEnabled })
  const { eax, ebx, ecx, edx } = answer
  vcpu.vm.trace?.({ name: 'kvm_cpuid', function: leaf, index: subleaf, rax: eax, rbx: ebx, rcx: ecx, rdx: edx, found })
  registers.setGpr(0, BigInt(eax >>> 0))
  registers.setGpr(3, BigInt(ebx >>> 0))
  registers.setGpr(1, BigInt(ecx >>> 0))
  registers.setGpr(2, BigInt(edx >>> 0))
  return skipInstruction(vcpu)
}

export function handleHlt(vcpu: Vcpu): boolean {
  vcpu.counters.halt_exits++
  const goesOn = skipInstruction(vcpu)
  if (!goesOn) return false
  if (vcpu.lapic !== undefined) {
    vcpu.mpState = KVM_MP_STATE_HALTED
    return true
  }
  vcpu.run.exitReason = KVM_EXIT_HLT
  return false
}

/** The slice of time is over: the run loop looks round. */
export function handleExternalInterrupt(vcpu: Vcpu): boolean {
  vcpu.counters.irq_exits++
  return true
}

export function handleInterruptWindow(vcpu: Vcpu): boolean {
  vcpu.controls.setCpu(CPU_INTERRUPT_WINDOW_EXITING, false)
  vcpu.counters.irq_window_exits++
  vcpu.eventRequested = true
  return true
}

export function handleNmiWindow(vcpu: Vcpu): boolean {
  vcpu.controls.setCpu(CPU_NMI_WINDOW_EXITING, false)
  vcpu.counters.nmi_window_exits++
  vcpu.eventRequested = true
  return true
}

export function handleTripleFault(vcpu: Vcpu): false {
  vcpu.run.exitReason = KVM_EXIT_SHUTDOWN
  return false
}

/** The instruction that was stepped is done, or an event has been delivered. */
export function handleMonitorTrap(vcpu: Vcpu): boolean {
  return afterInstruction(vcpu)
}

/** Caches are coherent whatever the guest does. */
export function handleNothing(vcpu: Vcpu): boolean {
  return skipInstruction(vcpu)
}

export function handleInvlpg(vcpu: Vcpu): boolean {
  vcpu.counters.invlpg++
  vcpu.mmu.invlpg(vcpu.processor.vmread(Vmcs.EXIT_QUALIFICATION))
  return skipInstruction(vcpu)
}

/** No performance counters. */
export function handleRdpmc(vcpu: Vcpu): boolean {
  queueGp(vcpu)
  return true
}

/** VMX instructions, and what else a guest of ours does not have. */
export function handleUndefined(vcpu: Vcpu): boolean {
  queueUd(vcpu)
  return true
}

const KVM_ENOSYS = 1000n

/** No hypercall is offered. [Linux Documentation/virt/kvm/x86/hypercalls.rst] */
export function handleVmcall(vcpu: Vcpu): boolean {
  const { registers } = vcpu.processor
  const mask = isLongMode(vcpu) ? (1n << 64n) - 1n : LOW
  const [nr, a0, a1, a2, a3] = [0, 3, 1, 2, 6].map((index) => registers.gpr(index) & mask) as [
    bigint,
    bigint,
    bigint,
    bigint,
    bigint,
  ]
  vcpu.vm.trace?.({ name: 'kvm_hypercall', nr, a0, a1, a2, a3 })
  registers.setGpr(0, -KVM_ENOSYS & mask)
  return skipInstruction(vcpu)
}

/** [SDM2 "XSETBV—Set Extended Control Register"] */
export function handleXsetbv(vcpu: Vcpu): boolean {
  const { registers } = vcpu.processor
  const index = registers.gpr(1) & LOW
  const value = ((registers.gpr(2) & LOW) << 32n) | (registers.gpr(0) & LOW)
  const isCplZero = ((vcpu.processor.vmread32(Vmcs.GUEST_SS_AR_BYTES) >> 5) & 3) === 0
  if (index !== 0n || !isCplZero || !isValidXcr0(vcpu, value)) {
    queueGp(vcpu)
    return true
  }
  registers.xcr0 = value
  return skipInstruction(vcpu)
}

export function isValidXcr0(vcpu: Vcpu, value: bigint): boolean {
  const supported = BigInt(XCR0_X87 | XCR0_SSE | (vcpu.cpuid.has('avx') ? XCR0_AVX : 0))
  if ((value & 1n) === 0n || (value & ~supported) !== 0n) return false
  return (value & BigInt(XCR0_AVX)) === 0n || (value & BigInt(XCR0_SSE)) !== 0n
}
