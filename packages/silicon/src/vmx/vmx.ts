import {
  ACTIVITY_ACTIVE,
  BLOCKING_BY_MOV_SS,
  BLOCKING_BY_STI,
  cpuState,
  Exception,
  ExitReason,
  IA32_EFER,
  IA32_FS_BASE,
  IA32_GS_BASE,
  IA32_PAT,
  IA32_SYSENTER_CS,
  IA32_SYSENTER_EIP,
  IA32_SYSENTER_ESP,
  SECONDARY_VPID,
  VMXERR_ENTRY_INVALID_CONTROLS,
  VMXERR_ENTRY_INVALID_HOST_STATE,
  VMXERR_INVALID_OPERAND,
  VMXERR_VMCLEAR_INVALID_ADDRESS,
  VMXERR_VMCLEAR_VMXON_POINTER,
  VMXERR_VMLAUNCH_NOT_CLEAR,
  VMXERR_VMPTRLD_INVALID_ADDRESS,
  VMXERR_VMPTRLD_VMXON_POINTER,
  VMXERR_VMPTRLD_WRONG_REVISION,
  VMXERR_VMRESUME_NOT_LAUNCHED,
  VMXERR_VMXON_IN_ROOT,
  EXIT_LOAD_EFER,
  EXIT_LOAD_PAT,
  INTR_INFO_VALID,
} from '@guestmode/x86'
import type { VmxStatus } from '../contract.ts'
import { EventKind, GuestFault, VmExit } from '../cpu/events.ts'
import { vmxCapabilities, type VmxCapabilities } from './capabilities.ts'
import { EntryContext, firstFailure, type EntryCheck } from './entry-checks/check.ts'
import { controlChecks, injectionChecks } from './entry-checks/controls.ts'
import { frequentGuestFailure, guestStateChecks } from './entry-checks/guest-state.ts'
import { hostStateChecks } from './entry-checks/host-state.ts'
import { VmxInstructionError } from './error.ts'
import { areaAddress, recordEntryFailure, recordExit, switchMsrs } from './exit.ts'
import type { VmxHost, VmxOptions } from './host.ts'
import { injectedEvent } from './injection.ts'
import { loadMsrArea } from './msr-area.ts'
import { NonRootOperation } from './non-root.ts'
import { loadOptionalState, loadPrivilege } from './transfer.ts'
import { CurrentVmcs } from './vmcs.ts'
import { Due, field, VMCS_REVISION, vmcsRegion } from './vmcs-layout.ts'

const succeed = undefined
const failInvalid = 0
/** Instructions between two looks at the preemption timer. */
const timerSlice = 5000
/** CR0.WP, CR0.PG, CR0.PE; CR4.PSE, PAE, PGE, PCIDE, SMEP, SMAP; EFER.LME, LMA, NXE: what cached translations depend on. */
const cr0Paging = 0x8001_0001
const cr4Paging = 0x0032_00b0
const eferPaging = 0xd00

/** BS, or a breakpoint that was enabled. */
const PENDING_ENABLED = 0x5000n

/** Word indices in the CPU state. */
const CR0 = cpuState.fields.cr0.offset >> 2
const CR3 = cpuState.fields.cr3.offset >> 2
const CR4 = cpuState.fields.cr4.offset >> 2
const EFER = cpuState.fields.efer.offset >> 2

/** The VMX instructions of a processor. [SDM3 31 "VMX Instruction Reference"] */
export class Vmx {
  readonly capabilities: VmxCapabilities
  readonly nonRoot: NonRootOperation
  /** Name of the check that failed the last entry. */
  lastEntryFailure: string | undefined
  private readonly host: VmxHost
  private readonly vmcs: CurrentVmcs
  private readonly context: EntryContext
  private vmxonRegion = -1
  private vpid = -1
  private eptp = -1
  /** Registers of paging as of the last exit. */
  private cr0 = 0
  private cr4 = 0
  private efer = 0
  private cr3Low = 0
  private cr3High = 0

  constructor(host: VmxHost, options: VmxOptions = {}) {
    this.host = host
    this.capabilities = vmxCapabilities(options)
    this.vmcs = new CurrentVmcs(host)
    this.nonRoot = new NonRootOperation(host, this.vmcs, this.capabilities)
    this.context = new EntryContext(this.vmcs, this.capabilities, host.mem, host.walker)
  }

