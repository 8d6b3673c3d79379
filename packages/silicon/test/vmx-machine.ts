import * as x86 from '@guestmode/x86'
import { cpuState, guestAccess, guestBase, guestLimit, guestSelector, Vmcs } from '@guestmode/x86'
import { Access, type Environment } from '../src/cpu/cpu.ts'
import type { CpuEvent } from '../src/cpu/events.ts'
import { GuestFault } from '../src/cpu/events.ts'
import type { NonRoot } from '../src/cpu/non-root.ts'
import { createStateView, type CpuStateView } from '../src/cpu/state-view.ts'
import { MachineMemory } from '../src/machine/memory.ts'
import { deliverEvent } from '../src/microcode/deliver.ts'
import { updateWidths } from '../src/microcode/mode.ts'
import { PageWalker } from '../src/paging/walk.ts'
import { eptExit } from '../src/vmx/ept-exit.ts'
import type { VmxHost } from '../src/vmx/host.ts'
import { Vmx } from '../src/vmx/vmx.ts'

/** A processor without an interpreter: what its guest does is given as a function. */
export class VmxMachine implements VmxHost {
  readonly mem: MachineMemory
  readonly state: CpuStateView
  readonly walker: PageWalker
  readonly vmx: Vmx
  nonRoot: NonRoot | undefined
  nextRip = 0n
  tsc = 0n
  readonly msrs = new Map<number, bigint>()
  flushes = 0
  modeChanges = 0
  guest: (machine: VmxMachine, instructions: number) => void = () => undefined
  readonly environment: Environment = { now: () => 0n, tsc: () => this.tsc, random: () => 0n }

  constructor(physBytes = 1 << 20) {
    this.mem = new MachineMemory(65536, physBytes)
    this.state = createStateView(this.mem, 1024)
    this.mem.u8.fill(0, 1024, 1024 + cpuState.size)
    this.walker = new PageWalker(this.mem, this.state)
    this.vmx = new Vmx(this)
  }

  run(instructions: number): undefined {
    this.guest(this, instructions)
  }
  deliverEvent(event: CpuEvent): void {
    deliverEvent(this, event)
  }
  readMsr(index: number): bigint | undefined {
    return this.msrs.get(index)
  }
  writeMsr(index: number, value: bigint): boolean {
    if (!this.msrs.has(index)) return false
    this.msrs.set(index, value)
    return true
  }
  modeChanged(): void {
    updateWidths(this)
    this.modeChanges++
  }
  flushTlb(): void {
    this.flushes++
  }
  invalidatePage(): void {
    this.flushes++
  }
  cpuid(): { eax: number; ebx: number; ecx: number; edx: number } {
    return { eax: 0, ebx: 0, ecx: 0, edx: 0 }
  }
  hasFeature(): boolean {
    return true
  }

  /** Without the two halves of accesses that cross pages. */
  private translate(linear: bigint, access: number): number {
    const hpa = this.walker.walk(Number(linear >> 32n), Number(linear & 0xffff_ffffn), access)
    if (hpa >= 0) return this.mem.physBase + hpa
    if (this.walker.fault.kind !== 'page-fault') throw eptExit(this.walker)
    this.state.cr2 = linear
    throw new GuestFault(x86.Exception.PF, this.walker.fault.errorCode)
  }
  read(linear: bigint, size: 1 | 2 | 4 | 8, access: number): bigint {
    const at = this.translate(linear, access)
    let value = 0n
    for (let i = size - 1; i >= 0; i--) value = (value << 8n) | BigInt(this.mem.u8[at + i]!)
    return value
  }
  write(linear: bigint, size: 1 | 2 | 4 | 8, value: bigint, access: number): void {
    const at = this.translate(linear, access | Access.write)
    for (let i = 0; i < size; i++) this.mem.u8[at + i] = Number((value >> BigInt(8 * i)) & 0xffn)
  }
  probeWrite(linear: bigint, _size: number, access: number): void {
    this.translate(linear, access | Access.write)
  }

  poke(hpa: number, ...bytes: number[]): void {
    this.mem.u8.set(bytes, this.mem.physBase + hpa)
  }
  poke32(hpa: number, value: number): void {
    this.mem.u32[(this.mem.physBase + hpa) >> 2] = value
  }
  peek32(hpa: number): number {
    return this.mem.u32[(this.mem.physBase + hpa) >> 2]!
  }
  poke64(hpa: number, value: bigint): void {
    this.mem.u64[(this.mem.physBase + hpa) >> 3] = value
  }
  peek64(hpa: number): bigint {
    return this.mem.u64[(this.mem.physBase + hpa) >> 3]!
  }
}

export const VMXON_REGION = 0x1000
export const VMCS_REGION = 0x2000
export const IO_BITMAPS = 0x4000
export const MSR_BITMAP = 0x6000
export const EPT_ROOT = 0x8000
export const VIRTUAL_APIC = 0xb000

