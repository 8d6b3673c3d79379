import { IA32_VMX_BASIC, Vmcs } from '@guestmode/x86'
import type { HostMemoryAllocator } from '../host-memory.ts'
import type { VirtualizingProcessor } from '../machine.ts'
import { writeHostState } from './host-state.ts'
import { createMsrBitmap } from './msr-bitmap.ts'

/** A page that begins with the VMCS revision identifier. [SDM3 25.2 "Format of the VMCS Region"] */
function region(processor: VirtualizingProcessor, host: HostMemoryAllocator): number {
  const page = host.allocatePage()
  host.memory.u32[(host.memory.physBase + page) / 4] = Number(processor.rdmsr(IA32_VMX_BASIC) & 0x7fff_ffffn)
  return page
}

function succeed(status: number | undefined, instruction: string): void {
  if (status !== undefined) throw new Error(`${instruction} failed with ${status}`)
}

export function enterVmxOperation(processor: VirtualizingProcessor, host: HostMemoryAllocator): void {
  succeed(processor.vmxon(region(processor, host)), 'VMXON')
}

/** Makes a new VMCS the current one, with host state and bitmaps. */
export function createVmcs(processor: VirtualizingProcessor, host: HostMemoryAllocator, longMode: boolean): void {
  const vmcs = region(processor, host)
  succeed(processor.vmclear(vmcs), 'VMCLEAR')
  succeed(processor.vmptrld(vmcs), 'VMPTRLD')
  processor.vmwrite32(Vmcs.MSR_BITMAP, createMsrBitmap(host))
  writeHostState(processor, host, longMode)
}
