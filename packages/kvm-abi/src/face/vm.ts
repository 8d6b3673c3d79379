import { KVM_CLOCK_DATA } from '../clock.ts'
import type { KvmClockData, KvmClockInput } from '../clock.ts'
import { KVM_ENABLE_CAP_ARGUMENT } from '../control.ts'
import type { HostMemory, KvmFloor, KvmVmFd } from '../floor.ts'
import type { KvmVcpu, KvmVm } from '../interface.ts'
import * as irq from '../irq.ts'
import * as memory from '../memory.ts'
import * as request from '../requests.ts'
import { dataViewOf } from '../struct.ts'
import type { KvmStats, KvmTrace } from '../trace.ts'
import { call, getStruct, setStruct } from './call.ts'
import { KvmVcpuFace } from './vcpu.ts'

export class KvmVmFace implements KvmVm {
  readonly fd: KvmVmFd
  readonly #floor: KvmFloor
  /** Where the engine puts dirty bitmaps: requests that carry a userspace address need memory that has one. */
  #bitmap: HostMemory | undefined

  constructor(floor: KvmFloor, fd: KvmVmFd) {
    this.#floor = floor
    this.fd = fd
  }

  allocateMemory(bytes: number): HostMemory {
    return this.fd.allocateMemory(bytes)
  }

  get trace(): KvmTrace | undefined {
    return this.fd.trace
  }

  set trace(trace: KvmTrace | undefined) {
    this.fd.trace = trace
  }

  stats(): KvmStats {
    return this.fd.stats()
  }

  checkExtension(capability: number): number {
    return call(this.fd, request.KVM_CHECK_EXTENSION, capability)
  }

  enableCap(capability: number, args: readonly bigint[] = [], flags = 0): number {
    return setStruct(this.fd, request.KVM_ENABLE_CAP, KVM_ENABLE_CAP_ARGUMENT, { cap: capability, flags, args })
  }