  vmxon(region: number): VmxStatus {
    if (this.vmxonRegion >= 0) return this.fail(VMXERR_VMXON_IN_ROOT)
    if (!this.isRegion(region) || this.revision(region) !== VMCS_REVISION) return failInvalid
    this.vmxonRegion = region
    return succeed
  }

  vmxoff(): VmxStatus {
    this.requireRoot('VMXOFF')
    this.vmcs.release()
    this.vmxonRegion = -1
    return succeed
  }

  vmclear(region: number): VmxStatus {
    this.requireRoot('VMCLEAR')
    if (!this.isRegion(region)) return this.fail(VMXERR_VMCLEAR_INVALID_ADDRESS)
    if (region === this.vmxonRegion) return this.fail(VMXERR_VMCLEAR_VMXON_POINTER)
    if (region === this.vmcs.pointer) this.vmcs.release()
    const { mem } = this.host
    mem.u32[(mem.physBase + region + vmcsRegion.launchState) >> 2] = 0
    return succeed
  }

  vmptrld(region: number): VmxStatus {
    this.requireRoot('VMPTRLD')
    if (!this.isRegion(region)) return this.fail(VMXERR_VMPTRLD_INVALID_ADDRESS)
    if (region === this.vmxonRegion) return this.fail(VMXERR_VMPTRLD_VMXON_POINTER)
    if (this.revision(region) !== VMCS_REVISION) return this.fail(VMXERR_VMPTRLD_WRONG_REVISION)
    this.vmcs.makeCurrent(region)
    return succeed
  }

  vmptrst(): number | undefined {
    this.requireRoot('VMPTRST')
    return this.vmcs.pointer
  }

  vmread(encoding: number): bigint {
    return this.vmcs.read(encoding)
  }

  vmwrite(encoding: number, value: bigint): void {
    this.vmcs.write(encoding, value)
  }

  vmread32(encoding: number): number {
    return this.vmcs.read32(encoding)
  }

  vmwrite32(encoding: number, value: number): void {
    this.vmcs.write32(encoding, value)
  }

  vmlaunch(instructions: number): VmxStatus {
    this.requireRoot('VMLAUNCH')
    if (this.vmcs.pointer === undefined) return failInvalid
    if (this.vmcs.launched) return this.fail(VMXERR_VMLAUNCH_NOT_CLEAR)
    return this.enter(instructions)
  }

  vmresume(instructions: number): VmxStatus {
    this.requireRoot('VMRESUME')
    if (this.vmcs.pointer === undefined) return failInvalid
    if (!this.vmcs.launched) return this.fail(VMXERR_VMRESUME_NOT_LAUNCHED)
    return this.enter(instructions)
  }

  /** [SDM3 31.3 "INVEPT—Invalidate Translations Derived from EPT"] Both types invalidate everything. */
  invept(type: 1 | 2, _eptp?: bigint): VmxStatus {
    this.requireRoot('INVEPT')
    if (type !== 1 && type !== 2) return this.fail(VMXERR_INVALID_OPERAND)
    this.host.walker.flush()
    this.host.flushTlb(true)
    return succeed
  }

  /** [SDM3 31.3 "INVVPID—Invalidate Translations Based on VPID"] The TLB holds translations of one VPID, the last one entered. */
  invvpid(type: 0 | 1 | 2 | 3, vpid: number, linear = 0n): VmxStatus {
    this.requireRoot('INVVPID')
    if (type < 0 || type > 3 || (type !== 2 && (vpid === 0 || vpid > 0xffff))) return this.fail(VMXERR_INVALID_OPERAND)
    if (type !== 2 && vpid !== this.vpid) return succeed
    if (type === 0) {
      if (BigInt.asUintN(64, BigInt.asIntN(48, linear)) !== linear) return this.fail(VMXERR_INVALID_OPERAND)
      this.host.invalidatePage(linear)
    } else {
      this.host.flushTlb(type !== 3)
    }
    return succeed
  }

  /** IA32_VMX_* MSRs. */
  capability(index: number): bigint | undefined {
    return this.capabilities.msr(index)
  }

