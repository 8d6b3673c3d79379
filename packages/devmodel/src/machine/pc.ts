/** The board. */
import { AcpiPm, I8042, Mc146818, PM1_POWER_BUTTON } from '@guestmode/chips'
import {
  KVM_IRQCHIP_IOAPIC,
  KVM_IRQCHIP_PIC_MASTER,
  KVM_IRQCHIP_PIC_SLAVE,
  KVM_IRQ_ROUTING_IRQCHIP,
  KVM_PIT_SPEAKER_DUMMY,
  KvmError,
  type Kvm,
  type KvmIrqRoutingEntry,
  type KvmVcpu,
  type KvmVm,
} from '@guestmode/kvm-abi'
import { S5_SLEEP_TYPE } from '../acpi/dsdt.ts'
import { acpiTables } from '../acpi/tables.ts'
import type { CharBackend } from '../backends/char.ts'
import type { Host } from '../backends/host.ts'
import { MmioBus } from '../bus/mmio-bus.ts'
import { PortBus } from '../bus/port-bus.ts'
import { ConfigError } from '../errors.ts'
import { BIOS_TRAP_PORTS, BiosTraps, installBios, loadBootSector } from '../fw/bios.ts'
import type { BootConfig, BootEntry } from '../fw/boot-config.ts'
import { loadLinux, loadRaw } from '../fw/linux.ts'
import { mpTables } from '../fw/mptable.ts'
import { setFirmwareMsrs } from '../fw/msrs.ts'
import { loadMultiboot } from '../fw/multiboot.ts'
import { mib } from '../fw/place.ts'
import { CmosPorts, storeMemorySizes } from '../isa/cmos.ts'
import { debugConsole, debugExit, keyboardPorts, postCode, resetControl, systemControlA } from '../isa/ports.ts'
import { SerialPort } from '../isa/serial.ts'
import { PciHostBridge } from '../pci/host-bridge.ts'
import { PIIX4_DEVICE, PM_PORTS, PmPorts, apmControl, isaBridge, powerManagement } from '../pci/piix4.ts'
import { VirtioConsole } from '../virtio/console.ts'
import type { VirtioDevice } from '../virtio/device.ts'
import { VirtioMmio } from '../virtio/mmio-transport.ts'
import { VirtioRng } from '../virtio/rng.ts'
import { guestCpuid, hasFeature, type CpuModel } from './cpuid.ts'
import { GuestMemory } from './guest-memory.ts'
import { IrqLines } from './irq-lines.ts'
import * as L from './layout.ts'
import { RunLoop, type PcHooks } from './run-loop.ts'
import { Timers } from './timers.ts'
import type { VmEnd } from './vm-end.ts'

export type VirtioConfig = { kind: 'console'; backend: CharBackend } | { kind: 'rng' }

export interface PcConfig {
  /** Bytes of RAM. */
  memory: number
  boot: BootConfig
  /** COM1 to COM4; a port without backend is not there. */
  serial?: readonly (CharBackend | undefined)[]
  virtio?: readonly VirtioConfig[]
  /** How a guest learns of the virtio devices: from ACPI, or, for kernels without, from the Linux command line. */
  announceVirtio?: 'acpi' | 'command-line'
  /** Port 402h, and the teletype of the BIOS services. */
  debugConsole?: CharBackend
  cpu?: CpuModel
}

export interface PcDeps extends Host {
  kvm: Kvm
}

const LEAST_MEMORY = 2 * L.MIB

export class Pc {
  readonly vm: KvmVm
  readonly vcpu: KvmVcpu
  readonly memory: GuestMemory
  readonly ports = new PortBus()
  readonly mmio = new MmioBus()
  readonly hooks: PcHooks = {}
  readonly keyboard: I8042
  readonly power: AcpiPm
  readonly #loop: RunLoop
  readonly #timers = new Timers()
  readonly #serial: SerialPort[] = []

