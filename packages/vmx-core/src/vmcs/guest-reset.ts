import {
  CR0_CD,
  CR0_ET,
  CR0_NW,
  EFLAGS_FIXED,
  guestAccess,
  guestBase,
  guestLimit,
  guestSelector,
  PAT_DEFAULT,
  SEG_CS,
  SEG_LDTR,
  SEG_TR,
  Vmcs,
} from '@guestmode/x86'
import { resetControlRegisters } from '../modes/control-registers.ts'
import type { Vcpu } from '../vcpu.ts'

/** MXCSR at power-up. [SDM1 10.2.3 "MXCSR Control and Status Register"] */
const FCW_RESET = 0x40
const MXCSR_RESET = 0x1f80
const PROCESSOR_SIGNATURE = 0x600n

/** State after RESET. [SDM3 Table 10-1 "IA-32 and Intel 64 Processor States Following Power-up, Reset, or INIT"] */
export function resetGuest(vcpu: Vcpu): void {
  const { processor } = vcpu
  const { registers } = processor
  for (let seg = 0; seg < 8; seg++) {
    processor.vmwrite32(guestSelector(seg), seg === SEG_CS ? 0xf000 : 0)
    processor.vmwrite32(guestBase(seg), seg === SEG_CS ? 0xffff_0000 : 0)
    processor.vmwrite32(guestLimit(seg), 0xffff)
    processor.vmwrite32(guestAccess(seg), seg === SEG_CS ? 0x9b : seg === SEG_LDTR ? 0x82 : seg === SEG_TR ? 0x8b : 0x93)
  }
  for (const field of [Vmcs.GUEST_GDTR_LIMIT, Vmcs.GUEST_IDTR_LIMIT]) processor.vmwrite32(field, 0xffff)
  for (const field of [
    Vmcs.GUEST_GDTR_BASE,
    Vmcs.GUEST_IDTR_BASE,
    Vmcs.GUEST_RSP,
    Vmcs.GUEST_SYSENTER_CS,
    Vmcs.GUEST_SYSENTER_ESP,
    Vmcs.GUEST_SYSENTER_EIP,
    Vmcs.GUEST_IA32_DEBUGCTL,
    Vmcs.GUEST_INTERRUPTIBILITY_INFO,
    Vmcs.GUEST_ACTIVITY_STATE,
    Vmcs.GUEST_PENDING_DBG_EXCEPTIONS,
    Vmcs.GUEST_SMBASE,
  ]) {
    processor.vmwrite32(field, 0)
  }
  processor.vmwrite32(Vmcs.GUEST_RIP, 0xfff0)
  processor.vmwrite32(Vmcs.GUEST_RFLAGS, EFLAGS_FIXED)
  processor.vmwrite32(Vmcs.GUEST_DR7, 0x400)
  processor.vmwrite(Vmcs.GUEST_IA32_PAT, PAT_DEFAULT)
  resetControlRegisters(vcpu, (CR0_ET | CR0_NW | CR0_CD) >>> 0)

  for (let i = 0; i < 16; i++) if (i !== 4) registers.setGpr(i, 0n)
  registers.setGpr(2, vcpu.cpuid.signature() ?? PROCESSOR_SIGNATURE)
  registers.cr2 = 0n
  registers.xcr0 = 1n
  for (const dr of [0, 1, 2, 3] as const) registers.setDr(dr, 0n)
  registers.setDr(6, 0xffff_0ff0n)
  const fx = new Uint8Array(512)
  const view = new DataView(fx.buffer)
  view.setUint16(0, FCW_RESET, true)
  view.setUint32(24, MXCSR_RESET, true)
  registers.loadFxState(fx)
}
