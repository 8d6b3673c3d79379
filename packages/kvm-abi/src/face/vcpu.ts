import { KVM_ENABLE_CAP_ARGUMENT, KVM_SIGNAL_MASK } from '../control.ts'
import { KVM_CPUID2 } from '../cpuid.ts'
import type { KvmCpuidEntry2 } from '../cpuid.ts'
import { EAGAIN, EINTR, KvmError } from '../errno.ts'
import * as events from '../events.ts'
import type { Halted, KvmVcpuFd } from '../floor.ts'
import { KVM_GUEST_DEBUG } from '../guest-debug.ts'
import type { KvmGuestDebug } from '../guest-debug.ts'
import type { KvmVcpu } from '../interface.ts'
import { KVM_LAPIC_STATE, KVM_TPR_ACCESS_CTL, KVM_VAPIC_ADDR } from '../irq.ts'
import { KVM_MSRS } from '../msr.ts'
import type { KvmMsrEntry } from '../msr.ts'
import * as regs from '../regs.ts'
import * as request from '../requests.ts'
import { KvmRunView } from '../run.ts'
import { dataViewOf } from '../struct.ts'
import type { KvmStats } from '../trace.ts'
import { call, getList, getMsrs, getStruct, setStruct } from './call.ts'

export class KvmVcpuFace implements KvmVcpu {
  readonly fd: KvmVcpuFd
  readonly id: number
  readonly kvmRun: KvmRunView

  constructor(fd: KvmVcpuFd, id: number) {
    this.fd = fd
    this.id = id
    this.kvmRun = new KvmRunView(fd.mmap())
  }

  run(): number {
    const result = this.fd.ioctl(request.KVM_RUN, 0)
    if (result < 0 && result !== -EINTR && result !== -EAGAIN) throw new KvmError(-result, 'KVM_RUN')
    return result
  }

  kick(): void {
    this.fd.kick()
  }

  get interruptAt(): bigint | undefined {
    return this.fd.interruptAt
  }

  set interruptAt(time: bigint | undefined) {
    this.fd.interruptAt = time
  }

  halted(): Halted | undefined {
    return this.fd.halted()
  }

  stats(): KvmStats {
    return this.fd.stats()
  }

  enableCap(capability: number, args: readonly bigint[] = [], flags = 0): number {
    return setStruct(this.fd, request.KVM_ENABLE_CAP, KVM_ENABLE_CAP_ARGUMENT, { cap: capability, flags, args })
  }

  getRegs(): regs.KvmRegs {
    return getStruct(this.fd, request.KVM_GET_REGS, regs.KVM_REGS)
  }

  setRegs(value: regs.KvmRegs): void {
    setStruct(this.fd, request.KVM_SET_REGS, regs.KVM_REGS, value)
  }

  getSregs(): regs.KvmSregs {
    return getStruct(this.fd, request.KVM_GET_SREGS, regs.KVM_SREGS)
  }

  setSregs(value: regs.KvmSregs): void {
    setStruct(this.fd, request.KVM_SET_SREGS, regs.KVM_SREGS, value)
  }

  getSregs2(): regs.KvmSregs2 {
    return getStruct(this.fd, request.KVM_GET_SREGS2, regs.KVM_SREGS2)
  }

  setSregs2(value: regs.KvmSregs2): void {
    setStruct(this.fd, request.KVM_SET_SREGS2, regs.KVM_SREGS2, value)
  }

  getFpu(): regs.KvmFpu {
    return getStruct(this.fd, request.KVM_GET_FPU, regs.KVM_FPU)
  }

  setFpu(value: regs.KvmFpu): void {
    setStruct(this.fd, request.KVM_SET_FPU, regs.KVM_FPU, value)
  }

  getXsave(): Uint8Array {
    const area = regs.KVM_XSAVE.allocate()
    call(this.fd, request.KVM_GET_XSAVE, area)
    return area
  }

  getXsave2(size: number): Uint8Array {
    const area = new Uint8Array(Math.max(size, regs.KVM_XSAVE.size))
    call(this.fd, request.KVM_GET_XSAVE2, area)
    return area
  }

  setXsave(area: Uint8Array): void {
    const buffer = new Uint8Array(Math.max(area.length, regs.KVM_XSAVE.size))
    buffer.set(area)
    call(this.fd, request.KVM_SET_XSAVE, buffer)
  }

  getXcrs(): regs.KvmXcr[] {
    const { nrXcrs, xcrs } = getStruct(this.fd, request.KVM_GET_XCRS, regs.KVM_XCRS)
    return xcrs.slice(0, nrXcrs)
  }

  setXcrs(xcrs: readonly regs.KvmXcr[]): void {
    setStruct(this.fd, request.KVM_SET_XCRS, regs.KVM_XCRS, { nrXcrs: xcrs.length, xcrs })
  }

