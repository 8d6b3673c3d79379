import { BLOCKING_BY_MOV_SS, BLOCKING_BY_STI, EFLAGS_RF, EFLAGS_TF, Vmcs } from '@guestmode/x86'
import { afterInstruction } from './debug.ts'
import { codeWidth } from './emulation/fetch.ts'
import { queueDebug, SINGLE_STEP } from './events/exceptions.ts'
import type { Vcpu } from './vcpu.ts'

const FOUR_GIB = 0x1_0000_0000n

/**
 * An instruction has been emulated: RIP goes to `next`, and what one instruction leaves behind happens (the end of an interrupt
 * shadow, a single step). False when the debugger is to be told.
 */
export function instructionDone(vcpu: Vcpu, next: bigint): boolean {
  const { processor } = vcpu
  processor.vmwrite(Vmcs.GUEST_RIP, next >= FOUR_GIB && codeWidth(vcpu) !== 64 ? next & 0xffff_ffffn : next)
  const blocking = processor.vmread32(Vmcs.GUEST_INTERRUPTIBILITY_INFO)
  if ((blocking & (BLOCKING_BY_STI | BLOCKING_BY_MOV_SS)) !== 0) {
    processor.vmwrite32(Vmcs.GUEST_INTERRUPTIBILITY_INFO, blocking & ~(BLOCKING_BY_STI | BLOCKING_BY_MOV_SS))
  }
  const flags = processor.vmread32(Vmcs.GUEST_RFLAGS)
  if ((flags & EFLAGS_RF) !== 0) processor.vmwrite32(Vmcs.GUEST_RFLAGS, flags & ~EFLAGS_RF)
  if ((flags & EFLAGS_TF) !== 0) queueDebug(vcpu, SINGLE_STEP)
  return afterInstruction(vcpu)
}

/** Goes past the instruction that exited. */
export function skipInstruction(vcpu: Vcpu): boolean {
  const { processor } = vcpu
  const length = processor.vmread32(Vmcs.VM_EXIT_INSTRUCTION_LENGTH)
  return instructionDone(vcpu, processor.vmread(Vmcs.GUEST_RIP) + BigInt(length))
}

/** Skips it when the VMM answers, unless it has moved RIP meanwhile. */
export function skipOnCompletion(vcpu: Vcpu): () => boolean {
  const { processor } = vcpu
  const rip = processor.vmread(Vmcs.GUEST_RIP)
  const next = rip + BigInt(processor.vmread32(Vmcs.VM_EXIT_INSTRUCTION_LENGTH))
  return () => (processor.vmread(Vmcs.GUEST_RIP) === rip ? instructionDone(vcpu, next) : true)
}
