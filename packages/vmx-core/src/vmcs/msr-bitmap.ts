import {
  IA32_CSTAR,
  IA32_FMASK,
  IA32_FS_BASE,
  IA32_GS_BASE,
  IA32_KERNEL_GS_BASE,
  IA32_LSTAR,
  IA32_STAR,
  IA32_SYSENTER_CS,
  IA32_SYSENTER_EIP,
  IA32_SYSENTER_ESP,
  IA32_TIME_STAMP_COUNTER,
  IA32_TSC_AUX,
} from '@guestmode/x86'
import { PAGE_SIZE, type HostMemoryAllocator } from '../host-memory.ts'

/** MSRs that the processor switches or that are the vCPU's alone: the guest has them without exits. */
const READ = [
  IA32_FS_BASE,
  IA32_GS_BASE,
  IA32_KERNEL_GS_BASE,
  IA32_SYSENTER_CS,
  IA32_SYSENTER_ESP,
  IA32_SYSENTER_EIP,
  IA32_STAR,
  IA32_LSTAR,
  IA32_CSTAR,
  IA32_FMASK,
  IA32_TSC_AUX,
]

const WRITE_HALF = 2048
const HIGH_RANGE = 1024

/** Bit set: exit. [SDM3 25.6.9 "MSR-Bitmap Address"] */
export function createMsrBitmap(host: HostMemoryAllocator): number {
  const page = host.allocatePage()
  const { u8, physBase } = host.memory
  const start = physBase + page
  u8.fill(0xff, start, start + PAGE_SIZE)
  const pass = (msr: number, half: number) => {
    const at = start + half + (msr >= 0xc000_0000 ? HIGH_RANGE : 0) + ((msr & 0x1fff) >> 3)
    u8[at] = u8[at]! & ~(1 << (msr & 7))
  }
  pass(IA32_TIME_STAMP_COUNTER, 0)
  for (const msr of READ) {
    pass(msr, 0)
    pass(msr, WRITE_HALF)
  }
  return page
}
