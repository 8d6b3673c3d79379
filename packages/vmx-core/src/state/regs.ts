import type { KvmRegs } from '@guestmode/kvm-abi'
import { EFLAGS_FIXED, Vmcs } from '@guestmode/x86'
import { noException } from '../events/exceptions.ts'
import type { Vcpu } from '../vcpu.ts'

/** Register numbers, by the names of `kvm_regs`. RSP is in the VMCS. */
const GPRS = {
  rax: 0,
  rcx: 1,
  rdx: 2,
  rbx: 3,
  rbp: 5,
  rsi: 6,
  rdi: 7,
  r8: 8,
  r9: 9,
  r10: 10,
  r11: 11,
  r12: 12,
  r13: 13,
  r14: 14,
  r15: 15,
} as const
const names = Object.entries(GPRS) as [keyof typeof GPRS, number][]

export function getRegs(vcpu: Vcpu): KvmRegs {
  const { processor } = vcpu
  const regs = {
    rsp: processor.vmread(Vmcs.GUEST_RSP),
    rip: processor.vmread(Vmcs.GUEST_RIP),
    rflags: processor.vmread(Vmcs.GUEST_RFLAGS),
  } as KvmRegs
  for (const [name, index] of names) regs[name] = processor.registers.gpr(index)
  return regs
}

export function setRegs(vcpu: Vcpu, regs: KvmRegs): void {
  const { processor } = vcpu
  for (const [name, index] of names) processor.registers.setGpr(index, regs[name])
  processor.vmwrite(Vmcs.GUEST_RSP, regs.rsp)
  processor.vmwrite(Vmcs.GUEST_RIP, regs.rip)
  processor.vmwrite(Vmcs.GUEST_RFLAGS, regs.rflags | BigInt(EFLAGS_FIXED))
  vcpu.exception = noException()
  vcpu.eventRequested = true
}
