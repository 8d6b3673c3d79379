import {
  CR0_EM,
  CR0_TS,
  CR4_OSFXSR,
  Exception,
  guestAccess,
  guestBase,
  guestLimit,
  guestSelector,
  SEG_SS,
  Vmcs,
  type CpuField,
  type EvaluatorMachine,
  type Refusal,
} from '@guestmode/x86'
import { PF_WRITE } from '../mmu/error-code.ts'
import { readMmio, writeMmio } from '../devices/mmio.ts'
import { PAGE_SIZE } from '../host-memory.ts'
import { readCr0, readCr4 } from '../modes/control-registers.ts'
import type { Vcpu } from '../vcpu.ts'
import { codeWidth } from './fetch.ts'
import { joinFlags, splitFlags, type SplitFlags } from './flags.ts'
import { access, cpl } from './linear.ts'

const RSP = 4
const FX_ST = 32
const FX_XMM = 160

interface Piece {
  readonly gpa: number
  readonly hpa: number
  readonly size: number
  /** Where its bytes are in the access. */
  readonly offset: number
}

/** State that is not within reach here: the instruction cannot be emulated. Not an Error: no stack is taken. */
export class NotEmulated {
  readonly field: CpuField
  constructor(field: CpuField) {
    this.field = field
  }
}

/** A vCPU between an exit and the next entry, as the evaluator of single instructions sees it. */
export class GuestMachine implements EvaluatorMachine {
  readonly #vcpu: Vcpu
  readonly #level: number
  #flags: SplitFlags | undefined
  #fx: Uint8Array | undefined
  #fxChanged = false
  /** Address of the page fault that `load` or `store` answered with. */
  faultLinear = 0n

  constructor(vcpu: Vcpu) {
    this.#vcpu = vcpu
    this.#level = cpl(vcpu)
  }

  #splitFlags(): SplitFlags {
    return (this.#flags ??= splitFlags(this.#vcpu.processor.vmread32(Vmcs.GUEST_RFLAGS)))
  }

  #fxState(): DataView {
    if (this.#fx === undefined) {
      this.#fx = new Uint8Array(512)
      this.#vcpu.processor.registers.saveFxState(this.#fx)
    }
    return new DataView(this.#fx.buffer)
  }

