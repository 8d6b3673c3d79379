import { AR_DB, AR_UNUSABLE, Exception, SEG_FS, SEG_SS, TYPE_CODE, TYPE_EXPAND_DOWN } from '@guestmode/x86'
import type { Cpu } from '../cpu/cpu.ts'
import { GuestFault } from '../cpu/events.ts'
import { isCanonical, isProtected } from './mode.ts'

/** Whether `size` bytes at `offset` lie within a segment's limit. In a segment of 4 GiB they may wrap round. */
export function withinLimit(offset: number, size: number, limit: number, access: number): boolean {
  const last = offset + size - 1
  if ((access & (TYPE_CODE | TYPE_EXPAND_DOWN)) !== TYPE_EXPAND_DOWN) return last <= limit || limit === 0xffff_ffff
  return offset > limit && last <= ((access & AR_DB) !== 0 ? 0xffff_ffff : 0xffff)
}

/** Linear address of an operand, with the checks of its segment. [SDM3 5.3 "Limit Checking", 5.4 "Type Checking"] */
export function linearAddress(cpu: Cpu, seg: number, offset: bigint, size: number, write: boolean): bigint {
  const { state } = cpu
  if (state.codeWidth === 64) {
    const linear = seg >= SEG_FS ? BigInt.asUintN(64, offset + state.segBase.get(seg)) : offset
    if (!isCanonical(linear) || !isCanonical(BigInt.asUintN(64, linear + BigInt(size - 1)))) throw segmentFault(seg)
    return linear
  }
  const access = state.segAccess.get(seg)
  if (isProtected(cpu)) {
    if ((access & AR_UNUSABLE) !== 0) throw segmentFault(seg)
    const isCode = (access & TYPE_CODE) !== 0
    if (write ? isCode || (access & 2) === 0 : isCode && (access & 2) === 0) throw segmentFault(seg)
  }
  if (!withinLimit(Number(offset), size, state.segLimit.get(seg), access)) throw segmentFault(seg)
  return BigInt.asUintN(32, offset + state.segBase.get(seg))
}

function segmentFault(seg: number): GuestFault {
  return new GuestFault(seg === SEG_SS ? Exception.SS : Exception.GP, 0)
}