/** A 32-bit flat protected-mode guest without paging, under EPT that maps the first GiB one to one. */
export function writeGuest(m: VmxMachine): void {
  const { vmx } = m
  const set = (field: number, value: number | bigint): void => vmx.vmwrite(field, BigInt(value))
  m.poke64(EPT_ROOT, BigInt(EPT_ROOT + 0x1000) | 7n)
  m.poke64(EPT_ROOT + 0x1000, 0n | 7n | 0x80n | (6n << 3n))
  m.mem.u8.fill(0xff, m.mem.physBase + IO_BITMAPS, m.mem.physBase + MSR_BITMAP + 0x1000)

  set(Vmcs.PIN_BASED_VM_EXEC_CONTROL, 0x16 | x86.PIN_EXTERNAL_INTERRUPT_EXITING | x86.PIN_NMI_EXITING | x86.PIN_VIRTUAL_NMIS)
  set(
    Vmcs.CPU_BASED_VM_EXEC_CONTROL,
    (0x0400_6172 | x86.CPU_HLT_EXITING | x86.CPU_USE_IO_BITMAPS | x86.CPU_USE_MSR_BITMAPS | x86.CPU_ACTIVATE_SECONDARY) >>> 0,
  )
  set(Vmcs.SECONDARY_VM_EXEC_CONTROL, x86.SECONDARY_EPT | x86.SECONDARY_VPID | x86.SECONDARY_UNRESTRICTED_GUEST)
  set(Vmcs.VM_EXIT_CONTROLS, 0x36dff | x86.EXIT_HOST_ADDRESS_SPACE_SIZE | x86.EXIT_SAVE_EFER | x86.EXIT_LOAD_EFER)
  set(Vmcs.VM_ENTRY_CONTROLS, 0x11ff | x86.ENTRY_LOAD_EFER)
  set(Vmcs.VIRTUAL_PROCESSOR_ID, 1)
  set(Vmcs.EPT_POINTER, EPT_ROOT | x86.EPTP_WALK_LENGTH_4 | x86.MEMORY_TYPE_WB)
  set(Vmcs.IO_BITMAP_A, IO_BITMAPS)
  set(Vmcs.IO_BITMAP_B, IO_BITMAPS + 0x1000)
  set(Vmcs.MSR_BITMAP, MSR_BITMAP)
  set(Vmcs.VMCS_LINK_POINTER, 0xffff_ffff_ffff_ffffn)

  set(Vmcs.HOST_CR0, 0x8000_0031)
  set(Vmcs.HOST_CR4, x86.CR4_PAE | x86.CR4_VMXE)
  set(Vmcs.HOST_CS_SELECTOR, 8)
  set(Vmcs.HOST_TR_SELECTOR, 16)
  set(Vmcs.HOST_IA32_EFER, x86.EFER_LMA | x86.EFER_LME)

  for (let seg = 0; seg < 6; seg++) {
    set(guestSelector(seg), 0x10)
    set(guestLimit(seg), 0xffff_ffff)
    set(guestAccess(seg), 0xc093)
    set(guestBase(seg), 0)
  }
  set(Vmcs.GUEST_CS_SELECTOR, 8)
  set(Vmcs.GUEST_CS_AR_BYTES, 0xc09b)
  set(Vmcs.GUEST_LDTR_AR_BYTES, x86.AR_UNUSABLE)
  set(Vmcs.GUEST_TR_AR_BYTES, 0x8b)
  set(Vmcs.GUEST_TR_LIMIT, 0x67)
  set(Vmcs.GUEST_CR0, x86.CR0_PE | x86.CR0_NE | x86.CR0_ET)
  set(Vmcs.GUEST_CR4, x86.CR4_VMXE)
  set(Vmcs.GUEST_RIP, 0x1_0000)
  set(Vmcs.GUEST_RSP, 0x2_0000)
  set(Vmcs.GUEST_RFLAGS, 2)
  set(Vmcs.GUEST_DR7, 0x400)
}

/** In VMX operation with a current VMCS that holds such a guest. */
export function readyMachine(): VmxMachine {
  const m = new VmxMachine()
  const revision = Number(m.vmx.capability(x86.IA32_VMX_BASIC)! & 0x7fff_ffffn)
  m.poke32(VMXON_REGION, revision)
  m.poke32(VMCS_REGION, revision)
  if (
    m.vmx.vmxon(VMXON_REGION) !== undefined ||
    m.vmx.vmclear(VMCS_REGION) !== undefined ||
    m.vmx.vmptrld(VMCS_REGION) !== undefined
  ) {
    throw new Error('no current VMCS')
  }
  writeGuest(m)
  return m
}