  get(field: CpuField, index: number): bigint {
    const vcpu = this.#vcpu
    const { processor } = vcpu
    switch (field) {
      case 'gpr':
        return index === RSP ? processor.vmread(Vmcs.GUEST_RSP) : processor.registers.gpr(index)
      case 'zero':
        return 0n
      case 'rip':
        return processor.vmread(Vmcs.GUEST_RIP)
      case 'flagResult':
        return this.#splitFlags().result
      case 'flagAux':
        return BigInt(this.#splitFlags().aux)
      case 'flagsSystem':
        return BigInt(this.#splitFlags().system)
      case 'segBase':
        return processor.vmread(guestBase(index))
      case 'segLimit':
        return BigInt(processor.vmread32(guestLimit(index)))
      case 'segAccess':
        return BigInt(processor.vmread32(guestAccess(index)))
      case 'segSelector':
        return BigInt(processor.vmread32(guestSelector(index)))
      case 'cr0':
        return BigInt(readCr0(vcpu))
      case 'cr4':
        return BigInt(readCr4(vcpu))
      case 'cpl':
        return BigInt(this.#level)
      case 'codeWidth':
        return BigInt(codeWidth(vcpu))
      case 'stackWidth':
        return BigInt(this.#stackWidth())
      case 'fpuTrap':
        return BigInt(this.#fpuTrap())
      case 'fpStatus':
        return BigInt(this.#fxState().getUint16(2, true) & 0xc7ff)
      case 'xmm': {
        const at = FX_XMM + 16 * index
        return this.#fxState().getBigUint64(at, true) | (this.#fxState().getBigUint64(at + 8, true) << 64n)
      }
      case 'fpMant':
        return this.#fxState().getBigUint64(this.#registerAt(index), true)
      case 'fpExp':
        return BigInt(this.#fxState().getUint16(this.#registerAt(index) + 8, true))
      case 'fpTop':
        return BigInt((this.#fxState().getUint16(2, true) >> 11) & 7)
      case 'fpEmpty':
        return BigInt(~this.#fxState().getUint8(4) & 0xff)
      case 'fpControl':
        return BigInt(this.#fxState().getUint16(0, true))
      case 'mxcsr':
        return BigInt(this.#fxState().getUint32(24, true))
      default:
        throw new NotEmulated(field)
    }
  }

  set(field: CpuField, index: number, value: bigint): void {
    const { processor } = this.#vcpu
    switch (field) {
      case 'gpr':
        if (index === RSP) processor.vmwrite(Vmcs.GUEST_RSP, value)
        else processor.registers.setGpr(index, value)
        return
      case 'flagResult':
        this.#splitFlags().result = value
        return
      case 'flagAux':
        this.#splitFlags().aux = Number(value)
        return
      case 'flagsSystem':
        this.#splitFlags().system = Number(value)
        return
      case 'xmm': {
        const at = FX_XMM + 16 * index
        this.#fxState().setBigUint64(at, BigInt.asUintN(64, value), true)
        this.#fxState().setBigUint64(at + 8, value >> 64n, true)
        this.#fxChanged = true
        return
      }
      case 'fpMant':
        this.#fxState().setBigUint64(this.#registerAt(index), value, true)
        this.#fxState().setUint16(this.#registerAt(index) + 8, 0xffff, true)
        this.#fxChanged = true
        return
      case 'fpExp':
        this.#fxState().setUint16(this.#registerAt(index) + 8, Number(value), true)
        this.#fxChanged = true
        return
      case 'fpTop':
        this.#fxState().setUint16(2, (this.#fxState().getUint16(2, true) & ~0x3800) | (Number(value) << 11), true)
        this.#fxChanged = true
        return
      case 'fpEmpty':
        this.#fxState().setUint8(4, ~Number(value) & 0xff)
        this.#fxChanged = true
        return
      case 'fpStatus':
        this.#fxState().setUint16(2, (this.#fxState().getUint16(2, true) & 0x3800) | (Number(value) & ~0x3800), true)
        this.#fxChanged = true
        return
      default:
        throw new NotEmulated(field)
    }
  }

  /** FXSAVE keeps the x87 registers by their distance from TOP. */
  #registerAt(physical: number): number {
    const top = (this.#fxState().getUint16(2, true) >> 11) & 7
    return FX_ST + 16 * ((physical - top) & 7)
  }

  #stackWidth(): number {
    if (codeWidth(this.#vcpu) === 64) return 64
    return (this.#vcpu.processor.vmread32(guestAccess(SEG_SS)) & 0x4000) !== 0 ? 32 : 16
  }

  #fpuTrap(): number {
    const cr0 = readCr0(this.#vcpu)
    const off = (cr0 & (CR0_EM | CR0_TS)) !== 0
    return (off ? 1 : 0) | (off || (readCr4(this.#vcpu) & CR4_OSFXSR) === 0 ? 2 : 0)
  }

  /** The pieces of an access by pages, translated; or the page fault. */
  #translate(linear: bigint, size: number, write: boolean): { pieces: Piece[] } | Refusal {
    const { walker, vm } = this.#vcpu
    const bits = access(this.#level, write ? PF_WRITE : 0)
    const pieces: Piece[] = []
    for (let offset = 0; offset < size;) {
      const at = BigInt.asUintN(64, linear + BigInt(offset))
      if (!walker.walk(Number(at >> 32n), Number(at & 0xffff_ffffn), bits, true)) {
        this.faultLinear = at
        return { kind: 'fault', vector: Exception.PF, errorCode: walker.errorCode }
      }
      const { gpa } = walker
      const length = Math.min(size - offset, PAGE_SIZE - (gpa % PAGE_SIZE))
      const hpa = write ? vm.guest.hpaForWrite(gpa, length) : vm.guest.hpa(gpa)
      // A device is given at most eight bytes at a time.
      if (hpa >= 0) pieces.push({ gpa, hpa, size: length, offset })
      else
        for (let i = 0; i < length; i += 8) pieces.push({ gpa: gpa + i, hpa, size: Math.min(8, length - i), offset: offset + i })
      offset += length
    }
    return { pieces }
  }

  load(linear: bigint, size: number, forWrite: boolean): bigint | Refusal {
    // A read-only slot can be read, even by an instruction that will then write to the device in its place.
    if (forWrite) {
      const forStore = this.#translate(linear, size, true)
      if ('kind' in forStore) return forStore
    }
    const translated = this.#translate(linear, size, false)
    if ('kind' in translated) return translated
    let value = 0n
    for (const piece of translated.pieces) {
      const part = this.#read(piece)
      if (part === undefined) return { kind: 'retry' }
      value |= part << BigInt(8 * piece.offset)
    }
    return value
  }

  #read({ gpa, hpa, size }: Piece): bigint | undefined {
    const vcpu = this.#vcpu
    if (hpa >= 0) return vcpu.vm.guest.load(hpa, size)
    const value = vcpu.mmio.answer(gpa, size) ?? readMmio(vcpu, gpa, size)
    if (value === undefined) {
      vcpu.mmio.wanted = { gpa, size, value: 0n }
      vcpu.vm.trace?.({ name: 'kvm_mmio', type: 'unsatisfied-read', len: size, gpa: BigInt(gpa), val: 0n })
    } else vcpu.vm.trace?.({ name: 'kvm_mmio', type: 'read', len: size, gpa: BigInt(gpa), val: value })
    return value
  }

  store(linear: bigint, size: number, value: bigint): Refusal | undefined {
    const vcpu = this.#vcpu
    const translated = this.#translate(linear, size, true)
    if ('kind' in translated) return translated
    for (const { gpa, hpa, size: length, offset } of translated.pieces) {
      const part = BigInt.asUintN(8 * length, value >> BigInt(8 * offset))
      if (hpa >= 0) vcpu.vm.guest.store(hpa, length, part)
      else {
        vcpu.vm.trace?.({ name: 'kvm_mmio', type: 'write', len: length, gpa: BigInt(gpa), val: part })
        if (!writeMmio(vcpu, gpa, length, part)) vcpu.mmio.writes.push({ gpa, size: length, value: part })
      }
    }
    return undefined
  }

  /** Puts flags and vector registers back, after an instruction that is done. */
  finish(): void {
    const { processor } = this.#vcpu
    if (this.#flags !== undefined) processor.vmwrite32(Vmcs.GUEST_RFLAGS, joinFlags(this.#flags))
    if (this.#fx !== undefined && this.#fxChanged) processor.registers.loadFxState(this.#fx)
  }
}
