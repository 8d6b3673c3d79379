import { KVM_CPUID2 } from '../cpuid.ts'
import type { KvmCpuidEntry2 } from '../cpuid.ts'
import type { EventFd, KvmFd, KvmFloor } from '../floor.ts'
import type { Kvm, KvmVm } from '../interface.ts'
import { KVM_MSR_LIST } from '../msr.ts'
import type { KvmMsrEntry } from '../msr.ts'
import * as request from '../requests.ts'
import { dataViewOf } from '../struct.ts'
import { call, getList, getMsrs } from './call.ts'
import { KvmVmFace } from './vm.ts'

export class KvmFace implements Kvm {
  readonly fd: KvmFd
  readonly #floor: KvmFloor

  constructor(floor: KvmFloor) {
    this.#floor = floor
    this.fd = floor.system
  }

  getApiVersion(): number {
    return call(this.fd, request.KVM_GET_API_VERSION, 0)
  }

  createVm(type = 0): KvmVm {
    return new KvmVmFace(this.#floor, this.#floor.vm(call(this.fd, request.KVM_CREATE_VM, type)))
  }

  checkExtension(capability: number): number {
    return call(this.fd, request.KVM_CHECK_EXTENSION, capability)
  }

  getVcpuMmapSize(): number {
    return call(this.fd, request.KVM_GET_VCPU_MMAP_SIZE, 0)
  }

  getSupportedCpuid(): KvmCpuidEntry2[] {
    return getList(this.fd, request.KVM_GET_SUPPORTED_CPUID, KVM_CPUID2)
  }

  getEmulatedCpuid(): KvmCpuidEntry2[] {
    return getList(this.fd, request.KVM_GET_EMULATED_CPUID, KVM_CPUID2)
  }

  getMsrIndexList(): number[] {
    return getList(this.fd, request.KVM_GET_MSR_INDEX_LIST, KVM_MSR_LIST)
  }

  getMsrFeatureIndexList(): number[] {
    return getList(this.fd, request.KVM_GET_MSR_FEATURE_INDEX_LIST, KVM_MSR_LIST)
  }

  getMsrs(indices: readonly number[]): KvmMsrEntry[] {
    return getMsrs(this.fd, request.KVM_GET_MSRS, indices)
  }

  x86GetMceCapSupported(): bigint {
    const buffer = new Uint8Array(8)
    call(this.fd, request.KVM_X86_GET_MCE_CAP_SUPPORTED, buffer)
    return dataViewOf(buffer).getBigUint64(0, true)
  }

  createEventFd(): EventFd {
    return this.#floor.createEventFd()
  }

  close(): void {
    this.fd.close()
  }
}
