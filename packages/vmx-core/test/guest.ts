import { assemble } from '@guestmode/asm'
import {
  KVM_EXIT_HLT,
  KVM_EXIT_IO,
  KVM_EXIT_IO_OUT,
  exitName,
  type HostMemory,
  type KvmSregs,
  type KvmVcpu,
  type KvmVm,
} from '@guestmode/kvm-abi'
import { openKvm, type KvmOptions, type OpenKvm } from '../src/index.ts'

export const MMUS = ['nested', 'naive'] as const

const LINES: string[] = []

/** Options whose time is made of instructions, so that every run is the same. */
export function testOptions(options: Partial<KvmOptions> = {}): KvmOptions {
  LINES.length = 0
  return {
    clock: { now: () => 0n },
    random: () => 0x5eedn,
    timebase: { instructionsPerMicrosecond: 100 },
    log: (line) => LINES.push(line),
    ...options,
  }
}

export const logged = (): readonly string[] => LINES

export interface Guest {
  readonly kvm: OpenKvm
  readonly vm: KvmVm
  readonly vcpu: KvmVcpu
  readonly memory: HostMemory
  readonly labels: Readonly<Record<string, number>>
}

export interface GuestSetup {
  readonly bits?: 16 | 32 | 64
  readonly origin?: number
  readonly megabytes?: number
  readonly options?: Partial<KvmOptions>
  /** Before the vCPU is made: irqchip, PIT. */
  readonly prepare?: (vm: KvmVm) => void
}

/** A VM with memory from 0, code at `origin`, and a vCPU about to execute it: in real mode, flat 32-bit mode, or 64-bit mode. */
export function guest(
  source: string,
  { bits = 16, origin = 0x1000, megabytes = 1, options = {}, prepare }: GuestSetup = {},
): Guest {
  const kvm = openKvm(testOptions(options))
  const vm = kvm.createVm()
  const size = megabytes << 20
  const memory = vm.allocateMemory(size)
  vm.setUserMemoryRegion({ slot: 0, flags: 0, guestPhysAddr: 0n, memorySize: BigInt(size), userspaceAddr: memory.address })
  prepare?.(vm)
  const { bytes, labels } = assemble(source, { bits, origin })
  memory.bytes.set(bytes, origin)
  const vcpu = vm.createVcpu(0)
  const sregs = vcpu.getSregs()
  sregs.cs.base = 0n
  sregs.cs.selector = 0
  if (bits !== 16) flat(sregs)
  if (bits === 64) long(sregs, memory)
  vcpu.setSregs(sregs)
  vcpu.setRegs({ ...vcpu.getRegs(), rip: BigInt(origin), rsp: 0x8000n, rflags: 2n })
  return { kvm, vm, vcpu, memory, labels: Object.fromEntries(labels) }
}

function flat(sregs: KvmSregs): void {
  const data = {
    base: 0n,
    limit: 0xffff_ffff,
    selector: 0x10,
    type: 3,
    present: 1,
    dpl: 0,
    db: 1,
    s: 1,
    l: 0,
    g: 1,
    avl: 0,
    unusable: 0,
  }
  sregs.cs = { ...data, selector: 0x08, type: 11 }
  for (const name of ['ds', 'es', 'fs', 'gs', 'ss'] as const) sregs[name] = { ...data }
  sregs.cr0 |= 1n
}

/** Page tables at 0x70000 that map the first GiB to itself, with 2 MiB pages, for user and supervisor. */
export const LONG_TABLES = 0x70000

function long(sregs: KvmSregs, memory: HostMemory): void {
  const view = new DataView(memory.bytes.buffer, memory.bytes.byteOffset)
  view.setBigUint64(LONG_TABLES, BigInt(LONG_TABLES + 0x1000) | 7n, true)
  view.setBigUint64(LONG_TABLES + 0x1000, BigInt(LONG_TABLES + 0x2000) | 7n, true)
  for (let i = 0; i < 512; i++) view.setBigUint64(LONG_TABLES + 0x2000 + 8 * i, (BigInt(i) << 21n) | 0x87n, true)
  sregs.cr3 = BigInt(LONG_TABLES)
  sregs.cr4 |= 0x20n
  sregs.efer = 0x500n
  sregs.cr0 |= 0x8000_0001n
  sregs.cs = { ...sregs.cs, l: 1, db: 0 }
}

/** Runs until HLT, gathering what is written to ports; the result of any other exit is thrown. */
export function outputs({ vcpu }: Guest, limit = 1000): [port: number, value: number][] {
  const written: [number, number][] = []
  for (let i = 0; i < limit; i++) {
    const result = vcpu.run()
    const { kvmRun } = vcpu
    if (result !== 0) throw new Error(`KVM_RUN returned ${result}`)
    if (kvmRun.exitReason === KVM_EXIT_HLT) return written
    if (kvmRun.exitReason !== KVM_EXIT_IO || kvmRun.io.direction !== KVM_EXIT_IO_OUT)
      throw new Error(`${exitName(kvmRun.exitReason)} ${LINES.join('; ')}`)
    const { port, size, count } = kvmRun.io
    const data = kvmRun.pioData()
    const view = new DataView(data.buffer, data.byteOffset, data.byteLength)
    for (let k = 0; k < count; k++)
      written.push([port, size === 1 ? view.getUint8(k) : size === 2 ? view.getUint16(2 * k, true) : view.getUint32(4 * k, true)])
  }
  throw new Error('the guest does not end')
}

export const values = (guest: Guest): number[] => outputs(guest).map(([, value]) => value)
