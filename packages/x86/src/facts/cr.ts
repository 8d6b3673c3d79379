/** Control registers, EFER, XCR0, debug registers. [SDM3 2.5 "Control Registers", 2.2.1 "Extended Feature Enable Register", 18.2 "Debug Registers"] */

export const CR0_PE = 1 << 0
export const CR0_MP = 1 << 1
export const CR0_EM = 1 << 2
export const CR0_TS = 1 << 3
/** Always 1. */
export const CR0_ET = 1 << 4
export const CR0_NE = 1 << 5
export const CR0_WP = 1 << 16
export const CR0_AM = 1 << 18
export const CR0_NW = 1 << 29
export const CR0_CD = 1 << 30
/** As an unsigned number; `value & CR0_PG` is signed, compare it with 0 only. */
export const CR0_PG = 0x8000_0000
/** Bits that exist; the others of the low half read as zero whatever is written. */
export const CR0_DEFINED = 0xe005_003f

export const CR3_PWT = 1 << 3
export const CR3_PCD = 1 << 4
/** With CR4.PCIDE a load of CR3 with this bit keeps the translations of the new PCID. */
export const CR3_NO_FLUSH = 1n << 63n

export const CR4_VME = 1 << 0
export const CR4_PVI = 1 << 1
export const CR4_TSD = 1 << 2
export const CR4_DE = 1 << 3
export const CR4_PSE = 1 << 4
export const CR4_PAE = 1 << 5
export const CR4_MCE = 1 << 6
export const CR4_PGE = 1 << 7
export const CR4_PCE = 1 << 8
export const CR4_OSFXSR = 1 << 9
export const CR4_OSXMMEXCPT = 1 << 10
export const CR4_UMIP = 1 << 11
export const CR4_LA57 = 1 << 12
export const CR4_VMXE = 1 << 13
export const CR4_SMXE = 1 << 14
export const CR4_FSGSBASE = 1 << 16
export const CR4_PCIDE = 1 << 17
export const CR4_OSXSAVE = 1 << 18
export const CR4_SMEP = 1 << 20
export const CR4_SMAP = 1 << 21
export const CR4_PKE = 1 << 22

export const EFER_SCE = 1 << 0
export const EFER_LME = 1 << 8
export const EFER_LMA = 1 << 10
export const EFER_NXE = 1 << 11
export const EFER_SVME = 1 << 12

export const XCR0_X87 = 1 << 0
export const XCR0_SSE = 1 << 1
export const XCR0_AVX = 1 << 2

export const DR6_B0 = 1 << 0
export const DR6_BD = 1 << 13
export const DR6_BS = 1 << 14
export const DR6_BT = 1 << 15
/** Bits that can be written; `DR6_FIXED` are always 1. */
export const DR6_WRITABLE = 0xe00f
export const DR6_FIXED = 0xffff_0ff0

export const DR7_GD = 1 << 13
/** L0 G0 .. L3 G3. */
export const DR7_ENABLES = 0xff
export const DR7_WRITABLE = 0xffff_23ff
export const DR7_FIXED = 0x400

/** DEBUGCTL. [SDM3 18.4.1 "IA32_DEBUGCTL MSR"] */
export const DEBUGCTL_LBR = 1 << 0
export const DEBUGCTL_BTF = 1 << 1
