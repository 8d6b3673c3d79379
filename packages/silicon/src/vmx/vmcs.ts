import {
  EFLAGS_DEFINED,
  EFLAGS_FIXED,
  vmcsFieldKind,
  vmcsFieldName,
  VMXERR_READ_ONLY_FIELD,
  VMXERR_UNSUPPORTED_FIELD,
} from '@guestmode/x86'
import type { Cpu } from '../cpu/cpu.ts'
import type { MachineMemory } from '../machine/memory.ts'
import { readFlags, writeFlags } from '../microcode/flags.ts'
import { VmxInstructionError } from './error.ts'
import {
  binding,
  bindingKinds,
  bindingOffsets,
  Due,
  dues,
  fieldNumber,
  lazyFields,
  masksHigh,
  masksLow,
  vmcsRegion,
} from './vmcs-layout.ts'

const high = 0x1_0000_0000
const { none: IN_REGION, u32: WORD, u64: DOUBLE } = binding

/**
 * The current VMCS. Once its guest state has been loaded (`live`), most of the guest-state area stays in the CPU state, where
 * the guest left it: VMREAD and VMWRITE go there, and the region gets it when the VMCS stops being current.
 */
export class CurrentVmcs {
  private readonly mem: MachineMemory
  private readonly cpu: Cpu
  private readonly stateWord: number
  private region = -1
  /** Index of the first field in `mem.u32`. */
  private word = 0
  live = false
  /** Groups of checks (`Due`) that something written since has made due. */
  due = 0
  /** Computes fields of `lazyFields`; absent when they are as in the region. */
  lazy: (() => void) | undefined

  constructor(cpu: Cpu) {
    this.cpu = cpu
    this.mem = cpu.mem
    this.stateWord = cpu.state.base >> 2
  }

  /** Physical address, or undefined. */
  get pointer(): number | undefined {
    return this.region < 0 ? undefined : this.region
  }

  makeCurrent(region: number): void {
    if (this.region === region) return
    this.release()
    this.region = region
    this.word = (this.mem.physBase + region + vmcsRegion.fields) >> 2
    this.due = Due.controls | Due.host | Due.guest | Due.registers
  }

  /** There is no current VMCS any more; its region is complete. */
  release(): void {
    if (this.region < 0) return
    this.settle()
    if (this.live) {
      for (let field = 0; field < bindingKinds.length; field++) {
        if (bindingKinds[field] === IN_REGION) continue
        const low = this.low(field)
        const top = this.high(field)
        this.store(field, low, top)
      }
    }
    this.live = false
    this.region = -1
  }

  get launched(): boolean {
    return this.mem.u32[(this.mem.physBase + this.region + vmcsRegion.launchState) >> 2] === 1
  }

  set launched(value: boolean) {
    this.mem.u32[(this.mem.physBase + this.region + vmcsRegion.launchState) >> 2] = value ? 1 : 0
  }

  /** Loads the CPU state from the region's guest-state area. */
  makeLive(): void {
    if (this.live) return
    for (let field = 0; field < bindingKinds.length; field++) {
      if (bindingKinds[field] === IN_REGION) continue
      this.bind(field, this.mem.u32[this.word + field * 2]!, this.mem.u32[this.word + field * 2 + 1]!)
    }
    this.live = true
  }

  /** Computes what is computed late. */
  settle(): void {
    const { lazy } = this
    if (lazy === undefined) return
    this.lazy = undefined
    lazy()
  }

  /** Low and high words of a field, by field number. */
  low(field: number): number {
    const kind = this.live ? bindingKinds[field]! : IN_REGION
    if (kind === IN_REGION) return this.mem.u32[this.word + field * 2]!
    if (kind === WORD || kind === DOUBLE) return this.mem.u32[this.stateWord + (bindingOffsets[field]! >> 2)]!
    return readFlags(this.cpu) >>> 0
  }

  high(field: number): number {
    const kind = this.live ? bindingKinds[field]! : IN_REGION
    if (kind === IN_REGION) return this.mem.u32[this.word + field * 2 + 1]!
    return kind === DOUBLE ? this.mem.u32[this.stateWord + (bindingOffsets[field]! >> 2) + 1]! : 0
  }

  /** Into the region, bound or not: exit information, and what is saved by copying. */
  store(field: number, low: number, top: number): void {
    const at = this.word + field * 2
    this.mem.u32[at] = low
    this.mem.u32[at + 1] = top
  }

  private bind(field: number, low: number, top: number): void {
    const kind = bindingKinds[field]!
    if (kind === WORD || kind === DOUBLE) {
      const at = this.stateWord + (bindingOffsets[field]! >> 2)
      this.mem.u32[at] = low
      if (kind === DOUBLE) this.mem.u32[at + 1] = top
    } else {
      writeFlags(this.cpu, (low & EFLAGS_DEFINED) | EFLAGS_FIXED)
    }
  }

  private set(field: number, low: number, top: number): void {
    low = (low & masksLow[field]!) >>> 0
    top = (top & masksHigh[field]!) >>> 0
    if (this.low(field) === low && this.high(field) === top) return
    this.due |= dues[field]!
    // Reserved flags must reach the check of RFLAGS, and the CPU state has no room for them.
    if (
      this.live &&
      bindingKinds[field] === binding.rflags &&
      ((low & ~EFLAGS_DEFINED) !== 0 || (low & EFLAGS_FIXED) === 0 || top !== 0)
    )
      this.freeze()
    if (this.live && bindingKinds[field] !== IN_REGION) this.bind(field, low, top)
    else this.store(field, low, top)
  }

  private freeze(): void {
    const region = this.region
    this.release()
    this.makeCurrent(region)
  }

  private number(encoding: number, write: boolean): number {
    if (this.region < 0) throw new VmxInstructionError('There is no current VMCS.', 0)
    const field = fieldNumber(encoding & ~1)
    if (field < 0 || ((encoding & 1) !== 0 && (encoding & 0x6000) !== 0x2000)) {
      throw new VmxInstructionError(`The VMCS has no field 0x${encoding.toString(16)}.`, VMXERR_UNSUPPORTED_FIELD)
    }
    if (write) {
      if (vmcsFieldKind(encoding) === 'read-only') {
        throw new VmxInstructionError(`The VMCS field ${vmcsFieldName(encoding & ~1)} is read-only.`, VMXERR_READ_ONLY_FIELD)
      }
    } else if (this.lazy !== undefined && lazyFields.has(field)) {
      this.settle()
    }
    return field
  }

  read(encoding: number): bigint {
    const field = this.number(encoding, false)
    if ((encoding & 1) !== 0) return BigInt(this.high(field))
    const top = this.high(field)
    return top === 0 ? BigInt(this.low(field)) : (BigInt(top) << 32n) | BigInt(this.low(field))
  }

  read32(encoding: number): number {
    const field = this.number(encoding, false)
    if ((encoding & 1) !== 0) return this.high(field)
    return this.high(field) * high + this.low(field)
  }

  write(encoding: number, value: bigint): void {
    const field = this.number(encoding, true)
    const low = Number(BigInt.asUintN(32, value))
    if ((encoding & 1) !== 0) this.set(field, this.low(field), low)
    else this.set(field, low, Number(BigInt.asUintN(32, value >> 32n)))
  }

  write32(encoding: number, value: number): void {
    const field = this.number(encoding, true)
    if ((encoding & 1) !== 0) this.set(field, this.low(field), value >>> 0)
    else this.set(field, value >>> 0, value < 0 ? 0xffff_ffff : (value / high) >>> 0)
  }
}
