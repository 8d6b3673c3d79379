import {
  KVM_EXIT_X86_RDMSR,
  KVM_EXIT_X86_WRMSR,
  KVM_MSR_EXIT_REASON_INVAL,
  KVM_MSR_EXIT_REASON_UNKNOWN,
} from '@guestmode/kvm-abi'
import { queueGp } from '../events/exceptions.ts'
import { skipInstruction, skipOnCompletion } from '../instruction.ts'
import { isKnownMsr, readMsr, writeMsr } from '../msr.ts'
import type { Vcpu } from '../vcpu.ts'

const RAX = 0
const RCX = 1
const RDX = 2
const LOW = 0xffff_ffffn

const indexOf = (vcpu: Vcpu): number => Number(vcpu.processor.registers.gpr(RCX) & LOW)

export function handleRdmsr(vcpu: Vcpu): boolean {
  const index = indexOf(vcpu)
  const value = readMsr(vcpu, index, false)
  vcpu.vm.trace?.({ name: 'kvm_msr', write: false, ecx: index, data: value ?? 0n, exception: value === undefined })
  if (value !== undefined) return finishRead(vcpu, value)
  if (!asksVmm(vcpu, index)) return fault(vcpu)
  const skip = skipOnCompletion(vcpu)
  return msrExit(vcpu, KVM_EXIT_X86_RDMSR, index, 0n, () => {
    setResult(vcpu, vcpu.run.msr.data)
    return skip()
  })
}

export function handleWrmsr(vcpu: Vcpu): boolean {
  const { registers } = vcpu.processor
  const index = indexOf(vcpu)
  const value = ((registers.gpr(RDX) & LOW) << 32n) | (registers.gpr(RAX) & LOW)
  const isDone = writeMsr(vcpu, index, value, false)
  vcpu.vm.trace?.({ name: 'kvm_msr', write: true, ecx: index, data: value, exception: !isDone })
  if (isDone) return skipInstruction(vcpu)
  if (!asksVmm(vcpu, index)) return fault(vcpu)
  return msrExit(vcpu, KVM_EXIT_X86_WRMSR, index, value, skipOnCompletion(vcpu))
}

function setResult(vcpu: Vcpu, value: bigint): void {
  const { registers } = vcpu.processor
  registers.setGpr(RAX, value & LOW)
  registers.setGpr(RDX, value >> 32n)
}

function finishRead(vcpu: Vcpu, value: bigint): boolean {
  setResult(vcpu, value)
  return skipInstruction(vcpu)
}

function fault(vcpu: Vcpu): true {
  queueGp(vcpu)
  return true
}

const reasonOf = (vcpu: Vcpu, index: number): number =>
  isKnownMsr(vcpu, index) ? KVM_MSR_EXIT_REASON_INVAL : KVM_MSR_EXIT_REASON_UNKNOWN

const asksVmm = (vcpu: Vcpu, index: number): boolean => (vcpu.vm.userSpaceMsr & reasonOf(vcpu, index)) !== 0

function msrExit(vcpu: Vcpu, exitReason: number, index: number, data: bigint, done: () => boolean): false {
  const { run } = vcpu
  run.exitReason = exitReason
  run.msr.error = 0
  run.msr.reason = reasonOf(vcpu, index)
  run.msr.index = index
  run.msr.data = data
  vcpu.completion = () => (run.msr.error !== 0 ? fault(vcpu) : done())
  return false
}
