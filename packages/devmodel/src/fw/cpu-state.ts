/** Processor states that boot protocols hand over in. */
import type { KvmRegs, KvmSegment, KvmSregs, KvmVcpu } from '@guestmode/kvm-abi'
import type { GuestMemory } from '../machine/guest-memory.ts'
import { BOOT_GDT, BOOT_PAGE_TABLES, GIB, MIB } from '../machine/layout.ts'

const CR0_PE = 1n
const CR0_PG = 1n << 31n
const CR4_PAE = 1n << 5n
const EFER_LME = 1n << 8n
const EFER_LMA = 1n << 10n

/**
 * Selectors of the Linux boot protocol, which multiboot kernels have no objection to. [Linux Documentation/arch/x86/boot.rst,
 * "32-bit Boot Protocol"]
 */
export const BOOT_CS = 0x10
export const BOOT_DS = 0x18
const BOOT_TSS = 0x20

export const CODE32 = 0xcf9b
export const CODE64 = 0xaf9b
export const DATA = 0xcf93
const TSS = 0x008b

/** What changes from the state after reset: general registers and the entry point. */
export type EntryRegs = Partial<Omit<KvmRegs, 'rflags'>> & { rip: bigint }

/** Flat protected mode, paging off. */
export function enterProtectedMode(vcpu: KvmVcpu, memory: GuestMemory, regs: EntryRegs): void {
  const sregs = vcpu.getSregs()
  loadFlat(sregs, memory, CODE32)
  sregs.cr0 = (sregs.cr0 | CR0_PE) & ~CR0_PG
  vcpu.setSregs(sregs)
  setRegs(vcpu, regs)
}

/** 64-bit mode with the first 4 GiB mapped one to one in pages of 2 MiB. */
export function enterLongMode(vcpu: KvmVcpu, memory: GuestMemory, regs: EntryRegs): void {
  writePageTables(memory)
  const sregs = vcpu.getSregs()
  loadFlat(sregs, memory, CODE64)
  sregs.cr3 = BigInt(BOOT_PAGE_TABLES)
  sregs.cr4 |= CR4_PAE
  sregs.efer |= EFER_LME | EFER_LMA
  sregs.cr0 |= CR0_PE | CR0_PG
  vcpu.setSregs(sregs)
  setRegs(vcpu, regs)
}

/** Real mode with all data segments alike. */
export function enterRealMode(vcpu: KvmVcpu, segments: { cs: number; data: number }, regs: EntryRegs): void {
  const sregs = vcpu.getSregs()
  const real = (selector: number, type: number): KvmSegment => ({
    ...segment(selector, 0x0093),
    type,
    base: BigInt(selector * 16),
    limit: 0xffff,
  })
  sregs.cs = real(segments.cs, 11)
  for (const name of ['ds', 'es', 'fs', 'gs', 'ss'] as const) sregs[name] = real(segments.data, 3)
  sregs.cr0 &= ~(CR0_PE | CR0_PG)
  sregs.idt = { base: 0n, limit: 0x3ff }
  vcpu.setSregs(sregs)
  setRegs(vcpu, regs)
}

function setRegs(vcpu: KvmVcpu, regs: EntryRegs): void {
  const zero = { rax: 0n, rbx: 0n, rcx: 0n, rdx: 0n, rsi: 0n, rdi: 0n, rsp: 0n, rbp: 0n }
  const extended = { r8: 0n, r9: 0n, r10: 0n, r11: 0n, r12: 0n, r13: 0n, r14: 0n, r15: 0n }
  vcpu.setRegs({ ...zero, ...extended, ...regs, rflags: 2n })
}

function loadFlat(sregs: KvmSregs, memory: GuestMemory, code: number): void {
  const table = new DataView(new ArrayBuffer(0x28))
  const describe = (selector: number, attributes: number, limit: number): void =>
    table.setBigUint64(selector, (BigInt(attributes) << 40n) | BigInt(limit & 0xffff) | (BigInt(limit >> 16) << 48n), true)
  describe(BOOT_CS, code, 0xfffff)
  describe(BOOT_DS, DATA, 0xfffff)
  describe(BOOT_TSS, TSS, 0x67)
  memory.write(BOOT_GDT, new Uint8Array(table.buffer))
  sregs.gdt = { base: BigInt(BOOT_GDT), limit: table.byteLength - 1 }
  sregs.idt = { base: 0n, limit: 0 }
  sregs.cs = segment(BOOT_CS, code)
  for (const name of ['ds', 'es', 'fs', 'gs', 'ss'] as const) sregs[name] = segment(BOOT_DS, DATA)
  sregs.tr = { ...segment(BOOT_TSS, TSS), limit: 0x67 }
}

/** A segment register from the attribute word of its descriptor (access byte low, flags nibble in bits 12-15). */
export function segment(selector: number, attributes: number): KvmSegment {
  return {
    base: 0n,
    limit: 0xffff_ffff,
    selector,
    type: attributes & 15,
    s: (attributes >> 4) & 1,
    dpl: (attributes >> 5) & 3,
    present: (attributes >> 7) & 1,
    avl: (attributes >> 12) & 1,
    l: (attributes >> 13) & 1,
    db: (attributes >> 14) & 1,
    g: (attributes >> 15) & 1,
    unusable: 0,
  }
}

const PRESENT_WRITABLE = 0x3
const LARGE = 0x80

/** One PML4, one page-directory-pointer table, four page directories. */
function writePageTables(memory: GuestMemory): void {
  const tables = new DataView(new ArrayBuffer(6 * 0x1000))
  const entry = (offset: number, value: number): void => tables.setBigUint64(offset, BigInt(value), true)
  entry(0, BOOT_PAGE_TABLES + 0x1000 + PRESENT_WRITABLE)
  for (let i = 0; i < 4; i++) {
    entry(0x1000 + 8 * i, BOOT_PAGE_TABLES + 0x2000 + 0x1000 * i + PRESENT_WRITABLE)
    for (let j = 0; j < 512; j++) entry(0x2000 + 0x1000 * i + 8 * j, i * GIB + j * 2 * MIB + LARGE + PRESENT_WRITABLE)
  }
  memory.write(BOOT_PAGE_TABLES, new Uint8Array(tables.buffer))
}
