import { Exception } from '@guestmode/x86'
import { Access, type Cpu, type CpuidLeaf, type Environment } from '../cpu/cpu.ts'
import { GuestFault, type CpuEvent, type VmExit } from '../cpu/events.ts'
import type { NonRoot } from '../cpu/non-root.ts'
import { createStateView, type CpuStateView } from '../cpu/state-view.ts'
import { Engine } from '../interp/engine.ts'
import type { MachineMemory } from '../machine/memory.ts'
import type { PrivateLayout } from '../machine/private-layout.ts'
import {
  createCpuid,
  defaultModel,
  deliverEvent,
  microcode,
  modelHasFeature,
  namedMicrocode,
  powerUp,
  raise,
  readMsr,
  writeMsr,
} from '../microcode/index.ts'
import { PageWalker } from '../paging/walk.ts'
import { eptExit } from '../vmx/ept-exit.ts'
import type { VmxHost } from '../vmx/host.ts'
import type { ProcessorOptions } from '../contract.ts'

const FSW_ERROR_SUMMARY = 0x80
const CR0_EM = 4
const CR4_OSFXSR = 0x200

/** A logical processor without VMX: state, engine, microcode and page walker, joined. */
export class Core implements Cpu, VmxHost {
  readonly mem: MachineMemory
  readonly state: CpuStateView
  readonly environment: Environment
  readonly walker: PageWalker
  readonly engine: Engine
  readonly cpuid: (leaf: number, subleaf: number) => CpuidLeaf
  readonly hasFeature: (name: string) => boolean
  nonRoot: NonRoot | undefined
  nextRip = 0n

  constructor(mem: MachineMemory, layout: PrivateLayout, environment: Environment, options: ProcessorOptions) {
    this.mem = mem
    this.environment = environment
    this.state = createStateView(mem, layout.state)
    const model = defaultModel(options)
    this.cpuid = createCpuid(model)
    const known = new Map<string, boolean>()
    this.hasFeature = (name) => {
      let has = known.get(name)
      if (has === undefined) known.set(name, (has = modelHasFeature(model, name)))
      return has
    }
    this.walker = new PageWalker(mem, this.state, {
      physicalAddressBits: model.physicalAddressBits,
      gigabytePages: model.features.has('pdpe1gb'),
    })
    this.engine = new Engine({
      cpu: this,
      layout,
      walker: this.walker,
      trapOf: () => this.walkTrap(),
      microcode: (mnemonic) => microcode[mnemonic as keyof typeof microcode],
      routines: new Map(Object.entries(namedMicrocode)) as never,
      fpuTrap: (kind) => this.fpuTrap(kind),
      raise: (fault) => raise(this, fault),
    })
    powerUp(this)
    this.modeChanged()
  }

  run(instructions: number): VmExit | undefined {
    return this.engine.run(instructions)
  }

  /** Exact also while the guest runs, so that time may be made of it. */
  get instructionsRetired(): bigint {
    return this.state.instructions + BigInt(this.engine.consumed)
  }

  deliverEvent(event: CpuEvent): void {
    deliverEvent(this, event)
  }

  read(linear: bigint, size: 1 | 2 | 4 | 8, access: number): bigint {
    const { mem } = this
    const low = Number(linear & 0xffff_ffffn)
    const high = Number(linear >> 32n)
    const { access: slow, tlb } = this.engine
    const inPage = (low & 0xfff) + size <= 4096 && (access & Access.fetch) === 0
    const address = (inPage && tlb.readAddressAt((access & Access.user) >> 1, high, low)) || slow.read(high, low, size, access)
    if (address === 0) throw slow.trap
    switch (size) {
      case 1:
        return BigInt(mem.u8[address]!)
      case 2:
        return BigInt(mem.view.getUint16(address, true))
      case 4:
        return BigInt(mem.view.getUint32(address, true))
      case 8:
        return mem.view.getBigUint64(address, true)
    }
  }

  write(linear: bigint, size: 1 | 2 | 4 | 8, value: bigint, access: number): void {
    const { mem } = this
    const address = this.writable(linear, size, access)
    switch (size) {
      case 1:
        mem.u8[address] = Number(value & 0xffn)
        break
      case 2:
        mem.view.setUint16(address, Number(value & 0xffffn), true)
        break
      case 4:
        mem.view.setUint32(address, Number(value & 0xffff_ffffn), true)
        break
      case 8:
        mem.view.setBigUint64(address, value, true)
        break
    }
    if (address < mem.physBase) this.engine.access.commit()
  }

  /** Both ends of the range: ranges longer than a page aren't probed. */
  probeWrite(linear: bigint, size: number, access: number): void {
    this.writable(linear, 1, access)
    if (size > 1) this.writable(linear + BigInt(size - 1), 1, access)
  }

  modeChanged(): void {
    this.engine.modeChanged()
  }

  flushTlb(_global: boolean): void {
    this.engine.flushTlb()
  }

  invalidatePage(linear: bigint): void {
    this.engine.flushPage(Number(BigInt.asUintN(64, linear) >> 32n), Number(linear & 0xffff_ffffn))
  }

  readMsr(index: number): bigint | undefined {
    try {
      return readMsr(this, index)
    } catch (error) {
      if (error instanceof GuestFault) return undefined
      throw error
    }
  }

  writeMsr(index: number, value: bigint): boolean {
    try {
      writeMsr(this, index, value)
      return true
    } catch (error) {
      if (error instanceof GuestFault) return false
      throw error
    }
  }

  private writable(linear: bigint, size: number, access: number): number {
    const address = this.engine.access.write(
      Number(linear >> 32n),
      Number(linear & 0xffff_ffffn),
      size,
      access & ~Access.write,
      true,
    )
    if (address === 0) throw this.engine.access.trap
    return address
  }

  /** What the walker's failure means: a page fault or a VM exit. */
  private walkTrap(): GuestFault | VmExit {
    const { fault } = this.walker
    if (fault.kind !== 'page-fault') return eptExit(this.walker)
    return new GuestFault(Exception.PF, fault.errorCode, (BigInt(fault.linHi) << 32n) | BigInt(fault.linLo))
  }

  /** Why an x87, MMX or SSE instruction can't run. [SDM3 Table 13-1 "Action Taken for Combinations of OSFXSR, OSXMMEXCPT, SSE, SSE2, ... EM, MP, and TS"] */
  private fpuTrap(kind: 'x87' | 'mmx' | 'sse'): GuestFault {
    const cr0 = Number(this.state.cr0 & 0xfn)
    if (kind === 'sse' && (Number(this.state.cr4 & 0x200n) & CR4_OSFXSR) === 0) return new GuestFault(Exception.UD)
    if ((cr0 & CR0_EM) !== 0) return new GuestFault(kind === 'x87' ? Exception.NM : Exception.UD)
    if (kind !== 'sse' && (cr0 & 8) === 0 && (this.state.fpStatus & FSW_ERROR_SUMMARY) !== 0) return new GuestFault(Exception.MF)
    return new GuestFault(Exception.NM)
  }
}
