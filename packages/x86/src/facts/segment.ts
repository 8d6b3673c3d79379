/** Segment registers by the numbers of the Sreg field; LDTR and TR follow them in `cpuState`. */
export const SEG_ES = 0
export const SEG_CS = 1
export const SEG_SS = 2
export const SEG_DS = 3
export const SEG_FS = 4
export const SEG_GS = 5
export const SEG_LDTR = 6
export const SEG_TR = 7

/** Access rights as the VMCS keeps them. [SDM3 25.4.1 "Guest Register State"] */
export const AR_TYPE = 0xf
/** Code or data; 0 for a system segment. */
export const AR_S = 1 << 4
export const AR_DPL = 3 << 5
export const AR_DPL_SHIFT = 5
export const AR_P = 1 << 7
export const AR_AVL = 1 << 12
export const AR_L = 1 << 13
export const AR_DB = 1 << 14
export const AR_G = 1 << 15
export const AR_UNUSABLE = 1 << 16

/** Bits of the type of a code or data segment. [SDM3 3.4.5.1 "Code- and Data-Segment Descriptor Types"] */
export const TYPE_ACCESSED = 1
/** Data: writable. Code: readable. */
export const TYPE_WRITABLE = 2
export const TYPE_READABLE = 2
/** Data: expand-down. Code: conforming. */
export const TYPE_EXPAND_DOWN = 4
export const TYPE_CONFORMING = 4
export const TYPE_CODE = 8

/** System segment and gate types. [SDM3 3.5 "System Descriptor Types"] */
export const TYPE_TSS16_AVAILABLE = 1
export const TYPE_LDT = 2
export const TYPE_TSS16_BUSY = 3
export const TYPE_CALL_GATE16 = 4
export const TYPE_TASK_GATE = 5
export const TYPE_INTERRUPT_GATE16 = 6
export const TYPE_TRAP_GATE16 = 7
export const TYPE_TSS_AVAILABLE = 9
export const TYPE_TSS_BUSY = 11
export const TYPE_CALL_GATE = 12
export const TYPE_INTERRUPT_GATE = 14
export const TYPE_TRAP_GATE = 15
/** Makes an available TSS of either kind a busy one. */
export const TSS_BUSY = 2

export const SELECTOR_RPL = 3
export const SELECTOR_TI = 4