  /** MSRs that VM exits load from the host-state area: what the host reads of them while a VMCS has been run. */
  hostMsr(index: number): bigint | undefined {
    const { vmcs } = this
    if (!vmcs.live) return undefined
    const exit = vmcs.low(field.VM_EXIT_CONTROLS)
    const value = (number: number): bigint => (BigInt(vmcs.high(number)) << 32n) | BigInt(vmcs.low(number))
    switch (index) {
      case IA32_SYSENTER_CS:
        return value(field.HOST_SYSENTER_CS)
      case IA32_SYSENTER_ESP:
        return value(field.HOST_SYSENTER_ESP)
      case IA32_SYSENTER_EIP:
        return value(field.HOST_SYSENTER_EIP)
      case IA32_FS_BASE:
        return value(field.HOST_FS_BASE)
      case IA32_GS_BASE:
        return value(field.HOST_GS_BASE)
      case IA32_PAT:
        return (exit & EXIT_LOAD_PAT) === 0 ? undefined : value(field.HOST_IA32_PAT)
      case IA32_EFER:
        return (exit & EXIT_LOAD_EFER) === 0 ? undefined : value(field.HOST_IA32_EFER)
      default:
        return undefined
    }
  }

  /** [SDM3 27 "VM Entries"] */
  private enter(instructions: number): VmxStatus {
    const { vmcs, context: c } = this
    this.lastEntryFailure = undefined
    c.refresh()
    const injects = (c.injection & INTR_INFO_VALID) !== 0
    const controls =
      ((vmcs.due & Due.controls) !== 0 ? firstFailure(controlChecks, c) : undefined) ??
      (injects ? firstFailure(injectionChecks, c) : undefined)
    if (controls !== undefined) return this.fail(VMXERR_ENTRY_INVALID_CONTROLS, controls.name)
    if ((vmcs.due & Due.host) !== 0) {
      const failed = firstFailure(hostStateChecks, c)
      if (failed !== undefined) return this.fail(VMXERR_ENTRY_INVALID_HOST_STATE, failed.name)
    }
    const guest = (vmcs.due & Due.guest) !== 0 ? firstFailure(guestStateChecks, c) : frequentGuestFailure(c)
    if (guest !== undefined) return this.failGuest(guest)

    if (vmcs.due !== 0 || !vmcs.live) this.load()
    else if (loadOptionalState(this.host, vmcs, c.entry)) this.host.modeChanged()
    const msrs = vmcs.low(field.VM_ENTRY_MSR_LOAD_COUNT)
    if (msrs !== 0) {
      const failed = loadMsrArea(this.host, areaAddress(vmcs, field.VM_ENTRY_MSR_LOAD_ADDR), msrs)
      if (failed !== 0) return this.failMsrLoading(failed)
    }
    this.flushStale()
    vmcs.launched = true
    const exit = this.runGuest(instructions, injects)
    recordExit(this.host, vmcs, this.nonRoot, exit, c.secondary)
    switchMsrs(this.host, vmcs, true)
    this.rememberPaging()
    return succeed
  }

  /** Takes over what the host has written since the last entry. */
  private load(): void {
    const { vmcs, context: c, host, nonRoot } = this
    const isNew = !vmcs.live
    vmcs.makeLive()
    const changed = loadOptionalState(host, vmcs, c.entry)
    if ((vmcs.due & Due.controls) !== 0) {
      nonRoot.configure(c.pin, c.cpu, c.secondary)
      const eptp = c.ept ? areaAddress(vmcs, field.EPT_POINTER) : undefined
      host.walker.setEpt(eptp)
      if ((eptp ?? -1) !== this.eptp) {
        this.eptp = eptp ?? -1
        host.flushTlb(true)
      }
    }
    if (isNew || changed || (vmcs.due & Due.registers) !== 0) {
      loadPrivilege(host)
      host.modeChanged()
    }
    vmcs.due = 0
  }

  /** Translations are tagged by VPID; VPID 0, which entries without the control have, keeps none. [SDM3 29.4.3.1 "Operations that Invalidate Cached Mappings"] */
  private flushStale(): void {
    const { context: c, host, vmcs } = this
    const vpid = (c.secondary & SECONDARY_VPID) === 0 ? 0 : vmcs.low(field.VIRTUAL_PROCESSOR_ID)
    const { u32 } = host.mem
    const at = host.state.base >> 2
    const stale =
      vpid === 0 ||
      vpid !== this.vpid ||
      u32[at + CR3] !== this.cr3Low ||
      u32[at + CR3 + 1] !== this.cr3High ||
      ((u32[at + CR0]! ^ this.cr0) & cr0Paging) !== 0 ||
      ((u32[at + CR4]! ^ this.cr4) & cr4Paging) !== 0 ||
      ((u32[at + EFER]! ^ this.efer) & eferPaging) !== 0
    this.vpid = vpid
    if (stale) host.flushTlb(true)
  }

