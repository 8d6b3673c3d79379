/** Pin-based VM-execution controls. [SDM3 Table 25-5] */
export const PIN_EXTERNAL_INTERRUPT_EXITING = 1 << 0
export const PIN_NMI_EXITING = 1 << 3
export const PIN_VIRTUAL_NMIS = 1 << 5
export const PIN_PREEMPTION_TIMER = 1 << 6

/** Primary processor-based VM-execution controls. [SDM3 Table 25-6] */
export const CPU_INTERRUPT_WINDOW_EXITING = 1 << 2
export const CPU_USE_TSC_OFFSETTING = 1 << 3
export const CPU_HLT_EXITING = 1 << 7
export const CPU_INVLPG_EXITING = 1 << 9
export const CPU_MWAIT_EXITING = 1 << 10
export const CPU_RDPMC_EXITING = 1 << 11
export const CPU_RDTSC_EXITING = 1 << 12
export const CPU_CR3_LOAD_EXITING = 1 << 15
export const CPU_CR3_STORE_EXITING = 1 << 16
export const CPU_CR8_LOAD_EXITING = 1 << 19
export const CPU_CR8_STORE_EXITING = 1 << 20
export const CPU_USE_TPR_SHADOW = 1 << 21
export const CPU_NMI_WINDOW_EXITING = 1 << 22
export const CPU_MOV_DR_EXITING = 1 << 23
export const CPU_UNCONDITIONAL_IO_EXITING = 1 << 24
export const CPU_USE_IO_BITMAPS = 1 << 25
export const CPU_MONITOR_TRAP_FLAG = 1 << 27
export const CPU_USE_MSR_BITMAPS = 1 << 28
export const CPU_MONITOR_EXITING = 1 << 29
export const CPU_PAUSE_EXITING = 1 << 30
/** As an unsigned number; `controls & CPU_ACTIVATE_SECONDARY` is signed, compare it with 0 only. */
export const CPU_ACTIVATE_SECONDARY = 0x8000_0000

/** Secondary processor-based VM-execution controls. [SDM3 Table 25-7] */
export const SECONDARY_EPT = 1 << 1
export const SECONDARY_DESCRIPTOR_TABLE_EXITING = 1 << 2
export const SECONDARY_RDTSCP = 1 << 3
export const SECONDARY_VPID = 1 << 5
export const SECONDARY_WBINVD_EXITING = 1 << 6
export const SECONDARY_UNRESTRICTED_GUEST = 1 << 7
export const SECONDARY_RDRAND_EXITING = 1 << 11
export const SECONDARY_INVPCID = 1 << 12
export const SECONDARY_RDSEED_EXITING = 1 << 16

/** VM-exit controls. [SDM3 Table 25-13] */
export const EXIT_SAVE_DEBUG_CONTROLS = 1 << 2
export const EXIT_HOST_ADDRESS_SPACE_SIZE = 1 << 9
export const EXIT_ACK_INTERRUPT = 1 << 15
export const EXIT_SAVE_PAT = 1 << 18
export const EXIT_LOAD_PAT = 1 << 19
export const EXIT_SAVE_EFER = 1 << 20
export const EXIT_LOAD_EFER = 1 << 21
export const EXIT_SAVE_PREEMPTION_TIMER = 1 << 22

/** VM-entry controls. [SDM3 Table 25-15] */
export const ENTRY_LOAD_DEBUG_CONTROLS = 1 << 2
export const ENTRY_IA32E_MODE_GUEST = 1 << 9
export const ENTRY_LOAD_PAT = 1 << 14
export const ENTRY_LOAD_EFER = 1 << 15

/** Interruption information, of entries, exits and IDT vectoring: vector in 7:0, type in 10:8. [SDM3 Table 25-17] */
export const INTR_INFO_VECTOR = 0xff
export const INTR_INFO_TYPE = 0x700
export const INTR_INFO_TYPE_SHIFT = 8
export const INTR_INFO_ERROR_CODE = 1 << 11
export const INTR_INFO_NMI_UNBLOCKING = 1 << 12
/** As an unsigned number. */
export const INTR_INFO_VALID = 0x8000_0000

export const INTR_TYPE_EXTERNAL = 0
export const INTR_TYPE_NMI = 2
export const INTR_TYPE_HARDWARE_EXCEPTION = 3
export const INTR_TYPE_SOFTWARE_INTERRUPT = 4
export const INTR_TYPE_PRIVILEGED_SOFTWARE_EXCEPTION = 5
export const INTR_TYPE_SOFTWARE_EXCEPTION = 6
export const INTR_TYPE_OTHER = 7

/** Interruptibility state. [SDM3 Table 25-3] */
export const BLOCKING_BY_STI = 1 << 0
export const BLOCKING_BY_MOV_SS = 1 << 1
export const BLOCKING_BY_SMI = 1 << 2
export const BLOCKING_BY_NMI = 1 << 3

/** Activity state. [SDM3 25.4.2 "Guest Non-Register State"] */
export const ACTIVITY_ACTIVE = 0
export const ACTIVITY_HLT = 1
export const ACTIVITY_SHUTDOWN = 2
export const ACTIVITY_WAIT_FOR_SIPI = 3

/** VM-instruction error numbers. [SDM3 Table 31-1] */
export const VMXERR_VMCALL_IN_ROOT = 1
export const VMXERR_VMCLEAR_INVALID_ADDRESS = 2
export const VMXERR_VMCLEAR_VMXON_POINTER = 3
export const VMXERR_VMLAUNCH_NOT_CLEAR = 4
export const VMXERR_VMRESUME_NOT_LAUNCHED = 5
export const VMXERR_ENTRY_INVALID_CONTROLS = 7
export const VMXERR_ENTRY_INVALID_HOST_STATE = 8
export const VMXERR_VMPTRLD_INVALID_ADDRESS = 9
export const VMXERR_VMPTRLD_VMXON_POINTER = 10
export const VMXERR_VMPTRLD_WRONG_REVISION = 11
export const VMXERR_UNSUPPORTED_FIELD = 12
export const VMXERR_READ_ONLY_FIELD = 13
export const VMXERR_VMXON_IN_ROOT = 15
export const VMXERR_INVALID_OPERAND = 28