  constructor(vm: KvmVm, config: PcConfig, deps: PcDeps) {
    this.vm = vm
    this.memory = this.#createMemory(config.memory)
    this.#createIrqchip()
    this.vcpu = this.vm.createVcpu(0)
    const cpuid = guestCpuid(deps.kvm.getSupportedCpuid(), config.cpu)
    this.vcpu.setCpuid2(cpuid)
    setFirmwareMsrs(this.vcpu)
    this.#loop = new RunLoop({
      vcpu: this.vcpu,
      ports: this.ports,
      mmio: this.mmio,
      timers: this.#timers,
      host: deps,
      hooks: this.hooks,
      flush: () => this.#serial.forEach((port) => port.flush()),
    })
    const irqs = new IrqLines((gsi, level) => {
      this.vm.irqLine(gsi, level ? 1 : 0)
      if (level) this.#loop.wake()
    })
    const reset = (by: string) => (): void => this.#loop.end({ kind: 'reset', by })

    // Real-time clock and NVRAM.
    const rtc = new Mc146818({ clock: deps.clock, unixTime: deps.unixTime, irq: irqs.line(L.IRQ_RTC) })
    storeMemorySizes(rtc, this.memory)
    this.#timers.add(rtc)
    this.ports.claim(L.PORT_CMOS, 2, new CmosPorts(rtc, this.#timers))

    // Keyboard controller.
    this.keyboard = new I8042({
      irq1: irqs.line(L.IRQ_KEYBOARD),
      irq12: irqs.line(L.IRQ_MOUSE),
      resetLine: reset('keyboard controller'),
    })
    const keyboard = keyboardPorts(this.keyboard)
    this.ports.claim(L.PORT_KEYBOARD_DATA, 1, keyboard.data)
    this.ports.claim(L.PORT_KEYBOARD_COMMAND, 1, keyboard.command)

    // Serial ports.
    const serial = config.serial ?? []
    serial.forEach((backend, i) => {
      if (!backend) return
      const port = new SerialPort({ backend, irq: irqs.line(L.IRQ_COM[i] ?? 4) })
      this.#serial.push(port)
      this.ports.claim(L.PORT_COM[i] ?? 0, 8, port)
    })

    // PCI: host bridge, PIIX4 with power management.
    this.power = new AcpiPm({
      clock: deps.clock,
      sci: irqs.line(L.IRQ_SCI),
      sleep: (type) => {
        if (type === S5_SLEEP_TYPE) this.#loop.end({ kind: 'power-off' })
        else deps.log(`the guest asked for sleep type ${type}, which this board does not have`)
      },
    })
    this.#timers.add(this.power)
    const pci = new PciHostBridge()
    pci.add(PIIX4_DEVICE, 0, isaBridge())
    pci.add(PIIX4_DEVICE, 3, powerManagement())
    this.ports.claim(L.PORT_PCI_CONFIG, 8, pci)
    this.ports.claim(L.PORT_RESET_CONTROL, 1, resetControl(reset('reset control register')))
    this.ports.claim(L.PORT_PM, PM_PORTS, new PmPorts(this.power, this.#timers))
    this.ports.claim(L.PORT_APM_CONTROL, 2, apmControl(this.power))

    // Odds and ends.
    this.ports.claim(L.PORT_POST, 1, postCode())
    this.ports.claim(L.PORT_SYSTEM_CONTROL_A, 1, systemControlA(reset('system control port A')))
    this.ports.claim(
      L.PORT_DEBUG_EXIT,
      4,
      debugExit((status) => this.#loop.end({ kind: 'debug-exit', status })),
    )
    if (config.debugConsole) this.ports.claim(L.PORT_DEBUG_CONSOLE, 1, debugConsole(config.debugConsole))

    // virtio.
    const virtio = (config.virtio ?? []).map((entry, i) => {
      const address = L.VIRTIO_MMIO + i * L.VIRTIO_MMIO_SIZE
      const irq = L.IRQ_VIRTIO[i] ?? 0
      const device = createVirtio(entry, deps)
      this.mmio.claim(
        address,
        L.VIRTIO_MMIO_SIZE,
        new VirtioMmio({ device, memory: this.memory, irq: irqs.line(irq), log: deps.log }),
      )
      return { address, irq }
    })

    // Firmware tables, and the guest.
    const inAcpi = config.announceVirtio !== 'command-line'
    const tables = acpiTables({ serial: serial.flatMap((backend, i) => (backend ? [i] : [])), virtio: inAcpi ? virtio : [] })
    const leaf1 = cpuid.find((entry) => entry.function === 1)
    tables.push(...mpTables(leaf1?.eax ?? 0, leaf1?.edx ?? 0))
    for (const { address, bytes } of tables) this.memory.write(address, bytes)
    this.memory.writeU16(L.BDA + 0x0e, L.EBDA / 16)
    this.memory.writeU16(L.EBDA, 1)
    const entry = this.#load(config, hasFeature(cpuid, 'lm'), inAcpi ? [] : virtio)
    if (entry.needsBios) {
      installBios(this.memory)
      const bios = new BiosTraps({
        vcpu: this.vcpu,
        memory: this.memory,
        unixTime: deps.unixTime,
        teletype: (byte) => (config.debugConsole ?? serial[0])?.write(Uint8Array.of(byte)),
      })
      this.ports.claim(L.PORT_BIOS_TRAP, BIOS_TRAP_PORTS, bios)
    }
    entry.start(this.vcpu, this.memory)
  }

  /** Runs until the machine ends. Once only: a machine that was reset is built anew. */
  run(): Promise<VmEnd> {
    return this.#loop.run()
  }

  /** Presses the power button: a guest with ACPI shuts down. */
  powerButton(): void {
    this.power.raise(PM1_POWER_BUTTON)
  }

  /** Ends the run with `quit`. */
  stop(): void {
    this.#loop.stop()
  }

  /** Gives the VM back to the engine; after `run` has ended. */
  close(): void {
    this.vcpu.close()
    this.vm.close()
  }

  #createMemory(size: number): GuestMemory {
    let host
    try {
      host = this.vm.allocateMemory(size)
    } catch (error) {
      if (error instanceof KvmError)
        throw new ConfigError(`there is no room for ${mib(size)} of guest memory: give the machine less`)
      throw error
    }
    const memory = new GuestMemory(host)
    const map = (slot: number, gpa: number, offset: number, length: number): void =>
      this.vm.setUserMemoryRegion({
        slot,
        flags: 0,
        guestPhysAddr: BigInt(gpa),
        memorySize: BigInt(length),
        userspaceAddr: host.address + BigInt(offset),
      })
    map(0, 0, 0, L.VIDEO_MEMORY)
    map(1, L.SHADOW_RAM, L.SHADOW_RAM, memory.lowSize - L.SHADOW_RAM)
    if (memory.highSize) map(2, L.HIGH_RAM, memory.lowSize, memory.highSize)
    return memory
  }

  /** PICs, I/O APIC and PIT are the engine's; GSI 0 goes to I/O APIC pin 2, and level-triggered IRQs are told to the PICs. */
  #createIrqchip(): void {
    const { vm } = this
    vm.setTssAddr(L.KVM_TSS)
    vm.setIdentityMapAddr(BigInt(L.KVM_IDENTITY_MAP))
    vm.createIrqchip()
    vm.setGsiRouting(gsiRouting())
    vm.createPit2(KVM_PIT_SPEAKER_DUMMY)
    for (const [chip, first] of [
      [KVM_IRQCHIP_PIC_MASTER, 0],
      [KVM_IRQCHIP_PIC_SLAVE, 8],
    ] as const) {
      const state = vm.getPic(chip)
      const elcr = L.LEVEL_IRQS.reduce((bits, irq) => (irq >= first && irq < first + 8 ? bits | (1 << (irq - first)) : bits), 0)
      // Without a BIOS nobody has initialized the PICs: every input stays masked until the guest does.
      vm.setPic(chip, { ...state, elcr, imr: 0xff })
    }
  }

  #load(config: PcConfig, longMode: boolean, announced: readonly { address: number; irq: number }[]): BootEntry {
    const { boot } = config
    const extra = announced.map(({ address, irq }) => `virtio_mmio.device=4K@0x${address.toString(16)}:${irq}`)
    switch (boot.kind) {
      case 'linux':
        return loadLinux(this.memory, { ...boot, commandLine: [boot.commandLine, ...extra].filter(Boolean).join(' ') }, longMode)
      case 'raw':
        if (!longMode) throw new ConfigError('a raw 64-bit kernel needs a CPU with long mode')
        return loadRaw(this.memory, { ...boot, commandLine: [boot.commandLine, ...extra].filter(Boolean).join(' ') })
      case 'multiboot':
        return loadMultiboot(this.memory, boot)
      case 'boot-sector':
        return loadBootSector(this.memory, boot)
    }
  }
}

