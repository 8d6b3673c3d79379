/** VMX capability MSRs. [SDM3 Appendix A "VMX Capability Reporting Facility"] */
export const IA32_VMX_BASIC = 0x480
export const IA32_VMX_PINBASED_CTLS = 0x481
export const IA32_VMX_PROCBASED_CTLS = 0x482
export const IA32_VMX_EXIT_CTLS = 0x483
export const IA32_VMX_ENTRY_CTLS = 0x484
export const IA32_VMX_MISC = 0x485
export const IA32_VMX_CR0_FIXED0 = 0x486
export const IA32_VMX_CR0_FIXED1 = 0x487
export const IA32_VMX_CR4_FIXED0 = 0x488
export const IA32_VMX_CR4_FIXED1 = 0x489
export const IA32_VMX_VMCS_ENUM = 0x48a
export const IA32_VMX_PROCBASED_CTLS2 = 0x48b
export const IA32_VMX_EPT_VPID_CAP = 0x48c
export const IA32_VMX_TRUE_PINBASED_CTLS = 0x48d
export const IA32_VMX_TRUE_PROCBASED_CTLS = 0x48e
export const IA32_VMX_TRUE_EXIT_CTLS = 0x48f
export const IA32_VMX_TRUE_ENTRY_CTLS = 0x490
