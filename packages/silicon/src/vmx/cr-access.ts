import {
  CPU_CR3_LOAD_EXITING,
  CPU_CR3_STORE_EXITING,
  CPU_CR8_LOAD_EXITING,
  CPU_CR8_STORE_EXITING,
  CR0_NE,
  CR0_PE,
  CR0_TS,
  ExitReason,
  Vmcs,
} from '@guestmode/x86'
import { VmExit } from '../cpu/events.ts'
import { gp } from '../microcode/faults.ts'
import { currentInstruction } from '../microcode/current-instruction.ts'
import { readOperand16 } from '../microcode/operand.ts'
import type { VmxCapabilities } from './capabilities.ts'
import type { VmxHost } from './host.ts'
import { linearOf } from './instruction-info.ts'
import type { CurrentVmcs } from './vmcs.ts'
import { field } from './vmcs-layout.ts'

/** Moves to and from control registers under guest/host masks and read shadows. [SDM3 26.1.3 "Instructions That Cause VM Exits Conditionally", 26.3] */

const TO = 0
const FROM = 1
const CLTS = 2
const LMSW = 3
const MEMORY_OPERAND = 1 << 6
/** PE, MP, EM, TS. */
const MACHINE_STATUS = 0xf

/** [SDM3 Table 28-3 "Exit Qualification for Control-Register Accesses"] */
function crExit(cr: number, access: number, gpr: number, source = 0): VmExit {
  return new VmExit(ExitReason.CR_ACCESS, BigInt((cr | (access << 4) | (gpr << 8) | (source << 16)) >>> 0))
}

const word = (value: bigint): number => Number(BigInt.asUintN(32, value))

/** A register with a guest/host mask. The masks of the high half don't matter: those bits are reserved. */
interface Masked {
  readonly mask: number
  readonly shadow: number
}

function masked(vmcs: CurrentVmcs, cr: 0 | 4): Masked {
  return cr === 0
    ? { mask: vmcs.low(field.CR0_GUEST_HOST_MASK), shadow: vmcs.low(field.CR0_READ_SHADOW) }
    : { mask: vmcs.low(field.CR4_GUEST_HOST_MASK), shadow: vmcs.low(field.CR4_READ_SHADOW) }
}

/** Bits that the host owns stay as they are. */
function merge(value: number, current: number, mask: number): number {
  return ((value & ~mask) | (current & mask)) >>> 0
}

export function moveToCr0(
  vmcs: CurrentVmcs,
  caps: VmxCapabilities,
  unrestricted: boolean,
  value: bigint,
  gpr: number,
  current: bigint,
): bigint {
  const { mask, shadow } = masked(vmcs, 0)
  const low = word(value)
  if (((low ^ shadow) & mask) !== 0) throw crExit(0, TO, gpr)
  if (value >> 32n !== 0n) throw gp(0)
  const next = merge(low, word(current), mask)
  const fixed = unrestricted ? CR0_NE : caps.cr0Fixed0
  if ((next & fixed) !== (fixed | 0)) throw gp(0)
  return BigInt(next)
}

export function clts(vmcs: CurrentVmcs, current: bigint): bigint {
  const { mask, shadow } = masked(vmcs, 0)
  if ((mask & CR0_TS) === 0) return current & ~BigInt(CR0_TS)
  if ((shadow & CR0_TS) !== 0) throw crExit(0, CLTS, 0)
  return current
}

/** `value` has PE from the old one too, so that the source is looked at again. */
export function lmsw(host: VmxHost, vmcs: CurrentVmcs, value: bigint, current: bigint): bigint {
  const { mask, shadow } = masked(vmcs, 0)
  const operand = currentInstruction(host).insn.operands[0]!
  const source = readOperand16(host, operand)
  const low = word(value)
  const setsProtection = (source & CR0_PE & mask & ~shadow) !== 0
  if (setsProtection || ((source ^ shadow) & mask & MACHINE_STATUS & ~CR0_PE) !== 0) {
    if (operand.kind !== 'mem') throw crExit(0, LMSW, 0, source)
    throw new VmExit(ExitReason.CR_ACCESS, BigInt(((LMSW << 4) | MEMORY_OPERAND | (source << 16)) >>> 0), {
      [Vmcs.GUEST_LINEAR_ADDRESS]: linearOf(host, operand),
    })
  }
  return BigInt(merge(low, word(current), mask & MACHINE_STATUS))
}

export function moveToCr3(vmcs: CurrentVmcs, controls: number, value: bigint, gpr: number): bigint {
  if ((controls & CPU_CR3_LOAD_EXITING) === 0) return value
  const count = vmcs.low(field.CR3_TARGET_COUNT)
  const low = word(value)
  const high = word(value >> 32n)
  for (let i = 0; i < count; i++) {
    if (vmcs.low(field.CR3_TARGET_VALUE0 + i) === low && vmcs.high(field.CR3_TARGET_VALUE0 + i) === high) return value
  }
  throw crExit(3, TO, gpr)
}

export function moveToCr4(vmcs: CurrentVmcs, caps: VmxCapabilities, value: bigint, gpr: number, current: bigint): bigint {
  const { mask, shadow } = masked(vmcs, 4)
  const low = word(value)
  if (((low ^ shadow) & mask) !== 0) throw crExit(4, TO, gpr)
  if (value >> 32n !== 0n) throw gp(0)
  const next = merge(low, word(current), mask)
  if ((next & caps.cr4Fixed0) !== caps.cr4Fixed0 || (next & ~caps.cr4Fixed1) !== 0) throw gp(0)
  return BigInt(next)
}

/** What the guest reads of CR0 or CR4. */
export function readMasked(vmcs: CurrentVmcs, cr: 0 | 4, current: bigint): bigint {
  const { mask, shadow } = masked(vmcs, cr)
  if (mask === 0) return current
  return (current & ~0xffff_ffffn) | BigInt(merge(word(current), shadow, mask))
}

export function moveFromCr3(controls: number, gpr: number, current: bigint): bigint {
  if ((controls & CPU_CR3_STORE_EXITING) !== 0) throw crExit(3, FROM, gpr)
  return current
}

export function cr8LoadExit(controls: number, gpr: number): void {
  if ((controls & CPU_CR8_LOAD_EXITING) !== 0) throw crExit(8, TO, gpr)
}

export function cr8StoreExit(controls: number, gpr: number): void {
  if ((controls & CPU_CR8_STORE_EXITING) !== 0) throw crExit(8, FROM, gpr)
}
