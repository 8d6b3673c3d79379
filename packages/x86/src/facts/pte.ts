/** Low words of paging-structure entries, every format. [SDM3 4.3 "32-Bit Paging", 4.4 "PAE Paging", 4.5 "4-Level Paging and 5-Level Paging"] */
export const PTE_P = 1 << 0
export const PTE_RW = 1 << 1
export const PTE_US = 1 << 2
export const PTE_PWT = 1 << 3
export const PTE_PCD = 1 << 4
export const PTE_A = 1 << 5
export const PTE_D = 1 << 6
/** In entries that may map a large page. */
export const PTE_PS = 1 << 7
export const PTE_G = 1 << 8
/** PAT in entries that map large pages; in a 4 KiB entry it is bit 7. */
export const PTE_PAT_LARGE = 1 << 12
/** In the high word. */
export const PTE_NX_HIGH = 0x8000_0000
export const PTE_NX = 1n << 63n

/** EPT paging-structure entries. [SDM3 29.3.2 "EPT Translation Mechanism"] */
export const EPT_R = 1 << 0
export const EPT_W = 1 << 1
export const EPT_X = 1 << 2
export const EPT_RWX = 7
export const EPT_MEMORY_TYPE = 7 << 3
export const EPT_MEMORY_TYPE_SHIFT = 3
export const EPT_IGNORE_PAT = 1 << 6
export const EPT_PS = 1 << 7
export const EPT_A = 1 << 8
export const EPT_D = 1 << 9

/** EPT pointer. [SDM3 25.6.11 "Extended-Page-Table Pointer (EPTP)"] */
export const EPTP_WALK_LENGTH_4 = 3 << 3
export const EPTP_ACCESSED_DIRTY = 1 << 6

/** Memory types. [SDM3 Table 12-11 "Memory Types That Can Be Encoded With PAT"] */
export const MEMORY_TYPE_UC = 0
export const MEMORY_TYPE_WC = 1
export const MEMORY_TYPE_WT = 4
export const MEMORY_TYPE_WP = 5
export const MEMORY_TYPE_WB = 6

/** Exit qualification of EPT violations. [SDM3 Table 28-7] */
export const EPT_VIOLATION_READ = 1 << 0
export const EPT_VIOLATION_WRITE = 1 << 1
export const EPT_VIOLATION_FETCH = 1 << 2
/** Permissions of the guest-physical address: R, W, X in 5:3. */
export const EPT_VIOLATION_PERMISSIONS_SHIFT = 3
export const EPT_VIOLATION_LINEAR_VALID = 1 << 7
/** Clear: the access was to a guest paging-structure entry. */
export const EPT_VIOLATION_TRANSLATED = 1 << 8
