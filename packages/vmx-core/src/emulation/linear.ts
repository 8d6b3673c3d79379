import {
  AR_DB,
  AR_DPL_SHIFT,
  AR_UNUSABLE,
  EFLAGS_VM,
  Exception,
  guestAccess,
  guestBase,
  guestLimit,
  SEG_FS,
  SEG_SS,
  TYPE_CODE,
  TYPE_EXPAND_DOWN,
  TYPE_READABLE,
  TYPE_WRITABLE,
  Vmcs,
} from '@guestmode/x86'
import { PF_USER } from '../mmu/error-code.ts'
import { isProtected } from '../modes/control-registers.ts'
import type { Vcpu } from '../vcpu.ts'
import { codeWidth } from './fetch.ts'

export function cpl(vcpu: Vcpu): number {
  return (vcpu.processor.vmread32(guestAccess(SEG_SS)) >> AR_DPL_SHIFT) & 3
}

/** Bits for the walker: an access of a kind at a privilege level. */
export function access(level: number, kind: number): number {
  return level === 3 ? kind | PF_USER : kind
}

export type Segmented = { readonly linear: bigint } | { readonly fault: number }

/** Linear address of `size` bytes at an offset in a segment, or the vector of the fault. [SDM3 5.3 "Limit Checking"] */
export function segmented(vcpu: Vcpu, seg: number, offset: bigint, size: number, write: boolean): Segmented {
  const { processor } = vcpu
  const fault = { fault: seg === SEG_SS ? Exception.SS : Exception.GP }
  if (codeWidth(vcpu) === 64) {
    const linear = BigInt.asUintN(64, (seg >= SEG_FS ? processor.vmread(guestBase(seg)) : 0n) + offset)
    return BigInt.asUintN(64, BigInt.asIntN(48, linear)) === linear ? { linear } : fault
  }
  const rights = processor.vmread32(guestAccess(seg))
  if (isProtected(vcpu) && (processor.vmread32(Vmcs.GUEST_RFLAGS) & EFLAGS_VM) === 0) {
    if ((rights & AR_UNUSABLE) !== 0) return fault
    const isCode = (rights & TYPE_CODE) !== 0
    if (write ? isCode || (rights & TYPE_WRITABLE) === 0 : isCode && (rights & TYPE_READABLE) === 0) return fault
  }
  const limit = processor.vmread32(guestLimit(seg))
  const first = Number(offset)
  const last = first + size - 1
  const isDown = (rights & (TYPE_CODE | TYPE_EXPAND_DOWN)) === TYPE_EXPAND_DOWN
  const isWithin = isDown ? first > limit && last <= ((rights & AR_DB) !== 0 ? 0xffff_ffff : 0xffff) : last <= limit
  if (!isWithin) return fault
  return { linear: (processor.vmread(guestBase(seg)) + offset) & 0xffff_ffffn }
}
