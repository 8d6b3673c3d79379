import type { KvmClockData, KvmClockInput } from './clock.ts'
import type { KvmCpuidEntry2 } from './cpuid.ts'
import type { KvmVcpuEvents, KvmX86Mce } from './events.ts'
import type { EventFd, Halted, HostMemory, KvmFd, KvmVcpuFd, KvmVmFd } from './floor.ts'
import type { KvmGuestDebug } from './guest-debug.ts'
import type { KvmIoapicState, KvmIoeventfd, KvmIrqfd, KvmIrqRoutingEntry, KvmMsi, KvmPicState, KvmPitState2 } from './irq.ts'
import type { KvmUserspaceMemoryRegion } from './memory.ts'
import type { KvmMsrEntry } from './msr.ts'
import type { KvmDebugregs, KvmFpu, KvmRegs, KvmSregs, KvmSregs2, KvmTranslation, KvmXcr } from './regs.ts'
import type { KvmRunView } from './run.ts'
import type { KvmStats, KvmTrace } from './trace.ts'

/** /dev/kvm. Every method throws KvmError when its request fails. */
export interface Kvm {
  readonly fd: KvmFd
  /** KVM_GET_API_VERSION: 12 */
  getApiVersion(): number
  /** KVM_CREATE_VM */
  createVm(type?: number): KvmVm
  /** KVM_CHECK_EXTENSION: 0 when the capability (`KVM_CAP_*`) is missing */
  checkExtension(capability: number): number
  /** KVM_GET_VCPU_MMAP_SIZE */
  getVcpuMmapSize(): number
  /** KVM_GET_SUPPORTED_CPUID */
  getSupportedCpuid(): KvmCpuidEntry2[]
  /** KVM_GET_EMULATED_CPUID */
  getEmulatedCpuid(): KvmCpuidEntry2[]
  /** KVM_GET_MSR_INDEX_LIST */
  getMsrIndexList(): number[]
  /** KVM_GET_MSR_FEATURE_INDEX_LIST */
  getMsrFeatureIndexList(): number[]
  /** KVM_GET_MSRS for feature MSRs: as many entries as could be read, in order */
  getMsrs(indices: readonly number[]): KvmMsrEntry[]
  /** KVM_X86_GET_MCE_CAP_SUPPORTED */
  x86GetMceCapSupported(): bigint
  createEventFd(): EventFd
  close(): void
}

export interface KvmVm {
  readonly fd: KvmVmFd
  /** Memory that setUserMemoryRegion can be given; it lives as long as the VM. */
  allocateMemory(bytes: number): HostMemory
  trace: KvmTrace | undefined
  stats(): KvmStats
  checkExtension(capability: number): number
  /** KVM_ENABLE_CAP */
  enableCap(capability: number, args?: readonly bigint[], flags?: number): number
  /** KVM_CREATE_VCPU */
  createVcpu(id: number): KvmVcpu
  /** KVM_SET_USER_MEMORY_REGION */
  setUserMemoryRegion(region: KvmUserspaceMemoryRegion): void
  /** KVM_GET_DIRTY_LOG: one bit per page of a slot of `pages` pages, in whole 64-bit words */
  getDirtyLog(slot: number, pages: number): Uint8Array
  /** KVM_CLEAR_DIRTY_LOG */
  clearDirtyLog(slot: number, firstPage: bigint, numPages: number, bitmap: Uint8Array): void
  /** KVM_RESET_DIRTY_RINGS: how many pages were reset */
  resetDirtyRings(): number
  setNrMmuPages(pages: number): void
  getNrMmuPages(): number
  setTssAddr(address: number): void
  setIdentityMapAddr(address: bigint): void
  createIrqchip(): void
  /** KVM_IRQ_LINE: level 1 or 0 */
  irqLine(gsi: number, level: number): void
  /** KVM_IRQ_LINE_STATUS: negative: masked or ignored; 0: coalesced; positive: delivered to so many vCPUs */
  irqLineStatus(gsi: number, level: number): number
  /** KVM_GET_IRQCHIP for KVM_IRQCHIP_PIC_MASTER or KVM_IRQCHIP_PIC_SLAVE */
  getPic(chipId: number): KvmPicState
  setPic(chipId: number, state: KvmPicState): void
  /** KVM_GET_IRQCHIP for KVM_IRQCHIP_IOAPIC */
  getIoapic(): KvmIoapicState
  setIoapic(state: KvmIoapicState): void
  createPit2(flags?: number): void
  getPit2(): KvmPitState2
  setPit2(state: KvmPitState2): void
  /** KVM_REINJECT_CONTROL: whether the PIT makes up for ticks that the guest missed */
  reinjectControl(pitReinject: boolean): void
  setGsiRouting(entries: readonly KvmIrqRoutingEntry[]): void
  /** KVM_SIGNAL_MSI: positive: delivered; 0: the guest blocked it */
  signalMsi(msi: KvmMsi): number
  irqfd(irqfd: KvmIrqfd): void
  ioeventfd(ioeventfd: KvmIoeventfd): void
  registerCoalescedMmio(address: bigint, size: number, pio?: boolean): void
  unregisterCoalescedMmio(address: bigint, size: number, pio?: boolean): void
  setBootCpuId(id: number): void
  getClock(): KvmClockData
  setClock(clock: KvmClockInput): void
  /** KVM_SET_TSC_KHZ: what new vCPUs start with */
  setTscKhz(khz: number): void
  getTscKhz(): number
  close(): void
}

