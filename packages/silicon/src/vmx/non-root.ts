import {
  CPU_INTERRUPT_WINDOW_EXITING,
  CPU_MONITOR_TRAP_FLAG,
  CPU_MOV_DR_EXITING,
  CPU_NMI_WINDOW_EXITING,
  CPU_RDTSC_EXITING,
  CPU_UNCONDITIONAL_IO_EXITING,
  CPU_USE_IO_BITMAPS,
  CPU_USE_MSR_BITMAPS,
  CPU_USE_TPR_SHADOW,
  CPU_USE_TSC_OFFSETTING,
  EFLAGS_IF,
  Exception,
  ExitReason,
  INTR_INFO_ERROR_CODE,
  INTR_INFO_VALID,
  INTR_TYPE_HARDWARE_EXCEPTION,
  INTR_TYPE_SOFTWARE_EXCEPTION,
  Vmcs,
  BLOCKING_BY_MOV_SS,
  BLOCKING_BY_NMI,
  BLOCKING_BY_STI,
  PIN_PREEMPTION_TIMER,
  SECONDARY_EPT,
  SECONDARY_UNRESTRICTED_GUEST,
} from '@guestmode/x86'
import type { CpuEvent, GuestFault } from '../cpu/events.ts'
import { VmExit } from '../cpu/events.ts'
import type { NonRoot } from '../cpu/non-root.ts'
import { ud } from '../microcode/faults.ts'
import { systemFlags } from '../microcode/flags.ts'
import { preemptionTimerShift, type VmxCapabilities } from './capabilities.ts'
import { clts, cr8LoadExit, cr8StoreExit, lmsw, moveFromCr3, moveToCr0, moveToCr3, moveToCr4, readMasked } from './cr-access.ts'
import type { VmxHost } from './host.ts'
import { interceptedInstructions, UNDEFINED } from './intercepts.ts'
import type { CurrentVmcs } from './vmcs.ts'
import { field } from './vmcs-layout.ts'

const high = 0x1_0000_0000
const taskSwitchSources = { call: 0, iret: 1, jmp: 2, gate: 3 } as const
/** Task priority register in the virtual-APIC page. */
const VTPR = 0x80

/** VMX non-root operation under the current VMCS. */
export class NonRootOperation implements NonRoot {
  delivering: CpuEvent | undefined
  watching = false
  singleStep = false
  unrestrictedGuest = false
  ept = false
  /** Time-stamp counter at which the preemption timer is 0. */
  private timerEnd = 0n
  /** The monitor trap flag exits at the next boundary: an instruction has completed since it was seen. */
  private trapPending = false
  private tprFell = false
  private readonly host: VmxHost
  private readonly vmcs: CurrentVmcs
  private readonly capabilities: VmxCapabilities
  private primary = 0
  private secondary = 0
  private pin = 0
  private exceptionBitmap = 0
  private instructions = interceptedInstructions(0, 0)

  constructor(host: VmxHost, vmcs: CurrentVmcs, capabilities: VmxCapabilities) {
    this.host = host
    this.vmcs = vmcs
    this.capabilities = capabilities
  }

  /** Takes over the controls; at an entry after one of them changed. */
  configure(pin: number, primary: number, secondary: number): void {
    const boundaries = CPU_INTERRUPT_WINDOW_EXITING | CPU_NMI_WINDOW_EXITING | CPU_MONITOR_TRAP_FLAG
    if (((this.primary ^ primary) & ~boundaries) !== 0 || this.secondary !== secondary) {
      this.instructions = interceptedInstructions(primary, secondary)
    }
    this.pin = pin
    this.primary = primary
    this.secondary = secondary
    this.exceptionBitmap = this.vmcs.low(field.EXCEPTION_BITMAP)
    this.unrestrictedGuest = (secondary & SECONDARY_UNRESTRICTED_GUEST) !== 0
    this.ept = (secondary & SECONDARY_EPT) !== 0
  }

  /** `injects`: an event is delivered before the first instruction. */
  begin(injects: boolean): void {
    const { primary, pin } = this
    const traps = (primary & CPU_MONITOR_TRAP_FLAG) !== 0
    const timer = (pin & PIN_PREEMPTION_TIMER) !== 0
    this.delivering = undefined
    this.tprFell = false
    this.singleStep = traps
    this.trapPending = traps && injects
    if (timer) {
      this.timerEnd =
        this.host.environment.tsc() + (BigInt(this.vmcs.low(field.VMX_PREEMPTION_TIMER_VALUE)) << BigInt(preemptionTimerShift))
    }
    this.watching = traps || timer || (primary & (CPU_INTERRUPT_WINDOW_EXITING | CPU_NMI_WINDOW_EXITING)) !== 0
  }

  get timerIsActive(): boolean {
    return (this.pin & PIN_PREEMPTION_TIMER) !== 0
  }

