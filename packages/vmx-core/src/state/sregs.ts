import { KVM_SREGS2_FLAGS_PDPTRS_VALID, type KvmSegment, type KvmSregs, type KvmSregs2 } from '@guestmode/kvm-abi'
import {
  CR0_CD,
  CR0_DEFINED,
  CR0_ET,
  CR0_NW,
  CR0_PE,
  CR0_PG,
  CR4_PAE,
  EFER_LMA,
  EFER_LME,
  EFER_NXE,
  EFER_SCE,
  IA32_APIC_BASE,
  SEG_CS,
  SEG_DS,
  SEG_ES,
  SEG_FS,
  SEG_GS,
  SEG_LDTR,
  SEG_SS,
  SEG_TR,
  Vmcs,
} from '@guestmode/x86'
import { isValidCr4 } from '../exits/cr.ts'
import { isPaePaging, readCr0, readCr3, readCr4, setControlRegisters } from '../modes/control-registers.ts'
import { loadPdptes, pdptes, setPdptes } from '../modes/paging.ts'
import { writeMsr } from '../msr.ts'
import type { Vcpu } from '../vcpu.ts'
import { readSegment, writeSegment } from '../vmcs/segments.ts'

const SEGMENTS = {
  es: SEG_ES,
  cs: SEG_CS,
  ss: SEG_SS,
  ds: SEG_DS,
  fs: SEG_FS,
  gs: SEG_GS,
  ldt: SEG_LDTR,
  tr: SEG_TR,
} as const
const segmentNames = Object.entries(SEGMENTS) as [keyof typeof SEGMENTS, number][]

/** What KVM_GET_SREGS and KVM_GET_SREGS2 have in common. */
type Common = Omit<KvmSregs, 'interruptBitmap'>

function getCommon(vcpu: Vcpu): Common {
  const { processor } = vcpu
  const segments = Object.fromEntries(segmentNames.map(([name, seg]) => [name, readSegment(processor, seg)])) as Record<
    keyof typeof SEGMENTS,
    KvmSegment
  >
  return {
    ...segments,
    gdt: { base: processor.vmread(Vmcs.GUEST_GDTR_BASE), limit: processor.vmread32(Vmcs.GUEST_GDTR_LIMIT) },
    idt: { base: processor.vmread(Vmcs.GUEST_IDTR_BASE), limit: processor.vmread32(Vmcs.GUEST_IDTR_LIMIT) },
    cr0: BigInt(readCr0(vcpu)),
    cr2: processor.registers.cr2,
    cr3: readCr3(vcpu),
    cr4: BigInt(readCr4(vcpu)),
    cr8: BigInt(vcpu.cr8),
    efer: BigInt(vcpu.efer),
    apicBase: vcpu.apicBase,
  }
}

export function getSregs(vcpu: Vcpu): KvmSregs {
  const { interrupt } = vcpu
  const interruptBitmap = [0n, 0n, 0n, 0n]
  if (interrupt.injected && !interrupt.soft) interruptBitmap[interrupt.vector >> 6] = 1n << BigInt(interrupt.vector & 63)
  return { ...getCommon(vcpu), interruptBitmap }
}

export function getSregs2(vcpu: Vcpu): KvmSregs2 {
  const isPae = isPaePaging(vcpu)
  return {
    ...getCommon(vcpu),
    flags: isPae ? BigInt(KVM_SREGS2_FLAGS_PDPTRS_VALID) : 0n,
    pdptrs: isPae ? pdptes(vcpu) : [0n, 0n, 0n, 0n],
  }
}

const EFER_KNOWN = BigInt(EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE)

/** Whether a processor can be in this state at all. */
function isValid(vcpu: Vcpu, sregs: Common): boolean {
  const { cr0, cr4, efer } = sregs
  if (cr0 >> 32n !== 0n || cr4 >> 32n !== 0n || (efer & ~EFER_KNOWN) !== 0n) return false
  const [c0, c4, e] = [Number(cr0), Number(cr4), Number(efer)]
  const isPaging = (c0 & CR0_PG) !== 0
  const isLong = isPaging && (e & EFER_LME) !== 0
  if (isPaging && (c0 & CR0_PE) === 0) return false
  if ((c0 & CR0_NW) !== 0 && (c0 & CR0_CD) === 0) return false
  if (isLong ? (c4 & CR4_PAE) === 0 || (e & EFER_LMA) === 0 : (e & EFER_LMA) !== 0 || sregs.cs.l !== 0) return false
  if (isLong && (sregs.cr3 & (vcpu.reservedAddressBits | (0xfffn << 52n))) !== 0n) return false
  return (!((e & (EFER_LME | EFER_LMA)) !== 0) || vcpu.vm.hasLongMode) && isValidCr4(vcpu, c4)
}

/** False: EINVAL. */
function setCommon(vcpu: Vcpu, sregs: Common): boolean {
  if (!isValid(vcpu, sregs)) return false
  const { processor } = vcpu
  if (!writeMsr(vcpu, IA32_APIC_BASE, sregs.apicBase, true)) return false
  for (const [name, seg] of segmentNames) writeSegment(processor, seg, sregs[name])
  processor.vmwrite(Vmcs.GUEST_GDTR_BASE, sregs.gdt.base)
  processor.vmwrite32(Vmcs.GUEST_GDTR_LIMIT, sregs.gdt.limit)
  processor.vmwrite(Vmcs.GUEST_IDTR_BASE, sregs.idt.base)
  processor.vmwrite32(Vmcs.GUEST_IDTR_LIMIT, sregs.idt.limit)
  processor.registers.cr2 = sregs.cr2
  vcpu.cr8 = Number(sregs.cr8 & 15n)
  const cr0 = ((Number(sregs.cr0) & CR0_DEFINED) | CR0_ET) >>> 0
  setControlRegisters(vcpu, { cr0, cr3: sregs.cr3, cr4: Number(sregs.cr4), efer: Number(sregs.efer) })
  vcpu.eventRequested = true
  return true
}

export function setSregs(vcpu: Vcpu, sregs: KvmSregs): boolean {
  if (!setCommon(vcpu, sregs)) return false
  if (isPaePaging(vcpu)) {
    loadPdptes(vcpu, sregs.cr3)
    vcpu.mmu.flush()
  }
  const word = sregs.interruptBitmap.findIndex((bits) => bits !== 0n)
  if (word >= 0) {
    let bit = 0
    while (((sregs.interruptBitmap[word]! >> BigInt(bit)) & 1n) === 0n) bit++
    vcpu.interrupt.vector = word * 64 + bit
    vcpu.interrupt.soft = false
    vcpu.interrupt.injected = true
  }
  return true
}

export function setSregs2(vcpu: Vcpu, sregs: KvmSregs2): boolean {
  const hasPdptes = (sregs.flags & BigInt(KVM_SREGS2_FLAGS_PDPTRS_VALID)) !== 0n
  if ((sregs.flags & ~BigInt(KVM_SREGS2_FLAGS_PDPTRS_VALID)) !== 0n) return false
  const isPae =
    (sregs.cr0 & BigInt(CR0_PG)) !== 0n && (sregs.cr4 & BigInt(CR4_PAE)) !== 0n && (sregs.efer & BigInt(EFER_LMA)) === 0n
  if (hasPdptes && !isPae) return false
  if (!setCommon(vcpu, sregs)) return false
  if (!isPae) return true
  if (hasPdptes) setPdptes(vcpu, sregs.pdptrs)
  else loadPdptes(vcpu, sregs.cr3)
  vcpu.mmu.flush()
  return true
}
