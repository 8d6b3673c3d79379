import { array, bytes, field, struct, u16, u32, u64, u8 } from './struct.ts'
import type { StructInput, StructValue } from './struct.ts'

/** KVM_GET_REGS, KVM_SET_REGS */
export const KVM_REGS = struct('kvm_regs', 144, {
  rax: field(u64, 0),
  rbx: field(u64, 8),
  rcx: field(u64, 16),
  rdx: field(u64, 24),
  rsi: field(u64, 32),
  rdi: field(u64, 40),
  rsp: field(u64, 48),
  rbp: field(u64, 56),
  r8: field(u64, 64),
  r9: field(u64, 72),
  r10: field(u64, 80),
  r11: field(u64, 88),
  r12: field(u64, 96),
  r13: field(u64, 104),
  r14: field(u64, 112),
  r15: field(u64, 120),
  rip: field(u64, 128),
  rflags: field(u64, 136),
})
export type KvmRegs = StructValue<typeof KVM_REGS>

export const KVM_SEGMENT = struct('kvm_segment', 24, {
  base: field(u64, 0),
  limit: field(u32, 8),
  selector: field(u16, 12),
  type: field(u8, 14),
  present: field(u8, 15),
  dpl: field(u8, 16),
  db: field(u8, 17),
  s: field(u8, 18),
  l: field(u8, 19),
  g: field(u8, 20),
  avl: field(u8, 21),
  unusable: field(u8, 22),
})
export type KvmSegment = StructValue<typeof KVM_SEGMENT>

export const KVM_DTABLE = struct('kvm_dtable', 16, {
  base: field(u64, 0),
  limit: field(u16, 8),
})
export type KvmDtable = StructValue<typeof KVM_DTABLE>

export const KVM_NR_INTERRUPTS = 256

/** KVM_GET_SREGS, KVM_SET_SREGS */
export const KVM_SREGS = struct('kvm_sregs', 312, {
  cs: field(KVM_SEGMENT, 0),
  ds: field(KVM_SEGMENT, 24),
  es: field(KVM_SEGMENT, 48),
  fs: field(KVM_SEGMENT, 72),
  gs: field(KVM_SEGMENT, 96),
  ss: field(KVM_SEGMENT, 120),
  tr: field(KVM_SEGMENT, 144),
  ldt: field(KVM_SEGMENT, 168),
  gdt: field(KVM_DTABLE, 192),
  idt: field(KVM_DTABLE, 208),
  cr0: field(u64, 224),
  cr2: field(u64, 232),
  cr3: field(u64, 240),
  cr4: field(u64, 248),
  cr8: field(u64, 256),
  efer: field(u64, 264),
  apicBase: field(u64, 272),
  interruptBitmap: field(array(u64, KVM_NR_INTERRUPTS / 64), 280),
})
export type KvmSregs = StructValue<typeof KVM_SREGS>

export const KVM_SREGS2_FLAGS_PDPTRS_VALID = 1

/** KVM_GET_SREGS2, KVM_SET_SREGS2: with the PDPTEs in the place of the interrupt bitmap */
export const KVM_SREGS2 = struct('kvm_sregs2', 320, {
  cs: field(KVM_SEGMENT, 0),
  ds: field(KVM_SEGMENT, 24),
  es: field(KVM_SEGMENT, 48),
  fs: field(KVM_SEGMENT, 72),
  gs: field(KVM_SEGMENT, 96),
  ss: field(KVM_SEGMENT, 120),
  tr: field(KVM_SEGMENT, 144),
  ldt: field(KVM_SEGMENT, 168),
  gdt: field(KVM_DTABLE, 192),
  idt: field(KVM_DTABLE, 208),
  cr0: field(u64, 224),
  cr2: field(u64, 232),
  cr3: field(u64, 240),
  cr4: field(u64, 248),
  cr8: field(u64, 256),
  efer: field(u64, 264),
  apicBase: field(u64, 272),
  flags: field(u64, 280),
  pdptrs: field(array(u64, 4), 288),
})
export type KvmSregs2 = StructValue<typeof KVM_SREGS2>

/** KVM_GET_FPU, KVM_SET_FPU: `ftwx` is the abridged tag word of FXSAVE; `fpr` is 8 registers of 16 bytes, `xmm` 16 of 16 */
export const KVM_FPU = struct('kvm_fpu', 416, {
  fpr: field(bytes(128), 0),
  fcw: field(u16, 128),
  fsw: field(u16, 130),
  ftwx: field(u8, 132),
  lastOpcode: field(u16, 134),
  lastIp: field(u64, 136),
  lastDp: field(u64, 144),
  xmm: field(bytes(256), 152),
  mxcsr: field(u32, 408),
})
export type KvmFpu = StructValue<typeof KVM_FPU>

/** KVM_GET_XSAVE, KVM_SET_XSAVE: the XSAVE area in its standard form */
export const KVM_XSAVE = struct('kvm_xsave', 4096, { region: field(bytes(4096), 0) })

export const KVM_MAX_XCRS = 16

export const KVM_XCR = struct('kvm_xcr', 16, { xcr: field(u32, 0), value: field(u64, 8) })
export type KvmXcr = StructValue<typeof KVM_XCR>

/** KVM_GET_XCRS, KVM_SET_XCRS */
export const KVM_XCRS = struct('kvm_xcrs', 392, {
  nrXcrs: field(u32, 0),
  flags: field(u32, 4),
  xcrs: field(array(KVM_XCR, KVM_MAX_XCRS), 8),
})

/** KVM_GET_DEBUGREGS, KVM_SET_DEBUGREGS */
export const KVM_DEBUGREGS = struct('kvm_debugregs', 128, {
  db: field(array(u64, 4), 0),
  dr6: field(u64, 32),
  dr7: field(u64, 40),
  flags: field(u64, 48),
})
export type KvmDebugregs = StructValue<typeof KVM_DEBUGREGS>

/** KVM_TRANSLATE */
export const KVM_TRANSLATION = struct('kvm_translation', 24, {
  linearAddress: field(u64, 0),
  physicalAddress: field(u64, 8),
  valid: field(u8, 16),
  writeable: field(u8, 17),
  usermode: field(u8, 18),
})
export type KvmTranslation = StructValue<typeof KVM_TRANSLATION>
export type KvmSregsInput = StructInput<typeof KVM_SREGS>
