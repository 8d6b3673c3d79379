import {
  EINTR,
  KVM_EXIT_IO,
  KVM_EXIT_MMIO,
  KVM_REGS,
  KVM_SREGS,
  KvmError,
  KvmRunView,
  VCPU_MMAP_SIZE,
  dataViewOf,
} from '@guestmode/kvm-abi'
import type { Halted, Kvm, KvmCpuidEntry2, KvmRegs, KvmSregs, KvmVcpu, KvmVm } from '@guestmode/kvm-abi'
import type { Host } from '../backends/host.ts'
import { FakeHostMemory } from './memory.ts'

/** A guest as a generator: it yields what makes KVM_RUN return, and gets the data of reads back. */
export type Step =
  | { out: number; value: number; size?: 1 | 2 | 4 }
  | { in: number; size?: 1 | 2 | 4 }
  | { outs: number; bytes: number[] }
  | { store: number; bytes: number[] }
  | { load: number; size: number }
  | { exit: number }
  | { error: number }
  | { interrupted: true }
  | { halt: bigint | undefined }

export type Guest = Generator<Step, void, number>

export class FakeVcpu {
  readonly id = 0
  readonly kvmRun = new KvmRunView(new Uint8Array(VCPU_MMAP_SIZE))
  interruptAt: bigint | undefined
  regs = KVM_REGS.decode(KVM_REGS.allocate())
  sregs = KVM_SREGS.decode(KVM_SREGS.allocate())
  cpuid: readonly KvmCpuidEntry2[] = []
  readonly msrs = new Map<number, bigint>()
  kicks = 0
  runs = 0
  readonly #guest: Guest
  #pending: Step | undefined
  #halted: Halted | undefined

  constructor(guest: Guest) {
    this.#guest = guest
  }

  run(): number {
    this.runs++
    if (this.runs > 10_000) throw new Error('the guest does not end')
    this.#halted = undefined
    const { value: step, done } = this.#guest.next(this.#result())
    if (done) {
      this.kvmRun.exitReason = 8
      return 0
    }
    this.#pending = step
    if ('error' in step) throw new KvmError(step.error, 'KVM_RUN')
    if ('interrupted' in step) return -EINTR
    if ('halt' in step) {
      this.#halted = { wakeAt: step.halt }
      return -EINTR
    }
    if ('exit' in step) this.kvmRun.exitReason = step.exit
    else if ('store' in step) this.#mmio(step.store, true, step.bytes)
    else if ('load' in step) this.#mmio(step.load, false, new Array<number>(step.size).fill(0))
    else if ('outs' in step) this.#io(1, step.outs, 1, step.bytes)
    else if ('out' in step)
      this.#io(
        1,
        step.out,
        step.size ?? 1,
        [0, 8, 16, 24].map((shift) => (step.value >>> shift) & 0xff),
      )
    else this.#io(0, step.in, step.size ?? 1, [0, 0, 0, 0])
    return 0
  }

  kick(): void {
    this.kicks++
  }

  halted(): Halted | undefined {
    return this.#halted
  }

  getRegs(): KvmRegs {
    return KVM_REGS.decode(KVM_REGS.encode(this.regs))
  }
  setRegs(regs: KvmRegs): void {
    this.regs = KVM_REGS.decode(KVM_REGS.encode(regs))
  }
  getSregs(): KvmSregs {
    return KVM_SREGS.decode(KVM_SREGS.encode(this.sregs))
  }
  setSregs(sregs: KvmSregs): void {
    this.sregs = KVM_SREGS.decode(KVM_SREGS.encode(sregs))
  }
  setCpuid2(entries: readonly KvmCpuidEntry2[]): void {
    this.cpuid = entries
  }
  setMsrs(entries: readonly { index: number; data: bigint }[]): number {
    for (const { index, data } of entries) this.msrs.set(index, data)
    return entries.length
  }
  close(): void {
    this.kicks = -1
  }

  #io(direction: number, port: number, size: number, bytes: number[]): void {
    const run = this.kvmRun
    run.exitReason = KVM_EXIT_IO
    const count = Math.max(1, Math.floor(direction && size === 1 && bytes.length !== 4 ? bytes.length : 1))
    Object.assign(run.io, { direction, size, port, count, dataOffset: 4096n })
    run.page.set(bytes, 4096)
  }

  #mmio(address: number, isWrite: boolean, bytes: number[]): void {
    const run = this.kvmRun
    run.exitReason = KVM_EXIT_MMIO
    Object.assign(run.mmio, { physAddr: BigInt(address), len: bytes.length, isWrite: isWrite ? 1 : 0 })
    run.mmio.data.set(bytes)
  }

  #result(): number {
    const step = this.#pending
    const at = step && 'load' in step ? 40 : 4096
    const view = dataViewOf(this.kvmRun.page)
    const size = step && ('in' in step || 'load' in step) ? (step.size ?? 1) : 1
    return size === 1 ? view.getUint8(at) : size === 2 ? view.getUint16(at, true) : view.getUint32(at, true)
  }
}

