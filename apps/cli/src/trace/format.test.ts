import { expect, test } from 'vitest'
import type { KvmTraceEvent } from '@guestmode/kvm-abi'
import { formatTraceEvent } from './format.ts'

test.each<[KvmTraceEvent, string]>([
  [
    {
      name: 'kvm_exit',
      vcpuId: 0,
      isa: 'VMX',
      exitReason: 30,
      guestRip: 0x1000n,
      info1: 0x3f80000n,
      info2: 0n,
      intrInfo: 0,
      errorCode: 0,
    },
    'kvm_exit: vcpuId=0 isa=VMX exitReason=IO_INSTRUCTION guestRip=0x1000 info1=0x3f80000 info2=0x0 intrInfo=0x0 errorCode=0x0',
  ],
  [
    { name: 'kvm_pio', rw: 'write', port: 0x3f8, size: 1, count: 1, val: 0x41 },
    'kvm_pio: rw=write port=0x3f8 size=1 count=1 val=0x41',
  ],
  [{ name: 'kvm_userspace_exit', vcpuId: 0, reason: 2, errno: 0 }, 'kvm_userspace_exit: vcpuId=0 reason=KVM_EXIT_IO errno=0'],
  [
    { name: 'kvm_emulate_insn', rip: 1n, insn: Uint8Array.of(0x0f, 0xa2), failed: false },
    'kvm_emulate_insn: rip=0x1 insn=0fa2 failed=false',
  ],
  [
    { name: 'kvm_cpuid', function: 1, index: 0, rax: -1, rbx: 0, rcx: 0, rdx: 0, found: true },
    'kvm_cpuid: function=0x1 index=0x0 rax=0xffffffff rbx=0x0 rcx=0x0 rdx=0x0 found=true',
  ],
])('%o', (event, line) => {
  expect(formatTraceEvent(event)).toBe(line)
})