  /** Value of the preemption timer. */
  timerValue(): number {
    const ticks = (this.timerEnd - this.host.environment.tsc()) >> BigInt(preemptionTimerShift)
    return ticks <= 0n ? 0 : Number(ticks)
  }

  checkTimer(): void {
    if (this.timerIsActive && this.host.environment.tsc() >= this.timerEnd) throw new VmExit(ExitReason.PREEMPTION_TIMER)
  }

  /** An MTF exit is due before the first instruction (an injected event of type "other"). */
  trapNow(): void {
    this.trapPending = true
    this.watching = true
  }

  /** [SDM3 26.2 "Other Causes of VM Exits", 26.5.2 "Monitor Trap Flag"]: in order of priority. */
  boundary(): void {
    if (this.tprFell) {
      this.tprFell = false
      throw new VmExit(ExitReason.TPR_BELOW_THRESHOLD)
    }
    if (this.trapPending) throw new VmExit(ExitReason.MONITOR_TRAP_FLAG)
    this.trapPending = (this.primary & CPU_MONITOR_TRAP_FLAG) !== 0
    this.checkTimer()
    const windows = this.primary & (CPU_INTERRUPT_WINDOW_EXITING | CPU_NMI_WINDOW_EXITING)
    if (windows === 0) return
    const blocking = this.host.state.interruptibility
    if ((windows & CPU_NMI_WINDOW_EXITING) !== 0 && (blocking & (BLOCKING_BY_NMI | BLOCKING_BY_MOV_SS | BLOCKING_BY_STI)) === 0) {
      throw new VmExit(ExitReason.NMI_WINDOW)
    }
    if (
      (windows & CPU_INTERRUPT_WINDOW_EXITING) !== 0 &&
      (systemFlags(this.host) & EFLAGS_IF) !== 0 &&
      (blocking & (BLOCKING_BY_MOV_SS | BLOCKING_BY_STI)) === 0
    ) {
      throw new VmExit(ExitReason.INTERRUPT_WINDOW)
    }
  }

  instruction(name: string, qualification = 0n): void {
    const reason = this.instructions.get(name)
    if (reason === undefined) return
    if (reason === UNDEFINED) throw ud()
    throw new VmExit(reason, qualification)
  }

  /** [SDM3 26.1.3: IN, INS, OUT, OUTS; Table 28-5 "Exit Qualification for I/O Instructions"] */
  io(
    port: number,
    size: 1 | 2 | 4,
    direction: 'in' | 'out',
    string: boolean,
    rep: boolean,
    immediate: boolean,
  ): VmExit | undefined {
    const { primary } = this
    if ((primary & CPU_USE_IO_BITMAPS) !== 0) {
      if (!this.portExits(port, size)) return undefined
    } else if ((primary & CPU_UNCONDITIONAL_IO_EXITING) === 0) return undefined
    const qualification =
      (size - 1) | (direction === 'in' ? 8 : 0) | (string ? 0x10 : 0) | (rep ? 0x20 : 0) | (immediate ? 0x40 : 0) | (port << 16)
    return new VmExit(ExitReason.IO_INSTRUCTION, BigInt(qualification >>> 0))
  }

  private portExits(port: number, size: number): boolean {
    if (port + size > 0x1_0000) return true
    for (let p = port; p < port + size; p++) {
      const bitmap = p < 0x8000 ? field.IO_BITMAP_A : field.IO_BITMAP_B
      if (((this.physicalByte(bitmap, (p & 0x7fff) >>> 3) >>> (p & 7)) & 1) !== 0) return true
    }
    return false
  }

  /** A byte of the page that an address field points to; ones where no memory is. */
  private physicalByte(address: number, offset: number): number {
    const { mem } = this.host
    const at = this.vmcs.high(address) * high + this.vmcs.low(address) + offset
    return at < mem.physSize ? mem.u8[mem.physBase + at]! : 0xff
  }

  readMsr(index: number): void {
    if (this.msrExits(index, 0)) throw new VmExit(ExitReason.MSR_READ)
  }

  writeMsr(index: number): void {
    if (this.msrExits(index, 0x800)) throw new VmExit(ExitReason.MSR_WRITE)
  }

  /** [SDM3 25.6.9 "MSR-Bitmap Address"] */
  private msrExits(index: number, bitmap: number): boolean {
    if ((this.primary & CPU_USE_MSR_BITMAPS) === 0) return true
    const isHigh = index >>> 0 >= 0xc000_0000
    const bit = isHigh ? index & 0x3fff_ffff : index >>> 0
    if (bit > 0x1fff) return true
    return ((this.physicalByte(field.MSR_BITMAP, bitmap + (isHigh ? 0x400 : 0) + (bit >>> 3)) >>> (bit & 7)) & 1) !== 0
  }

