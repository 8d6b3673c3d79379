import { AR_DB, AR_L, decode, guestAccess, guestBase, SEG_CS, Vmcs, type Insn } from '@guestmode/x86'
import { PF_FETCH } from '../mmu/error-code.ts'
import { isLongMode } from '../modes/control-registers.ts'
import type { Vcpu } from '../vcpu.ts'
import { access, cpl } from './linear.ts'

const LONGEST = 15

interface CachedInstruction {
  readonly insn: Insn
  readonly bytes: Uint8Array
  readonly width: 16 | 32 | 64
}

/** Instructions emulated before, by host physical address: a device's driver uses few. */
export class InstructionCache {
  readonly #cached = new Map<number, CachedInstruction>()

  get(hpa: number, bytes: Uint8Array, width: 16 | 32 | 64): Insn | undefined {
    const cached = this.#cached.get(hpa)
    if (cached === undefined || cached.width !== width || cached.bytes.length > bytes.length) return undefined
    for (let i = 0; i < cached.bytes.length; i++) if (cached.bytes[i] !== bytes[i]) return undefined
    return cached.insn
  }

  set(hpa: number, bytes: Uint8Array, width: 16 | 32 | 64, insn: Insn): void {
    if (this.#cached.size >= 1024) this.#cached.clear()
    this.#cached.set(hpa, { insn, width, bytes: bytes.slice(0, insn.length) })
  }
}

export function codeWidth(vcpu: Vcpu): 16 | 32 | 64 {
  const { processor } = vcpu
  const rights = processor.vmread32(guestAccess(SEG_CS))
  if ((rights & AR_L) !== 0 && isLongMode(vcpu)) return 64
  return (rights & AR_DB) !== 0 ? 32 : 16
}

/** Linear address of the instruction at RIP. */
export function codeLinear(vcpu: Vcpu): bigint {
  const { processor } = vcpu
  const rip = processor.vmread(Vmcs.GUEST_RIP)
  return codeWidth(vcpu) === 64 ? rip : (rip + processor.vmread(guestBase(SEG_CS))) & 0xffff_ffffn
}

export type Fetched =
  | { readonly kind: 'instruction'; readonly insn: Insn }
  /** The code page is not mapped in the guest. */
  | { readonly kind: 'page-fault'; readonly linear: bigint; readonly errorCode: number }
  /** No memory there, or no instruction: what bytes there are. */
  | { readonly kind: 'failed'; readonly bytes: Uint8Array }

/** The instruction at RIP. The vCPU's walker has the present paging mode. */
export function fetchInstruction(vcpu: Vcpu): Fetched {
  const { walker, vm } = vcpu
  const width = codeWidth(vcpu)
  const linear = codeLinear(vcpu)
  const bits = access(cpl(vcpu), PF_FETCH)
  const fault = (at: bigint): Fetched => ({ kind: 'page-fault', linear: at, errorCode: walker.errorCode })

  if (!walker.walk(Number(linear >> 32n), Number(linear & 0xffff_ffffn), bits, true)) return fault(linear)
  const hpa = vm.guest.hpa(walker.gpa)
  const first = vm.guest.bytes(walker.gpa, LONGEST)
  if (first === undefined) return { kind: 'failed', bytes: new Uint8Array() }
  const cached = vcpu.instructions.get(hpa, first, width)
  if (cached !== undefined) return { kind: 'instruction', insn: cached }

  let bytes = first
  let decoded = decode(bytes, 0, bytes.length, width)
  if (!decoded.ok && first.length < LONGEST) {
    const next = BigInt.asUintN(width === 64 ? 64 : 32, linear + BigInt(first.length))
    if (!walker.walk(Number(next >> 32n), Number(next & 0xffff_ffffn), bits, true)) return fault(next)
    const rest = vm.guest.bytes(walker.gpa, LONGEST - first.length) ?? new Uint8Array()
    bytes = new Uint8Array([...first, ...rest])
    decoded = decode(bytes, 0, bytes.length, width)
  }
  if (!decoded.ok) return { kind: 'failed', bytes: bytes.slice() }
  // One that crosses pages is not cached: its second page may be mapped elsewhere next time.
  if (bytes === first) vcpu.instructions.set(hpa, bytes, width, decoded.insn)
  return { kind: 'instruction', insn: decoded.insn }
}
