import { CR0_PG, CR0_WP, CR4_PAE, CR4_PSE, CR4_SMAP, CR4_SMEP, EFER_LMA, EFER_NXE, EFLAGS_AC, PTE_P, Vmcs } from '@guestmode/x86'
import type { Vcpu } from '../vcpu.ts'
import { readCr0, readCr3, readCr4 } from './control-registers.ts'

const PDPTE_FIELDS = [Vmcs.GUEST_PDPTR0, Vmcs.GUEST_PDPTR1, Vmcs.GUEST_PDPTR2, Vmcs.GUEST_PDPTR3]
const ADDRESS = 0x000f_ffff_ffff_f000n

/** Bits 2:1, 8:5 and those above the address. [SDM3 4.4.1 "PDPTE Registers"] */
const PDPTE_RESERVED = 0xfff0_0000_0000_01e6n

/** Gives the guest's paging mode of this moment to the vCPU's walker. */
export function refreshWalker(vcpu: Vcpu): void {
  const { mode } = vcpu.walker
  const cr0 = readCr0(vcpu)
  const cr4 = readCr4(vcpu)
  if ((cr0 & CR0_PG) === 0) {
    mode.levels = 0
    return
  }
  mode.levels = (cr4 & CR4_PAE) === 0 ? 2 : (vcpu.efer & EFER_LMA) === 0 ? 3 : 4
  mode.root = Number(readCr3(vcpu) & ADDRESS)
  mode.wp = (cr0 & CR0_WP) !== 0
  mode.pse = (cr4 & CR4_PSE) !== 0
  mode.smep = (cr4 & CR4_SMEP) !== 0
  mode.smap = (cr4 & CR4_SMAP) !== 0
  mode.nxe = (vcpu.efer & EFER_NXE) !== 0
  mode.ac = mode.smap && (vcpu.processor.vmread32(Vmcs.GUEST_RFLAGS) & EFLAGS_AC) !== 0
  if (mode.levels === 3 && vcpu.mmu === vcpu.nested) readPdptes(vcpu)
}

/** Under EPT they are the processor's: it loads them itself at a MOV to CR3. */
function readPdptes(vcpu: Vcpu): void {
  PDPTE_FIELDS.forEach((field, i) => {
    const value = vcpu.processor.vmread(field)
    vcpu.walker.mode.pdptes[2 * i] = Number(value & 0xffff_ffffn)
    vcpu.walker.mode.pdptes[2 * i + 1] = Number(value >> 32n)
  })
}

/** The PDPTEs that a guest has now, with PAE paging. */
export function pdptes(vcpu: Vcpu): bigint[] {
  refreshWalker(vcpu)
  const words = vcpu.walker.mode.pdptes
  return [0, 1, 2, 3].map((i) => (BigInt(words[2 * i + 1]!) << 32n) | BigInt(words[2 * i]!))
}

export function setPdptes(vcpu: Vcpu, values: readonly bigint[]): void {
  PDPTE_FIELDS.forEach((field, i) => {
    const value = values[i] ?? 0n
    vcpu.processor.vmwrite(field, value)
    vcpu.walker.mode.pdptes[2 * i] = Number(value & 0xffff_ffffn)
    vcpu.walker.mode.pdptes[2 * i + 1] = Number(value >> 32n)
  })
}

/** Loads the PDPTEs from guest memory, as MOV to a control register does. False: one has reserved bits set, which is #GP. */
export function loadPdptes(vcpu: Vcpu, cr3: bigint): boolean {
  const table = Number(cr3 & 0xffff_ffe0n)
  const values: bigint[] = []
  for (let i = 0; i < 4; i++) {
    const hpa = vcpu.vm.guest.hpa(table + 8 * i)
    const value = hpa < 0 ? 0n : vcpu.vm.guest.load(hpa, 8)
    if ((value & BigInt(PTE_P)) !== 0n && (value & (PDPTE_RESERVED | vcpu.reservedAddressBits)) !== 0n) return false
    values.push(value)
  }
  setPdptes(vcpu, values)
  return true
}
