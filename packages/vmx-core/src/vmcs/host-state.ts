import {
  CR0_NE,
  CR0_PE,
  CR0_PG,
  CR4_PAE,
  CR4_VMXE,
  EFER_LMA,
  EFER_LME,
  EFER_NXE,
  EFER_SCE,
  IA32_VMX_CR0_FIXED0,
  IA32_VMX_CR4_FIXED0,
  PAT_DEFAULT,
  Vmcs,
} from '@guestmode/x86'
import type { HostMemoryAllocator } from '../host-memory.ts'
import type { VirtualizingProcessor } from '../machine.ts'

/**
 * The host that a VM exit loads. Host software runs beside the processor, so nothing of it is ever used; but VM entry checks it.
 * [SDM3 27.2.2 "Checks on Host Control Registers, MSRs, and SSP"]
 */
export function writeHostState(processor: VirtualizingProcessor, host: HostMemoryAllocator, longMode: boolean): void {
  const fixed = (msr: number) => Number(processor.rdmsr(msr) & 0xffff_ffffn)
  processor.vmwrite32(Vmcs.HOST_CR0, (fixed(IA32_VMX_CR0_FIXED0) | CR0_PE | CR0_PG | CR0_NE) >>> 0)
  processor.vmwrite32(Vmcs.HOST_CR3, host.allocatePage())
  processor.vmwrite32(Vmcs.HOST_CR4, (fixed(IA32_VMX_CR4_FIXED0) | CR4_PAE | CR4_VMXE) >>> 0)
  processor.vmwrite32(Vmcs.HOST_CS_SELECTOR, 0x08)
  for (const field of [Vmcs.HOST_SS_SELECTOR, Vmcs.HOST_DS_SELECTOR, Vmcs.HOST_ES_SELECTOR]) processor.vmwrite32(field, 0x10)
  processor.vmwrite32(Vmcs.HOST_TR_SELECTOR, 0x18)
  for (const field of [
    Vmcs.HOST_FS_SELECTOR,
    Vmcs.HOST_GS_SELECTOR,
    Vmcs.HOST_FS_BASE,
    Vmcs.HOST_GS_BASE,
    Vmcs.HOST_TR_BASE,
    Vmcs.HOST_GDTR_BASE,
    Vmcs.HOST_IDTR_BASE,
    Vmcs.HOST_SYSENTER_CS,
    Vmcs.HOST_SYSENTER_ESP,
    Vmcs.HOST_SYSENTER_EIP,
    Vmcs.HOST_RSP,
    Vmcs.HOST_RIP,
  ]) {
    processor.vmwrite32(field, 0)
  }
  processor.vmwrite(Vmcs.HOST_IA32_PAT, PAT_DEFAULT)
  processor.vmwrite32(Vmcs.HOST_IA32_EFER, longMode ? EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE : 0)
}
