import { IA32_FS_BASE, IA32_GS_BASE } from '@guestmode/x86'
import type { VmxHost } from './host.ts'

/** Areas of MSRs that entries and exits load and store: 16 bytes each, index then value. [SDM3 25.7.2 "VM-Exit Controls for MSRs"] */

const entryBytes = 16

/** Number of the first entry that cannot be loaded (from 1), or 0. [SDM3 27.4 "Loading MSRs"] */
export function loadMsrArea(host: VmxHost, address: number, count: number): number {
  const { mem } = host
  for (let i = 0; i < count; i++) {
    const at = address + i * entryBytes
    if (at + entryBytes > mem.physSize) return i + 1
    const word = (mem.physBase + at) >> 2
    const index = mem.u32[word]!
    const isReserved = mem.u32[word + 1] !== 0 || index === IA32_FS_BASE || index === IA32_GS_BASE || index >>> 8 === 8
    if (isReserved || !host.writeMsr(index, mem.u64[(word >> 1) + 1]!)) return i + 1
  }
  return 0
}

/** [SDM3 28.4 "Saving MSRs"] */
export function storeMsrArea(host: VmxHost, address: number, count: number): number {
  const { mem } = host
  for (let i = 0; i < count; i++) {
    const at = address + i * entryBytes
    if (at + entryBytes > mem.physSize) return i + 1
    const word = (mem.physBase + at) >> 2
    const index = mem.u32[word]!
    const value = mem.u32[word + 1] !== 0 || index >>> 8 === 8 ? undefined : host.readMsr(index)
    if (value === undefined) return i + 1
    mem.u64[(word >> 1) + 1] = value
  }
  return 0
}
