/** Register offsets and fields of the local APIC. [SDM3 Table 11-1 "Local APIC Register Address Map"] */

export const APIC_ID = 0x020
export const APIC_VERSION = 0x030
export const APIC_TPR = 0x080
export const APIC_APR = 0x090
export const APIC_PPR = 0x0a0
export const APIC_EOI = 0x0b0
export const APIC_LDR = 0x0d0
export const APIC_DFR = 0x0e0
export const APIC_SVR = 0x0f0
export const APIC_ISR = 0x100
export const APIC_TMR = 0x180
export const APIC_IRR = 0x200
export const APIC_ESR = 0x280
export const APIC_ICR = 0x300
export const APIC_ICR_HIGH = 0x310
export const APIC_LVT_TIMER = 0x320
export const APIC_LVT_THERMAL = 0x330
export const APIC_LVT_PERF = 0x340
export const APIC_LVT_LINT0 = 0x350
export const APIC_LVT_LINT1 = 0x360
export const APIC_LVT_ERROR = 0x370
export const APIC_INITIAL_COUNT = 0x380
export const APIC_CURRENT_COUNT = 0x390
export const APIC_DIVIDE = 0x3e0
export const APIC_SELF_IPI = 0x3f0

export const LVT_MASKED = 1 << 16
export const LVT_REMOTE_IRR = 1 << 14
export const LVT_LEVEL = 1 << 15

export const SVR_ENABLE = 1 << 8

export const ESR_SEND_ILLEGAL_VECTOR = 1 << 5
export const ESR_RECEIVE_ILLEGAL_VECTOR = 1 << 6
export const ESR_ILLEGAL_REGISTER = 1 << 7

export const TIMER_ONE_SHOT = 0
export const TIMER_PERIODIC = 1
export const TIMER_TSC_DEADLINE = 2

/** IA32_APIC_BASE. [SDM3 11.4.4 "Local APIC Status and Location"] */
export const APIC_BASE_BSP = 1n << 8n
export const APIC_BASE_X2APIC = 1n << 10n
export const APIC_BASE_ENABLE = 1n << 11n
export const APIC_DEFAULT_BASE = 0xfee0_0000n

export const LVT_REGISTERS = [
  APIC_LVT_TIMER,
  APIC_LVT_THERMAL,
  APIC_LVT_PERF,
  APIC_LVT_LINT0,
  APIC_LVT_LINT1,
  APIC_LVT_ERROR,
] as const

/** Writable bits of each LVT entry. [SDM3 Figure 11-8 "Local Vector Table (LVT)"] */
export const LVT_WRITABLE: ReadonlyMap<number, number> = new Map([
  [APIC_LVT_TIMER, 0x700ff],
  [APIC_LVT_THERMAL, 0x107ff],
  [APIC_LVT_PERF, 0x107ff],
  [APIC_LVT_LINT0, 0x1a7ff],
  [APIC_LVT_LINT1, 0x1a7ff],
  [APIC_LVT_ERROR, 0x100ff],
])

/** Version 14h (integrated), six LVT entries. */
export const VERSION_VALUE = 0x14 | ((LVT_REGISTERS.length - 1) << 16)

/** Registers that software may read; ISR, TMR and IRR are ranges of eight. */
export const READABLE: ReadonlySet<number> = new Set([
  ...[APIC_ID, APIC_VERSION, APIC_TPR, APIC_APR, APIC_PPR, APIC_LDR, APIC_DFR, APIC_SVR, APIC_ESR, APIC_ICR, APIC_ICR_HIGH],
  ...LVT_REGISTERS,
  ...[APIC_INITIAL_COUNT, APIC_CURRENT_COUNT, APIC_DIVIDE],
  ...[APIC_ISR, APIC_TMR, APIC_IRR].flatMap((base) => Array.from({ length: 8 }, (_, i) => base + 16 * i)),
])