/** Builds the board in a new VM and loads the guest. */
export function createPc(config: PcConfig, deps: PcDeps): Pc {
  checkConfig(config)
  const vm = deps.kvm.createVm()
  try {
    return new Pc(vm, config, deps)
  } catch (error) {
    vm.close()
    throw error
  }
}

function checkConfig(config: PcConfig): void {
  const { memory, serial = [], virtio = [] } = config
  if (!Number.isSafeInteger(memory) || memory % 0x1000) throw new ConfigError('the memory size must be a multiple of 4096 bytes')
  if (memory < LEAST_MEMORY) throw new ConfigError(`the machine needs at least ${mib(LEAST_MEMORY)} of memory`)
  if (serial.length > L.PORT_COM.length)
    throw new ConfigError(`there are ${L.PORT_COM.length} serial ports, not ${serial.length}`)
  if (virtio.length > L.IRQ_VIRTIO.length)
    throw new ConfigError(`there is room for ${L.IRQ_VIRTIO.length} virtio devices, not ${virtio.length}`)
}

function createVirtio(config: VirtioConfig, deps: PcDeps): VirtioDevice {
  return config.kind === 'console' ? new VirtioConsole(config.backend) : new VirtioRng(deps.random)
}

function gsiRouting(): KvmIrqRoutingEntry[] {
  const entries: KvmIrqRoutingEntry[] = []
  const route = (gsi: number, irqchip: number, pin: number): void => {
    entries.push({ gsi, type: KVM_IRQ_ROUTING_IRQCHIP, irqchip: { irqchip, pin } })
  }
  for (let gsi = 0; gsi < 24; gsi++) {
    if (gsi < 16 && gsi !== 2) route(gsi, gsi < 8 ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE, gsi % 8)
    if (gsi !== 2) route(gsi, KVM_IRQCHIP_IOAPIC, gsi === 0 ? 2 : gsi)
  }
  return entries
}
