import type { KvmVcpu } from '@guestmode/kvm-abi'

/** The registers that tell a person where a guest stopped. A vCPU that cannot be asked yields none. */
export function registerFacts(vcpu: KvmVcpu): Record<string, string> {
  try {
    const regs = vcpu.getRegs()
    const sregs = vcpu.getSregs()
    const hex = (value: bigint | number): string => `0x${value.toString(16)}`
    return {
      rip: `${sregs.cs.selector.toString(16)}:${regs.rip.toString(16)}`,
      rsp: hex(regs.rsp),
      rflags: hex(regs.rflags),
      ...Object.fromEntries((['rax', 'rbx', 'rcx', 'rdx', 'rsi', 'rdi', 'rbp'] as const).map((name) => [name, hex(regs[name])])),
      cr0: hex(sregs.cr0),
      cr2: hex(sregs.cr2),
      cr3: hex(sregs.cr3),
      cr4: hex(sregs.cr4),
      efer: hex(sregs.efer),
    }
  } catch {
    return {}
  }
}
