import type { KvmSegment } from '@guestmode/kvm-abi'
import {
  AR_AVL,
  AR_DB,
  AR_DPL_SHIFT,
  AR_G,
  AR_L,
  AR_P,
  AR_S,
  AR_TYPE,
  AR_UNUSABLE,
  guestAccess,
  guestBase,
  guestLimit,
  guestSelector,
  SEG_LDTR,
} from '@guestmode/x86'
import type { VirtualizingProcessor } from '../machine.ts'

/** Between `kvm_segment` and the four VMCS fields of a segment register. */
export function readSegment(processor: VirtualizingProcessor, seg: number): KvmSegment {
  const access = processor.vmread32(guestAccess(seg))
  const flag = (bit: number) => ((access & bit) !== 0 ? 1 : 0)
  const unusable = flag(AR_UNUSABLE)
  return {
    base: processor.vmread(guestBase(seg)),
    limit: processor.vmread32(guestLimit(seg)),
    selector: processor.vmread32(guestSelector(seg)),
    type: access & AR_TYPE,
    present: unusable ? 0 : flag(AR_P),
    dpl: (access >> AR_DPL_SHIFT) & 3,
    db: flag(AR_DB),
    s: flag(AR_S),
    l: flag(AR_L),
    g: flag(AR_G),
    avl: flag(AR_AVL),
    unusable,
  }
}

export function writeSegment(processor: VirtualizingProcessor, seg: number, segment: KvmSegment): void {
  let access =
    (segment.type & AR_TYPE) |
    (segment.s ? AR_S : 0) |
    ((segment.dpl & 3) << AR_DPL_SHIFT) |
    (segment.present ? AR_P : 0) |
    (segment.avl ? AR_AVL : 0) |
    (segment.l ? AR_L : 0) |
    (segment.db ? AR_DB : 0) |
    (segment.g ? AR_G : 0) |
    (segment.unusable || !segment.present ? AR_UNUSABLE : 0)
  // A processor that loads a segment register sets the accessed flag, and VM entry insists on it; VMMs that describe a real-mode
  // segment leave it out.
  if (seg !== SEG_LDTR) access |= 1
  processor.vmwrite(guestBase(seg), segment.base)
  processor.vmwrite32(guestLimit(seg), segment.limit)
  processor.vmwrite32(guestSelector(seg), segment.selector)
  processor.vmwrite32(guestAccess(seg), access)
}
