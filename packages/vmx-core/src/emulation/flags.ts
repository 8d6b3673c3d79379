import { EFLAGS_ARITHMETIC, EFLAGS_FIXED } from '@guestmode/x86'

/** RFLAGS over the representation of `cpuState`: see `flagResult` there. */
export interface SplitFlags {
  result: bigint
  aux: number
  system: number
}

export function splitFlags(flags: number): SplitFlags {
  const carry = flags & 1
  const overflow = (flags >>> 11) & 1
  return {
    result: (flags & 0x40) === 0 ? 0x100n : 0n,
    aux: ((carry << 31) | ((carry ^ overflow) << 30) | ((flags >>> 1) & 8) | ((flags >>> 7) & 1) | ((~flags & 4) << 6)) >>> 0,
    system: ((flags & ~EFLAGS_ARITHMETIC) | EFLAGS_FIXED) >>> 0,
  }
}

export function joinFlags({ result, aux, system }: SplitFlags): number {
  const carry = aux >>> 31
  const overflow = carry ^ ((aux >>> 30) & 1)
  const zero = result === 0n ? 1 : 0
  const sign = Number(result >> 63n) ^ (aux & 1)
  let parity = Number(result & 0xffn) ^ ((aux >>> 8) & 0xff)
  parity ^= parity >>> 4
  const even = ((0x6996 >>> (parity & 15)) & 1) ^ 1
  return (system | carry | (even << 2) | ((aux & 8) << 1) | (zero << 6) | (sign << 7) | (overflow << 11)) >>> 0
}
