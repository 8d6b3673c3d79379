/** Every guest address, port and interrupt of the board, and why it is there. */

export const KIB = 0x400
export const MIB = 0x10_0000
export const GIB = 0x4000_0000

/* Physical memory ------------------------------------------------------------------------------------------------------------ */

/** Real-mode interrupt vectors and BIOS data area; offset 0Eh of the latter names the EBDA. */
export const IVT = 0x0
export const BDA = 0x400

/**
 * Low memory that the boot protocols' entry states use: above the BIOS data area, below where a 16-bit kernel's setup code sits.
 */
export const BOOT_GDT = 0x500
export const BOOT_ZERO_PAGE = 0x7000
export const BOOT_STACK = 0x8ff0
export const BOOT_PAGE_TABLES = 0x9000
export const BOOT_COMMAND_LINE = 0x2_0000
/** Multiboot information with its strings and memory map. */
export const BOOT_MULTIBOOT_INFO = 0x1_0000
export const BOOT_MULTIBOOT_INFO_END = 0x8_0000
/** Segment 9000h is where the boot protocol has put the setup code since 1991. */
export const BOOT_SETUP = 0x9_0000

/** Extended BIOS data area: the last KiB of conventional memory, where the MP specification has guests look first. */
export const EBDA = 0x9_fc00
export const CONVENTIONAL_END = 0xa_0000
/** A0000h..BFFFFh belongs to a display adapter. */
export const VIDEO_MEMORY = 0xa_0000
export const SHADOW_RAM = 0xc_0000
/** ACPI tables; the RSDP is looked for from here on, in the BIOS area. [ACPI 6.5 5.2.5.1 "Finding the RSDP on IA-PC Systems"] */
export const ACPI_TABLES = 0xe_0000
export const BIOS = 0xf_0000
export const RSDP = 0xf_0000
export const MP_FLOATING_POINTER = 0xf_0040
export const MP_TABLE = 0xf_0050
/** Real-mode service stubs, and at its end the reset vector. */
export const BIOS_STUBS = 0xf_e000
export const BIOS_END = 0x10_0000

/** RAM below 4 GiB ends here at the latest; devices own the rest of the 32-bit space. */
export const LOW_RAM_LIMIT = 0xc000_0000
export const HIGH_RAM = 0x1_0000_0000

/** virtio-mmio devices, a page each. Guests without ACPI are told on their command line. */
export const VIRTIO_MMIO = 0xd000_0000
export const VIRTIO_MMIO_SIZE = 0x1000
/** Memory window of the PCI host bridge. */
export const PCI_MEMORY = 0xe000_0000
export const PCI_MEMORY_END = 0xfec0_0000
export const IOAPIC = 0xfec0_0000
export const LAPIC = 0xfee0_0000
/**
 * Four pages that Intel's real-mode support in KVM needs, out of every guest's way. [Linux Documentation/virt/kvm/api.rst,
 * KVM_SET_TSS_ADDR]
 */
export const KVM_IDENTITY_MAP = 0xfeff_c000
export const KVM_TSS = 0xfeff_d000

/* Ports ---------------------------------------------------------------------------------------------------------------------- */

export const PORT_KEYBOARD_DATA = 0x60
export const PORT_KEYBOARD_COMMAND = 0x64
export const PORT_CMOS = 0x70
/** POST codes; written as an I/O delay by many systems. */
export const PORT_POST = 0x80
export const PORT_SYSTEM_CONTROL_A = 0x92
/** APM control: the SMI command port of the FADT. */
export const PORT_APM_CONTROL = 0xb2
/** Traps of the real-mode service stubs; unused on a PC. */
export const PORT_BIOS_TRAP = 0xb8
/** QEMU's isa-debug-exit, where test kernels expect it. */
export const PORT_DEBUG_EXIT = 0xf4
/** QEMU's and SeaBIOS's debug console. */
export const PORT_DEBUG_CONSOLE = 0x402
export const PORT_COM = [0x3f8, 0x2f8, 0x3e8, 0x2e8] as const
export const PORT_PM = 0x600
export const PORT_PCI_CONFIG = 0xcf8
export const PORT_RESET_CONTROL = 0xcf9

/* Interrupts ----------------------------------------------------------------------------------------------------------------- */

export const IRQ_KEYBOARD = 1
export const IRQ_COM = [4, 3, 4, 3] as const
/** virtio-mmio: free on this board; COM3/4 share 3 and 4, there is no LPT, floppy or sound card. */
export const IRQ_VIRTIO = [5, 6, 7, 13, 14, 15] as const
export const IRQ_RTC = 8
/** SCI of every PC chipset. */
export const IRQ_SCI = 9
export const IRQ_PCI = [10, 11] as const
export const IRQ_MOUSE = 12
/** Level-triggered inputs of the 8259A pair (ELCR): SCI and PCI. */
export const LEVEL_IRQS: readonly number[] = [IRQ_SCI, ...IRQ_PCI]

export const LAPIC_ID_BOOT = 0
/** PCI interrupts of a slot's pins INTA..INTD, spread over the two IRQs. */
export function pciIrq(device: number, pin: number): number {
  return IRQ_PCI[(device + pin) % IRQ_PCI.length] ?? IRQ_PCI[0]
}