export interface KvmVcpu {
  readonly fd: KvmVcpuFd
  readonly id: number
  /** The mapping shared with the engine: why KVM_RUN returned, and what it wants. */
  readonly kvmRun: KvmRunView
  /**
   * KVM_RUN: 0 with the reason in `kvmRun.exitReason`; or -EINTR after a kick, an `interruptAt`, or a HLT that the engine can't sleep in;
   * or -EAGAIN when the vCPU waited for INIT or SIPI and got it. Any other error is thrown.
   */
  run(): number
  /** Makes the `run` in progress, or else the next one, return -EINTR. */
  kick(): void
  /** `run` returns -EINTR soon after the engine's clock reaches this. */
  interruptAt: bigint | undefined
  /** Not undefined after -EINTR: the vCPU waits, until `wakeAt` or a request that wakes it. */
  halted(): Halted | undefined
  stats(): KvmStats
  enableCap(capability: number, args?: readonly bigint[], flags?: number): number
  getRegs(): KvmRegs
  setRegs(regs: KvmRegs): void
  getSregs(): KvmSregs
  setSregs(sregs: KvmSregs): void
  getSregs2(): KvmSregs2
  setSregs2(sregs: KvmSregs2): void
  getFpu(): KvmFpu
  setFpu(fpu: KvmFpu): void
  /** KVM_GET_XSAVE: 4096 bytes */
  getXsave(): Uint8Array
  /** KVM_GET_XSAVE2: as many bytes as `KvmVm.checkExtension(KVM_CAP_XSAVE2)` says */
  getXsave2(size: number): Uint8Array
  setXsave(area: Uint8Array): void
  getXcrs(): KvmXcr[]
  setXcrs(xcrs: readonly KvmXcr[]): void
  /** KVM_GET_MSRS: as many entries as could be read, in order; fewer than asked: the next one failed */
  getMsrs(indices: readonly number[]): KvmMsrEntry[]
  /** KVM_SET_MSRS: how many were set; fewer than given: the next one failed */
  setMsrs(entries: readonly KvmMsrEntry[]): number
  setCpuid2(entries: readonly KvmCpuidEntry2[]): void
  getCpuid2(): KvmCpuidEntry2[]
  /** KVM_GET_LAPIC: 1024 bytes, a 32-bit register at every 16th */
  getLapic(): Uint8Array
  setLapic(regs: Uint8Array): void
  getMpState(): number
  setMpState(state: number): void
  getVcpuEvents(): KvmVcpuEvents
  setVcpuEvents(events: KvmVcpuEvents): void
  getDebugregs(): KvmDebugregs
  setDebugregs(debugregs: KvmDebugregs): void
  setGuestDebug(debug: KvmGuestDebug): void
  /** KVM_INTERRUPT: queues a vector, for a VMM with its own PIC */
  interrupt(vector: number): void
  nmi(): void
  smi(): void
  translate(linearAddress: bigint): KvmTranslation
  /** KVM_SET_SIGNAL_MASK: the signals that are blocked during KVM_RUN; undefined for the thread's own mask */
  setSignalMask(mask: bigint | undefined): void
  setTscKhz(khz: number): void
  getTscKhz(): number
  kvmclockCtrl(): void
  /** KVM_TPR_ACCESS_REPORTING */
  tprAccessReporting(enabled: boolean): void
  setVapicAddr(address: bigint): void
  x86SetupMce(mcgCap: bigint): void
  x86SetMce(mce: KvmX86Mce): void
  close(): void
}