  getMsrs(indices: readonly number[]): KvmMsrEntry[] {
    return getMsrs(this.fd, request.KVM_GET_MSRS, indices)
  }

  setMsrs(entries: readonly KvmMsrEntry[]): number {
    return call(this.fd, request.KVM_SET_MSRS, KVM_MSRS.encode(entries))
  }

  setCpuid2(entries: readonly KvmCpuidEntry2[]): void {
    call(this.fd, request.KVM_SET_CPUID2, KVM_CPUID2.encode(entries))
  }

  getCpuid2(): KvmCpuidEntry2[] {
    return getList(this.fd, request.KVM_GET_CPUID2, KVM_CPUID2)
  }

  getLapic(): Uint8Array {
    const state = KVM_LAPIC_STATE.allocate()
    call(this.fd, request.KVM_GET_LAPIC, state)
    return state
  }

  setLapic(state: Uint8Array): void {
    setStruct(this.fd, request.KVM_SET_LAPIC, KVM_LAPIC_STATE, { regs: state })
  }

  getMpState(): number {
    return getStruct(this.fd, request.KVM_GET_MP_STATE, events.KVM_MP_STATE).mpState
  }

  setMpState(mpState: number): void {
    setStruct(this.fd, request.KVM_SET_MP_STATE, events.KVM_MP_STATE, { mpState })
  }

  getVcpuEvents(): events.KvmVcpuEvents {
    return getStruct(this.fd, request.KVM_GET_VCPU_EVENTS, events.KVM_VCPU_EVENTS)
  }

  setVcpuEvents(value: events.KvmVcpuEvents): void {
    setStruct(this.fd, request.KVM_SET_VCPU_EVENTS, events.KVM_VCPU_EVENTS, value)
  }

  getDebugregs(): regs.KvmDebugregs {
    return getStruct(this.fd, request.KVM_GET_DEBUGREGS, regs.KVM_DEBUGREGS)
  }

  setDebugregs(value: regs.KvmDebugregs): void {
    setStruct(this.fd, request.KVM_SET_DEBUGREGS, regs.KVM_DEBUGREGS, value)
  }

  setGuestDebug(debug: KvmGuestDebug): void {
    setStruct(this.fd, request.KVM_SET_GUEST_DEBUG, KVM_GUEST_DEBUG, debug)
  }

  interrupt(vector: number): void {
    setStruct(this.fd, request.KVM_INTERRUPT, events.KVM_INTERRUPT_ARGUMENT, { irq: vector })
  }

  nmi(): void {
    call(this.fd, request.KVM_NMI, 0)
  }

  smi(): void {
    call(this.fd, request.KVM_SMI, 0)
  }

  translate(linearAddress: bigint): regs.KvmTranslation {
    return getStruct(this.fd, request.KVM_TRANSLATE, regs.KVM_TRANSLATION, { linearAddress })
  }

  setSignalMask(mask: bigint | undefined): void {
    if (mask === undefined) {
      // A null pointer, which is a value and not a place.
      call(this.fd, request.KVM_SET_SIGNAL_MASK, 0)
      return
    }
    const buffer = KVM_SIGNAL_MASK.allocate(8)
    dataViewOf(buffer).setBigUint64(KVM_SIGNAL_MASK.elementsOffset, mask, true)
    call(this.fd, request.KVM_SET_SIGNAL_MASK, buffer)
  }

  setTscKhz(khz: number): void {
    call(this.fd, request.KVM_SET_TSC_KHZ, khz)
  }

  getTscKhz(): number {
    return call(this.fd, request.KVM_GET_TSC_KHZ, 0)
  }

  kvmclockCtrl(): void {
    call(this.fd, request.KVM_KVMCLOCK_CTRL, 0)
  }

  tprAccessReporting(enabled: boolean): void {
    setStruct(this.fd, request.KVM_TPR_ACCESS_REPORTING, KVM_TPR_ACCESS_CTL, { enabled: enabled ? 1 : 0 })
  }

  setVapicAddr(address: bigint): void {
    setStruct(this.fd, request.KVM_SET_VAPIC_ADDR, KVM_VAPIC_ADDR, { vapicAddr: address })
  }

  x86SetupMce(mcgCap: bigint): void {
    const buffer = new Uint8Array(8)
    dataViewOf(buffer).setBigUint64(0, mcgCap, true)
    call(this.fd, request.KVM_X86_SETUP_MCE, buffer)
  }

  x86SetMce(mce: events.KvmX86Mce): void {
    setStruct(this.fd, request.KVM_X86_SET_MCE, events.KVM_X86_MCE, mce)
  }

  close(): void {
    this.fd.close()
  }
}