  private rememberPaging(): void {
    const { host } = this
    const { u32 } = host.mem
    const at = host.state.base >> 2
    this.cr0 = u32[at + CR0]!
    this.cr4 = u32[at + CR4]!
    this.efer = u32[at + EFER]!
    this.cr3Low = u32[at + CR3]!
    this.cr3High = u32[at + CR3 + 1]!
  }

  private runGuest(instructions: number, injects: boolean): VmExit {
    const { host, vmcs, nonRoot } = this
    const event = injects ? injectedEvent(vmcs) : undefined
    nonRoot.begin(event !== undefined && event !== 'mtf')
    if (event === 'mtf') nonRoot.trapNow()
    host.nonRoot = nonRoot
    try {
      if (event !== undefined && event !== 'mtf') host.deliverEvent(event)
      if (vmcs.high(field.GUEST_PENDING_DBG_EXCEPTIONS) !== 0 || vmcs.low(field.GUEST_PENDING_DBG_EXCEPTIONS) !== 0) {
        this.deliverPendingDebug(injects)
      }
      const exit = host.state.activity === ACTIVITY_ACTIVE ? this.execute(instructions) : undefined
      if (exit instanceof VmExit) return exit
      if (nonRoot.watching) nonRoot.boundary()
      return new VmExit(ExitReason.EXTERNAL_INTERRUPT)
    } catch (error) {
      if (error instanceof VmExit) return error
      throw error
    } finally {
      host.nonRoot = undefined
    }
  }

  /** [SDM3 27.7.3 "Delivery of Pending Debug Exceptions after VM Entry"] Blocked by MOV SS or STI it is a single step, which TF repeats after the instruction. */
  private deliverPendingDebug(injects: boolean): void {
    const { host, nonRoot } = this
    const { state } = host
    const pending = state.pendingDebug
    const isBlocked = (state.interruptibility & (BLOCKING_BY_STI | BLOCKING_BY_MOV_SS)) !== 0
    const isDue = (pending & PENDING_ENABLED) !== 0n
    if (isDue && !injects && !isBlocked) nonRoot.exception(new GuestFault(Exception.DB), undefined)
    state.pendingDebug = 0n
    if (!isDue || injects || isBlocked) return
    state.dr.set(6, state.dr.get(6) | (pending & 0x400fn))
    host.deliverEvent({ kind: EventKind.hardwareException, vector: Exception.DB })
  }

  private execute(instructions: number): VmExit | void {
    const { host, nonRoot } = this
    if (!nonRoot.timerIsActive) return host.run(instructions)
    for (let left = instructions; left > 0 && host.state.activity === ACTIVITY_ACTIVE; left -= timerSlice) {
      nonRoot.checkTimer()
      const exit = host.run(Math.min(left, timerSlice))
      if (exit instanceof VmExit) return exit
    }
    return undefined
  }

  private failGuest(check: EntryCheck): VmxStatus {
    this.lastEntryFailure = check.name
    recordEntryFailure(this.vmcs, ExitReason.INVALID_GUEST_STATE, check.qualification ?? 0)
    switchMsrs(this.host, this.vmcs, false)
    return succeed
  }

  private failMsrLoading(number: number): VmxStatus {
    this.lastEntryFailure = `VM-entry MSR-load area: entry ${number}`
    recordEntryFailure(this.vmcs, ExitReason.MSR_LOADING, number)
    switchMsrs(this.host, this.vmcs, false)
    return succeed
  }

  /** VMfailValid where there is a current VMCS, VMfailInvalid elsewhere. [SDM3 31.2 "Conventions"] */
  private fail(number: number, check?: string): VmxStatus {
    if (check !== undefined) this.lastEntryFailure = check
    if (this.vmcs.pointer === undefined) return failInvalid
    this.vmcs.store(field.VM_INSTRUCTION_ERROR, number, 0)
    return number
  }

  private requireRoot(name: string): void {
    if (this.vmxonRegion < 0) throw new VmxInstructionError(`${name} outside VMX operation: execute VMXON first.`, undefined)
  }

  private isRegion(region: number): boolean {
    return (region & 0xfff) === 0 && region >= 0 && region + vmcsRegion.bytes <= this.host.mem.physSize
  }

  private revision(region: number): number {
    const { mem } = this.host
    return mem.u32[(mem.physBase + region + vmcsRegion.revision) >> 2]!
  }
}
