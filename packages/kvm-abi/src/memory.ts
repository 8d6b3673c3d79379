import { bytes, field, struct, u32, u64 } from './struct.ts'
import type { StructValue } from './struct.ts'

export const KVM_MEM_LOG_DIRTY_PAGES = 1
export const KVM_MEM_READONLY = 2

/** KVM_SET_USER_MEMORY_REGION */
export const KVM_USERSPACE_MEMORY_REGION = struct('kvm_userspace_memory_region', 32, {
  slot: field(u32, 0),
  flags: field(u32, 4),
  guestPhysAddr: field(u64, 8),
  memorySize: field(u64, 16),
  userspaceAddr: field(u64, 24),
})
export type KvmUserspaceMemoryRegion = StructValue<typeof KVM_USERSPACE_MEMORY_REGION>

/** KVM_GET_DIRTY_LOG: `dirtyBitmap` is a userspace address; one bit per page, in whole 64-bit words */
export const KVM_DIRTY_LOG = struct('kvm_dirty_log', 16, {
  slot: field(u32, 0),
  dirtyBitmap: field(u64, 8),
})

export const KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE = 1
export const KVM_DIRTY_LOG_INITIALLY_SET = 2

/** KVM_CLEAR_DIRTY_LOG */
export const KVM_CLEAR_DIRTY_LOG_ARGUMENT = struct('kvm_clear_dirty_log', 24, {
  slot: field(u32, 0),
  numPages: field(u32, 4),
  firstPage: field(u64, 8),
  dirtyBitmap: field(u64, 16),
})

/** An entry of the dirty ring */
export const KVM_DIRTY_GFN = struct('kvm_dirty_gfn', 16, {
  flags: field(u32, 0),
  slot: field(u32, 4),
  offset: field(u64, 8),
})
export const KVM_DIRTY_GFN_F_DIRTY = 1
export const KVM_DIRTY_GFN_F_RESET = 2
export const KVM_DIRTY_LOG_PAGE_OFFSET = 64

/** KVM_REGISTER_COALESCED_MMIO, KVM_UNREGISTER_COALESCED_MMIO */
export const KVM_COALESCED_MMIO_ZONE = struct('kvm_coalesced_mmio_zone', 16, {
  addr: field(u64, 0),
  size: field(u32, 8),
  pio: field(u32, 12),
})
export type KvmCoalescedMmioZone = StructValue<typeof KVM_COALESCED_MMIO_ZONE>

export const KVM_COALESCED_MMIO = struct('kvm_coalesced_mmio', 24, {
  physAddr: field(u64, 0),
  len: field(u32, 8),
  pio: field(u32, 12),
  data: field(bytes(8), 16),
})

/** At page KVM_COALESCED_MMIO_PAGE_OFFSET of a vCPU's mapping; the entries follow: `first` is the reader's, `last` the writer's */
export const KVM_COALESCED_MMIO_RING = struct('kvm_coalesced_mmio_ring', 8, {
  first: field(u32, 0),
  last: field(u32, 4),
})
export const PAGE_SIZE = 4096
/** Entries that fit in the ring's page. */
export const COALESCED_MMIO_MAX = Math.floor((PAGE_SIZE - KVM_COALESCED_MMIO_RING.size) / KVM_COALESCED_MMIO.size)
