import { array, bytes, field, struct, u16, u32, u64, u8 } from './struct.ts'
import type { StructView } from './struct.ts'
import { KVM_DEBUG_EXIT_ARCH } from './guest-debug.ts'
import { KVM_REGS, KVM_SREGS } from './regs.ts'
import { KVM_VCPU_EVENTS } from './events.ts'
import { PAGE_SIZE } from './memory.ts'

/** Pages of a vCPU's mapping: `kvm_run`, then the PIO data, then the coalesced MMIO ring. */
export const KVM_PIO_PAGE_OFFSET = 1
export const KVM_COALESCED_MMIO_PAGE_OFFSET = 2
/** What KVM_GET_VCPU_MMAP_SIZE answers on x86. */
export const VCPU_MMAP_SIZE = 3 * PAGE_SIZE

/** Bits of `kvm_run.flags` */
export const KVM_RUN_X86_SMM = 1
export const KVM_RUN_X86_BUS_LOCK = 2

/** Bits of `kvm_valid_regs` and `kvm_dirty_regs` */
export const KVM_SYNC_X86_REGS = 1
export const KVM_SYNC_X86_SREGS = 2
export const KVM_SYNC_X86_EVENTS = 4
export const KVM_SYNC_X86_VALID_FIELDS = 7

export const KVM_SYNC_REGS = struct('kvm_sync_regs', 520, {
  regs: field(KVM_REGS, 0),
  sregs: field(KVM_SREGS, 144),
  events: field(KVM_VCPU_EVENTS, 456),
})

const EXIT = 32

/** The first page of a vCPU's mapping. What is at 32 depends on `exitReason`. */
export const KVM_RUN_PAGE = struct('kvm_run', 2352, {
  requestInterruptWindow: field(u8, 0),
  immediateExit: field(u8, 1),
  exitReason: field(u32, 8),
  readyForInterruptInjection: field(u8, 12),
  ifFlag: field(u8, 13),
  flags: field(u16, 14),
  cr8: field(u64, 16),
  apicBase: field(u64, 24),
  /** KVM_EXIT_UNKNOWN */
  hw: field(struct('', 8, { hardwareExitReason: field(u64, 0) }), EXIT),
  /** KVM_EXIT_FAIL_ENTRY */
  failEntry: field(struct('', 16, { hardwareEntryFailureReason: field(u64, 0), cpu: field(u32, 8) }), EXIT),
  /** KVM_EXIT_EXCEPTION */
  ex: field(struct('', 8, { exception: field(u32, 0), errorCode: field(u32, 4) }), EXIT),
  /** KVM_EXIT_IO: `count` items of `size` bytes at `dataOffset` from the start of the page */
  io: field(
    struct('', 16, {
      direction: field(u8, 0),
      size: field(u8, 1),
      port: field(u16, 2),
      count: field(u32, 4),
      dataOffset: field(u64, 8),
    }),
    EXIT,
  ),
  /** KVM_EXIT_DEBUG */
  debug: field(KVM_DEBUG_EXIT_ARCH, EXIT, 'debug.arch'),
  /** KVM_EXIT_MMIO */
  mmio: field(
    struct('', 24, { physAddr: field(u64, 0), data: field(bytes(8), 8), len: field(u32, 16), isWrite: field(u8, 20) }),
    EXIT,
  ),
  /** KVM_EXIT_HYPERCALL */
  hypercall: field(
    struct('', 72, { nr: field(u64, 0), args: field(array(u64, 6), 8), ret: field(u64, 56), longmode: field(u32, 64) }),
    EXIT,
  ),
  /** KVM_EXIT_TPR_ACCESS */
  tprAccess: field(struct('', 16, { rip: field(u64, 0), isWrite: field(u32, 8) }), EXIT),
  /** KVM_EXIT_INTERNAL_ERROR */
  internal: field(struct('', 136, { suberror: field(u32, 0), ndata: field(u32, 4), data: field(array(u64, 16), 8) }), EXIT),
  /** KVM_EXIT_INTERNAL_ERROR with KVM_INTERNAL_ERROR_EMULATION */
  emulationFailure: field(
    struct('', 32, {
      suberror: field(u32, 0),
      ndata: field(u32, 4),
      flags: field(u64, 8),
      insnSize: field(u8, 16),
      insnBytes: field(bytes(15), 17),
    }),
    EXIT,
  ),
  /** KVM_EXIT_SYSTEM_EVENT: `flags` is `data[0]` by its older name */
  systemEvent: field(
    struct('', 136, { type: field(u32, 0), ndata: field(u32, 4), flags: field(u64, 8), data: field(array(u64, 16), 8) }),
    EXIT,
  ),
  /** KVM_EXIT_IOAPIC_EOI */
  eoi: field(struct('', 1, { vector: field(u8, 0) }), EXIT),
  /** KVM_EXIT_X86_RDMSR, KVM_EXIT_X86_WRMSR */
  msr: field(struct('', 24, { error: field(u8, 0), reason: field(u32, 8), index: field(u32, 12), data: field(u64, 16) }), EXIT),
  /** KVM_EXIT_NOTIFY */
  notify: field(struct('', 4, { flags: field(u32, 0) }), EXIT),
  kvmValidRegs: field(u64, 288),
  kvmDirtyRegs: field(u64, 296),
  sync: field(KVM_SYNC_REGS, 304, 's.regs'),
})

const RunFields: new (data: DataView, at: number) => StructView<typeof KVM_RUN_PAGE> = KVM_RUN_PAGE.View

/** The mapping that a vCPU shares with its VMM. */
export class KvmRunView extends RunFields {
  /** The whole mapping, KVM_GET_VCPU_MMAP_SIZE bytes; the same memory for the vCPU's life. */
  readonly page: Uint8Array

  constructor(page: Uint8Array) {
    super(new DataView(page.buffer, page.byteOffset, page.byteLength), 0)
    this.page = page
  }

  /** The bytes of a KVM_EXIT_IO: `io.count` items of `io.size` bytes, to be read (OUT) or filled in (IN). */
  pioData(): Uint8Array {
    const offset = Number(this.io.dataOffset)
    return this.page.subarray(offset, offset + this.io.size * this.io.count)
  }
}
