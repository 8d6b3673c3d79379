import { CR0_PE } from '../facts/cr.ts'
import { EFLAGS_VM } from '../facts/eflags.ts'
import { GP, SS } from '../facts/exception.ts'
import {
  AR_DB,
  AR_UNUSABLE,
  SEG_CS,
  SEG_FS,
  SEG_SS,
  TYPE_CODE,
  TYPE_EXPAND_DOWN,
  TYPE_READABLE,
  TYPE_WRITABLE,
} from '../facts/segment.ts'
import { Stop, type Transaction } from './transaction.ts'

export type Access = 'read' | 'write'

const isCanonical = (linear: bigint): boolean => BigInt.asUintN(64, BigInt.asIntN(48, linear)) === linear

const refuse = (seg: number): Stop => new Stop({ kind: 'fault', vector: seg === SEG_SS ? SS : GP, errorCode: 0 })

/** Linear address of `size` bytes at `offset` in a segment. [SDM3 5.3 "Limit Checking", 5.5 "Privilege Levels"; SDM1 3.3.7.1 "Canonical Addressing"] */
export function linearAddress(state: Transaction, seg: number, offset: bigint, size: number, access: Access): bigint {
  if (Number(state.get('codeWidth')) === 64) {
    const base = seg >= SEG_FS ? state.get('segBase', seg) : 0n
    const linear = BigInt.asUintN(64, base + offset)
    if (!isCanonical(linear) || !isCanonical(BigInt.asUintN(64, linear + BigInt(size - 1)))) throw refuse(seg)
    return linear
  }
  if (!allows(state, seg, access) || !contains(state, seg, Number(offset), size)) throw refuse(seg)
  return (state.get('segBase', seg) + offset) & 0xffff_ffffn
}

/** In real-address and virtual-8086 mode the type of a segment does not matter. */
function allows(state: Transaction, seg: number, access: Access): boolean {
  const rights = Number(state.get('segAccess', seg))
  const typed = (Number(state.get('cr0')) & CR0_PE) !== 0 && (Number(state.get('flagsSystem')) & EFLAGS_VM) === 0
  if (!typed) return true
  if (rights & AR_UNUSABLE) return false
  if (rights & TYPE_CODE) return access === 'read' && (rights & TYPE_READABLE) !== 0
  return access === 'read' || (rights & TYPE_WRITABLE) !== 0
}

function contains(state: Transaction, seg: number, offset: number, size: number): boolean {
  const rights = Number(state.get('segAccess', seg))
  const limit = Number(state.get('segLimit', seg))
  const last = offset + size - 1
  if ((rights & (TYPE_CODE | TYPE_EXPAND_DOWN)) !== TYPE_EXPAND_DOWN) return last <= limit
  return offset > limit && last <= (rights & AR_DB ? 0xffff_ffff : 0xffff)
}

/** Where a near transfer may go. */
export function checkTarget(state: Transaction, target: bigint): void {
  const allowed = Number(state.get('codeWidth')) === 64 ? isCanonical(target) : target <= state.get('segLimit', SEG_CS)
  if (!allowed) throw new Stop({ kind: 'fault', vector: GP, errorCode: 0 })
}
