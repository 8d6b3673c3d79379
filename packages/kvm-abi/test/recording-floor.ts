import type { HostMemory, KvmFd, KvmFloor, KvmVcpuFd, KvmVmFd } from '../src/index.ts'
import { KVM_CREATE_VCPU, KVM_CREATE_VM, VCPU_MMAP_SIZE } from '../src/index.ts'

export interface Call {
  on: 'system' | 'vm' | 'vcpu'
  request: number
  /** A copy, as it was given. */
  argument: number | bigint | Uint8Array | undefined
}

type Answer = (call: Call, argument: number | bigint | Uint8Array | undefined) => number

/** A floor that writes down what it is asked and answers as told. */
export class RecordingFloor implements KvmFloor {
  readonly calls: Call[] = []
  answer: Answer = () => 0
  readonly system: KvmFd = this.#fd('system')
  readonly memory = new Uint8Array(0x20000)
  readonly page = new Uint8Array(VCPU_MMAP_SIZE)
  closed: string[] = []
  kicks = 0

  #fd(on: Call['on']): KvmFd {
    return {
      ioctl: (request, argument) => {
        const call: Call = { on, request, argument: argument instanceof Uint8Array ? argument.slice() : argument }
        this.calls.push(call)
        if (request === KVM_CREATE_VM) return 10
        if (request === KVM_CREATE_VCPU) return 11
        return this.answer(call, argument)
      },
      close: () => this.closed.push(on),
    }
  }

  vm(fd: number): KvmVmFd {
    if (fd !== 10) throw new Error(`no VM ${fd}`)
    return { ...this.#fd('vm'), allocateMemory: (size) => this.#allocate(size), trace: undefined, stats: () => ({ exits: 1 }) }
  }

  vcpu(fd: number): KvmVcpuFd {
    if (fd !== 11) throw new Error(`no vCPU ${fd}`)
    return {
      ...this.#fd('vcpu'),
      mmap: () => this.page,
      kick: () => this.kicks++,
      interruptAt: undefined,
      halted: () => ({ wakeAt: 5n }),
      stats: () => ({ exits: 2 }),
    }
  }

  #allocate(size: number): HostMemory {
    return { address: 0x1000n, size, bytes: this.memory.subarray(0x1000, 0x1000 + size), written: () => {} }
  }

  createEventFd(): never {
    throw new Error('no eventfd here')
  }

  last(): Call {
    const call = this.calls.at(-1)
    if (call === undefined) throw new Error('nothing was asked')
    return call
  }
}