export class FakeKvm {
  readonly vcpu: FakeVcpu
  readonly irqs: [number, number][] = []
  readonly calls: string[] = []
  readonly regions: { slot: number; guestPhysAddr: bigint; memorySize: bigint }[] = []
  memory: FakeHostMemory | undefined
  supported: KvmCpuidEntry2[] = [
    leaf(1, { eax: 0x6f1, ebx: 0xff000000, ecx: 0x80000000, edx: 0x07ffffff }),
    leaf(0x80000001, { edx: 0x20000000 }),
  ]
  routing: readonly { gsi: number }[] = []
  pics = [KVM_PIC, KVM_PIC].map((pic) => ({ ...pic }))

  constructor(guest: Guest) {
    this.vcpu = new FakeVcpu(guest)
  }

  get kvm(): Kvm {
    return { createVm: () => this.#vm(), getSupportedCpuid: () => this.supported } as unknown as Kvm
  }

  #vm(): KvmVm {
    const called = (name: string) => (): void => void this.calls.push(name)
    return {
      allocateMemory: (size: number) => (this.memory = new FakeHostMemory(size)),
      setUserMemoryRegion: (region: (typeof this.regions)[number]) => void this.regions.push(region),
      createVcpu: () => this.vcpu as unknown as KvmVcpu,
      setTssAddr: called('setTssAddr'),
      setIdentityMapAddr: called('setIdentityMapAddr'),
      createIrqchip: called('createIrqchip'),
      setGsiRouting: (entries: readonly { gsi: number }[]) => void (this.routing = entries),
      createPit2: called('createPit2'),
      getPic: (chip: number) => this.pics[chip],
      setPic: (chip: number, state: (typeof this.pics)[number]) => void (this.pics[chip] = state),
      irqLine: (gsi: number, level: number) => void this.irqs.push([gsi, level]),
      close: called('close'),
    } as unknown as KvmVm
  }
}

const KVM_PIC = { elcr: 0, imr: 0, elcrMask: 0xf8 }

export function leaf(fn: number, registers: Partial<KvmCpuidEntry2>): KvmCpuidEntry2 {
  return { function: fn, index: 0, flags: 0, eax: 0, ebx: 0, ecx: 0, edx: 0, ...registers } as KvmCpuidEntry2
}

/** A host whose clock stands still but when the machine sleeps. */
export class FakeHost implements Host {
  time = 1_000_000_000n
  turns = 0
  readonly slept: bigint[] = []
  readonly messages: string[] = []
  /** Called at each turn and each sleep, as input arriving. */
  onIdle: (() => void) | undefined
  readonly clock = { now: () => this.time }
  readonly loop = {
    turn: () => {
      this.turns++
      this.time += 5_000_000n
      this.onIdle?.()
      return Promise.resolve()
    },
    after: (ns: bigint, callback: () => void) => {
      this.slept.push(ns)
      let live = true
      void Promise.resolve().then(() => {
        if (!live) return
        this.time += ns
        callback()
      })
      return () => void (live = false)
    },
  }
  random(bytes: Uint8Array): void {
    bytes.fill(0x5a)
  }
  unixTime(): number {
    return 1_800_000_000
  }
  log(message: string): void {
    this.messages.push(message)
  }
}