  writeCr(cr: 0 | 3 | 4 | 8, value: bigint, gpr: number, access: 'mov' | 'clts' | 'lmsw', current: bigint): bigint {
    const { vmcs, capabilities, primary } = this
    switch (cr) {
      case 0:
        if (access === 'clts') return clts(vmcs, current)
        if (access === 'lmsw') return lmsw(this.host, vmcs, value, current)
        return moveToCr0(vmcs, capabilities, this.unrestrictedGuest, value, gpr, current)
      case 3:
        return moveToCr3(vmcs, primary, value, gpr)
      case 4:
        return moveToCr4(vmcs, capabilities, value, gpr, current)
      case 8:
        cr8LoadExit(primary, gpr)
        if ((primary & CPU_USE_TPR_SHADOW) === 0) return value
        this.writeVtpr(Number(value & 0xfn))
        return current
    }
  }

  /** [SDM3 30.1.2 "TPR Virtualization"] The exit is a trap: it comes after the instruction. */
  private writeVtpr(priority: number): void {
    const { mem } = this.host
    const { vmcs } = this
    const at = vmcs.high(field.VIRTUAL_APIC_PAGE_ADDR) * high + vmcs.low(field.VIRTUAL_APIC_PAGE_ADDR) + VTPR
    if (at < mem.physSize) mem.u32[(mem.physBase + at) >> 2] = priority << 4
    if (priority >= vmcs.low(field.TPR_THRESHOLD)) return
    this.tprFell = true
    this.watching = true
  }

  readCr(cr: 0 | 3 | 4 | 8, gpr: number, current: bigint): bigint {
    switch (cr) {
      case 0:
      case 4:
        return readMasked(this.vmcs, cr, current)
      case 3:
        return moveFromCr3(this.primary, gpr, current)
      case 8:
        cr8StoreExit(this.primary, gpr)
        return (this.primary & CPU_USE_TPR_SHADOW) === 0
          ? current
          : BigInt(this.physicalByte(field.VIRTUAL_APIC_PAGE_ADDR, VTPR) >>> 4)
    }
  }

  /** [SDM3 Table 28-4 "Exit Qualification for MOV DR"] */
  movDr(dr: number, direction: 'to' | 'from', gpr: number): void {
    if ((this.primary & CPU_MOV_DR_EXITING) === 0) return
    throw new VmExit(ExitReason.DR_ACCESS, BigInt(dr | (direction === 'from' ? 0x10 : 0) | (gpr << 8)))
  }

  /** [SDM3 26.2 "Other Causes of VM Exits": exceptions; 25.6.3 "Exception Bitmap"] */
  exception(fault: GuestFault, cr2: bigint | undefined): void {
    const { vector, errorCode } = fault
    let exits = ((this.exceptionBitmap >>> vector) & 1) !== 0
    if (vector === Exception.PF) {
      const matches =
        ((errorCode ?? 0) & this.vmcs.low(field.PAGE_FAULT_ERROR_CODE_MASK)) >>> 0 ===
        this.vmcs.low(field.PAGE_FAULT_ERROR_CODE_MATCH)
      exits = exits === matches
    }
    if (!exits) return
    const type = vector === Exception.BP || vector === Exception.OF ? INTR_TYPE_SOFTWARE_EXCEPTION : INTR_TYPE_HARDWARE_EXCEPTION
    const information = (vector | (type << 8) | (errorCode === undefined ? 0 : INTR_INFO_ERROR_CODE) | INTR_INFO_VALID) >>> 0
    const qualification = vector === Exception.PF ? (cr2 ?? 0n) : vector === Exception.DB ? this.debugConditions() : 0n
    throw new VmExit(ExitReason.EXCEPTION_OR_NMI, qualification, {
      [Vmcs.VM_EXIT_INTR_INFO]: BigInt(information),
      [Vmcs.VM_EXIT_INTR_ERROR_CODE]: BigInt(errorCode ?? 0),
    })
  }

  /** [SDM3 Table 28-1 "Exit Qualification for Debug Exceptions"] */
  private debugConditions(): bigint {
    const { state } = this.host
    const pending = state.pendingDebug
    state.pendingDebug = 0n
    return (pending === 0n ? state.dr.get(6) : pending) & 0x600fn
  }

  /** [SDM3 Table 28-2 "Exit Qualification for Task Switches"] */
  taskSwitch(selector: number, source: 'call' | 'iret' | 'jmp' | 'gate'): void {
    throw new VmExit(ExitReason.TASK_SWITCH, BigInt(((selector & 0xffff) | (taskSwitchSources[source] << 30)) >>> 0))
  }

  tripleFault(): void {
    throw new VmExit(ExitReason.TRIPLE_FAULT)
  }

  get tscOffset(): bigint {
    if ((this.primary & (CPU_USE_TSC_OFFSETTING | CPU_RDTSC_EXITING)) !== CPU_USE_TSC_OFFSETTING) return 0n
    return (BigInt(this.vmcs.high(field.TSC_OFFSET)) << 32n) | BigInt(this.vmcs.low(field.TSC_OFFSET))
  }
}
