import { array, bytes, field, s32, s64, struct, u16, u32, u64, u8 } from './struct.ts'
import { flexible } from './flexible.ts'
import type { StructInput, StructValue } from './struct.ts'

/** KVM_IRQ_LINE, KVM_IRQ_LINE_STATUS: `status` overlays `irq` on the way out */
export const KVM_IRQ_LEVEL = struct('kvm_irq_level', 8, {
  irq: field(u32, 0),
  level: field(u32, 4),
})
export const KVM_IRQ_LEVEL_STATUS = struct('', 8, { status: field(s32, 0) })

export const KVM_IRQCHIP_PIC_MASTER = 0
export const KVM_IRQCHIP_PIC_SLAVE = 1
export const KVM_IRQCHIP_IOAPIC = 2
export const KVM_NR_IRQCHIPS = 3
export const KVM_IOAPIC_NUM_PINS = 24

/** Names are the header's: `init4` is set when ICW1 asked for ICW4 */
export const KVM_PIC_STATE = struct('kvm_pic_state', 16, {
  lastIrr: field(u8, 0),
  irr: field(u8, 1),
  imr: field(u8, 2),
  isr: field(u8, 3),
  priorityAdd: field(u8, 4),
  irqBase: field(u8, 5),
  readRegSelect: field(u8, 6),
  poll: field(u8, 7),
  specialMask: field(u8, 8),
  initState: field(u8, 9),
  autoEoi: field(u8, 10),
  rotateOnAutoEoi: field(u8, 11),
  specialFullyNestedMode: field(u8, 12),
  init4: field(u8, 13),
  elcr: field(u8, 14),
  elcrMask: field(u8, 15),
})
export type KvmPicState = StructValue<typeof KVM_PIC_STATE>

/** `redirtbl` holds the 64-bit redirection entries as the 82093AA has them */
export const KVM_IOAPIC_STATE = struct('kvm_ioapic_state', 216, {
  baseAddress: field(u64, 0),
  ioregsel: field(u32, 8),
  id: field(u32, 12),
  irr: field(u32, 16),
  redirtbl: field(array(u64, KVM_IOAPIC_NUM_PINS), 24),
})
export type KvmIoapicState = StructValue<typeof KVM_IOAPIC_STATE>

/** KVM_GET_IRQCHIP, KVM_SET_IRQCHIP: `pic` and `ioapic` overlay each other; `chipId` selects */
export const KVM_IRQCHIP = struct('kvm_irqchip', 520, {
  chipId: field(u32, 0),
  pic: field(KVM_PIC_STATE, 8, 'chip.pic'),
  ioapic: field(KVM_IOAPIC_STATE, 8, 'chip.ioapic'),
})

export const KVM_PIT_SPEAKER_DUMMY = 1

/** KVM_CREATE_PIT2 */
export const KVM_PIT_CONFIG = struct('kvm_pit_config', 64, { flags: field(u32, 0) })

export const KVM_PIT_CHANNEL_STATE = struct('kvm_pit_channel_state', 24, {
  count: field(u32, 0),
  latchedCount: field(u16, 4),
  countLatched: field(u8, 6),
  statusLatched: field(u8, 7),
  status: field(u8, 8),
  readState: field(u8, 9),
  writeState: field(u8, 10),
  writeLatch: field(u8, 11),
  rwMode: field(u8, 12),
  mode: field(u8, 13),
  bcd: field(u8, 14),
  gate: field(u8, 15),
  countLoadTime: field(s64, 16),
})
export type KvmPitChannelState = StructValue<typeof KVM_PIT_CHANNEL_STATE>

export const KVM_PIT_FLAGS_HPET_LEGACY = 1
export const KVM_PIT_FLAGS_SPEAKER_DATA_ON = 2

/** KVM_GET_PIT2, KVM_SET_PIT2 */
export const KVM_PIT_STATE2 = struct('kvm_pit_state2', 112, {
  channels: field(array(KVM_PIT_CHANNEL_STATE, 3), 0),
  flags: field(u32, 72),
})
export type KvmPitState2 = StructValue<typeof KVM_PIT_STATE2>

