/** Model-specific registers that firmware sets before a kernel starts. */
import type { KvmVcpu } from '@guestmode/kvm-abi'
import { GIB, LOW_RAM_LIMIT } from '../machine/layout.ts'

const IA32_MISC_ENABLE = 0x1a0
const IA32_MTRR_PHYSBASE0 = 0x200
const IA32_MTRR_PHYSMASK0 = 0x201
const IA32_MTRR_DEF_TYPE = 0x2ff

const FAST_STRINGS = 1n
const WRITE_BACK = 6n
const UNCACHEABLE = 0n
const MTRR_ENABLE = 1n << 11n
const MASK_VALID = 1n << 11n
/** Physical addresses have at least 36 bits on every processor with MTRRs. */
const PHYSICAL_MASK = (1n << 36n) - 1n

/** RAM is cached, the device hole from 3 to 4 GiB is not. [SDM3 12.11.2.1 "IA32_MTRR_DEF_TYPE MSR"] */
export function setFirmwareMsrs(vcpu: KvmVcpu): void {
  const msrs: [number, bigint][] = [
    [IA32_MISC_ENABLE, FAST_STRINGS],
    [IA32_MTRR_PHYSBASE0, BigInt(LOW_RAM_LIMIT) | UNCACHEABLE],
    [IA32_MTRR_PHYSMASK0, (PHYSICAL_MASK & ~BigInt(GIB - 1)) | MASK_VALID],
    [IA32_MTRR_DEF_TYPE, MTRR_ENABLE | WRITE_BACK],
  ]
  // One at a time: a processor without one of them still gets the others.
  for (const [index, data] of msrs) vcpu.setMsrs([{ index, data }])
}