  createVcpu(id: number): KvmVcpu {
    return new KvmVcpuFace(this.#floor.vcpu(call(this.fd, request.KVM_CREATE_VCPU, id)), id)
  }

  setUserMemoryRegion(region: memory.KvmUserspaceMemoryRegion): void {
    setStruct(this.fd, request.KVM_SET_USER_MEMORY_REGION, memory.KVM_USERSPACE_MEMORY_REGION, region)
  }

  #bitmapOf(pages: number): { place: HostMemory; length: number } {
    const length = Math.ceil(pages / 64) * 8
    if (this.#bitmap === undefined || this.#bitmap.size < length)
      this.#bitmap = this.fd.allocateMemory(Math.max(length, memory.PAGE_SIZE))
    return { place: this.#bitmap, length }
  }

  getDirtyLog(slot: number, pages: number): Uint8Array {
    const { place, length } = this.#bitmapOf(pages)
    setStruct(this.fd, request.KVM_GET_DIRTY_LOG, memory.KVM_DIRTY_LOG, { slot, dirtyBitmap: place.address })
    return place.bytes.slice(0, length)
  }

  clearDirtyLog(slot: number, firstPage: bigint, numPages: number, bitmap: Uint8Array): void {
    const { place, length } = this.#bitmapOf(numPages)
    place.bytes.fill(0, 0, length).set(bitmap.subarray(0, length))
    setStruct(this.fd, request.KVM_CLEAR_DIRTY_LOG, memory.KVM_CLEAR_DIRTY_LOG_ARGUMENT, {
      slot,
      numPages,
      firstPage,
      dirtyBitmap: place.address,
    })
  }

  resetDirtyRings(): number {
    return call(this.fd, request.KVM_RESET_DIRTY_RINGS, 0)
  }

  setNrMmuPages(pages: number): void {
    call(this.fd, request.KVM_SET_NR_MMU_PAGES, pages)
  }

  getNrMmuPages(): number {
    return call(this.fd, request.KVM_GET_NR_MMU_PAGES, 0)
  }

  setTssAddr(address: number): void {
    call(this.fd, request.KVM_SET_TSS_ADDR, address)
  }

  setIdentityMapAddr(address: bigint): void {
    const buffer = new Uint8Array(8)
    dataViewOf(buffer).setBigUint64(0, address, true)
    call(this.fd, request.KVM_SET_IDENTITY_MAP_ADDR, buffer)
  }

  createIrqchip(): void {
    call(this.fd, request.KVM_CREATE_IRQCHIP, 0)
  }

  irqLine(gsi: number, level: number): void {
    setStruct(this.fd, request.KVM_IRQ_LINE, irq.KVM_IRQ_LEVEL, { irq: gsi, level })
  }

  irqLineStatus(gsi: number, level: number): number {
    const buffer = irq.KVM_IRQ_LEVEL.encode({ irq: gsi, level })
    call(this.fd, request.KVM_IRQ_LINE_STATUS, buffer)
    return irq.KVM_IRQ_LEVEL_STATUS.decode(buffer).status
  }

  getPic(chipId: number): irq.KvmPicState {
    return getStruct(this.fd, request.KVM_GET_IRQCHIP, irq.KVM_IRQCHIP, { chipId }).pic
  }

  setPic(chipId: number, state: irq.KvmPicState): void {
    setStruct(this.fd, request.KVM_SET_IRQCHIP, irq.KVM_IRQCHIP, { chipId, pic: state })
  }

  getIoapic(): irq.KvmIoapicState {
    return getStruct(this.fd, request.KVM_GET_IRQCHIP, irq.KVM_IRQCHIP, { chipId: irq.KVM_IRQCHIP_IOAPIC }).ioapic
  }

  setIoapic(state: irq.KvmIoapicState): void {
    setStruct(this.fd, request.KVM_SET_IRQCHIP, irq.KVM_IRQCHIP, { chipId: irq.KVM_IRQCHIP_IOAPIC, ioapic: state })
  }

  createPit2(flags = 0): void {
    setStruct(this.fd, request.KVM_CREATE_PIT2, irq.KVM_PIT_CONFIG, { flags })
  }

  getPit2(): irq.KvmPitState2 {
    return getStruct(this.fd, request.KVM_GET_PIT2, irq.KVM_PIT_STATE2)
  }

  setPit2(state: irq.KvmPitState2): void {
    setStruct(this.fd, request.KVM_SET_PIT2, irq.KVM_PIT_STATE2, state)
  }

  reinjectControl(pitReinject: boolean): void {
    setStruct(this.fd, request.KVM_REINJECT_CONTROL, irq.KVM_REINJECT_CONTROL_ARGUMENT, { pitReinject: pitReinject ? 1 : 0 })
  }

  setGsiRouting(entries: readonly irq.KvmIrqRoutingEntry[]): void {
    call(this.fd, request.KVM_SET_GSI_ROUTING, irq.KVM_IRQ_ROUTING.encode(entries))
  }

  signalMsi(msi: irq.KvmMsi): number {
    return setStruct(this.fd, request.KVM_SIGNAL_MSI, irq.KVM_MSI, msi)
  }

  irqfd(irqfd: irq.KvmIrqfd): void {
    setStruct(this.fd, request.KVM_IRQFD, irq.KVM_IRQFD_ARGUMENT, irqfd)
  }

  ioeventfd(ioeventfd: irq.KvmIoeventfd): void {
    setStruct(this.fd, request.KVM_IOEVENTFD, irq.KVM_IOEVENTFD_ARGUMENT, ioeventfd)
  }

  registerCoalescedMmio(address: bigint, size: number, pio = false): void {
    const zone = { addr: address, size, pio: pio ? 1 : 0 }
    setStruct(this.fd, request.KVM_REGISTER_COALESCED_MMIO, memory.KVM_COALESCED_MMIO_ZONE, zone)
  }

  unregisterCoalescedMmio(address: bigint, size: number, pio = false): void {
    const zone = { addr: address, size, pio: pio ? 1 : 0 }
    setStruct(this.fd, request.KVM_UNREGISTER_COALESCED_MMIO, memory.KVM_COALESCED_MMIO_ZONE, zone)
  }

  setBootCpuId(id: number): void {
    call(this.fd, request.KVM_SET_BOOT_CPU_ID, id)
  }

  getClock(): KvmClockData {
    return getStruct(this.fd, request.KVM_GET_CLOCK, KVM_CLOCK_DATA)
  }

  setClock(clock: KvmClockInput): void {
    setStruct(this.fd, request.KVM_SET_CLOCK, KVM_CLOCK_DATA, clock)
  }

  setTscKhz(khz: number): void {
    call(this.fd, request.KVM_SET_TSC_KHZ, khz)
  }

  getTscKhz(): number {
    return call(this.fd, request.KVM_GET_TSC_KHZ, 0)
  }

  close(): void {
    this.fd.close()
  }
}