/** KVM_REINJECT_CONTROL */
export const KVM_REINJECT_CONTROL_ARGUMENT = struct('kvm_reinject_control', 32, { pitReinject: field(u8, 0) })

export const KVM_APIC_REG_SIZE = 0x400

/** KVM_GET_LAPIC, KVM_SET_LAPIC: the registers as a guest reads them, 32 bits at every 16th byte */
export const KVM_LAPIC_STATE = struct('kvm_lapic_state', KVM_APIC_REG_SIZE, { regs: field(bytes(KVM_APIC_REG_SIZE), 0) })

export const KVM_MSI_VALID_DEVID = 1

/** KVM_SIGNAL_MSI */
export const KVM_MSI = struct('kvm_msi', 32, {
  addressLo: field(u32, 0),
  addressHi: field(u32, 4),
  data: field(u32, 8),
  flags: field(u32, 12),
  devid: field(u32, 16),
})
export type KvmMsi = { addressLo: number; data: number } & StructInput<typeof KVM_MSI>

export const KVM_IRQ_ROUTING_IRQCHIP = 1
export const KVM_IRQ_ROUTING_MSI = 2

/** An entry of KVM_SET_GSI_ROUTING: `irqchip` and `msi` overlay each other; `type` selects */
export const KVM_IRQ_ROUTING_ENTRY = struct('kvm_irq_routing_entry', 48, {
  gsi: field(u32, 0),
  type: field(u32, 4),
  flags: field(u32, 8),
  irqchip: field(struct('kvm_irq_routing_irqchip', 8, { irqchip: field(u32, 0), pin: field(u32, 4) }), 16, 'u.irqchip'),
  msi: field(
    struct('kvm_irq_routing_msi', 16, {
      addressLo: field(u32, 0),
      addressHi: field(u32, 4),
      data: field(u32, 8),
      devid: field(u32, 12),
    }),
    16,
    'u.msi',
  ),
})
export type KvmIrqRoutingEntry = { gsi: number; type: number } & StructInput<typeof KVM_IRQ_ROUTING_ENTRY>

/** KVM_SET_GSI_ROUTING */
export const KVM_IRQ_ROUTING = flexible(
  struct('kvm_irq_routing', 8, { nr: field(u32, 0), flags: field(u32, 4) }),
  'nr',
  'entries',
  8,
  KVM_IRQ_ROUTING_ENTRY,
)

export const KVM_IRQFD_FLAG_DEASSIGN = 1
export const KVM_IRQFD_FLAG_RESAMPLE = 2

/** KVM_IRQFD */
export const KVM_IRQFD_ARGUMENT = struct('kvm_irqfd', 32, {
  fd: field(u32, 0),
  gsi: field(u32, 4),
  flags: field(u32, 8),
  resamplefd: field(u32, 12),
})
export type KvmIrqfd = { fd: number; gsi: number } & StructInput<typeof KVM_IRQFD_ARGUMENT>

export const KVM_IOEVENTFD_FLAG_DATAMATCH = 1
export const KVM_IOEVENTFD_FLAG_PIO = 2
export const KVM_IOEVENTFD_FLAG_DEASSIGN = 4
export const KVM_IOEVENTFD_VALID_FLAG_MASK = 0x1f

/** KVM_IOEVENTFD */
export const KVM_IOEVENTFD_ARGUMENT = struct('kvm_ioeventfd', 64, {
  datamatch: field(u64, 0),
  addr: field(u64, 8),
  len: field(u32, 16),
  fd: field(s32, 20),
  flags: field(u32, 24),
})
export type KvmIoeventfd = { addr: bigint; fd: number } & StructInput<typeof KVM_IOEVENTFD_ARGUMENT>

/** KVM_TPR_ACCESS_REPORTING */
export const KVM_TPR_ACCESS_CTL = struct('kvm_tpr_access_ctl', 40, { enabled: field(u32, 0), flags: field(u32, 4) })

/** KVM_SET_VAPIC_ADDR */
export const KVM_VAPIC_ADDR = struct('kvm_vapic_addr', 8, { vapicAddr: field(u64, 0) })
