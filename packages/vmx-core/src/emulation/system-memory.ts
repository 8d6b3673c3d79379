import { PF_WRITE } from '../mmu/error-code.ts'
import type { Vcpu } from '../vcpu.ts'

/** A page fault of an access that emulation made; what is under way ends. Not an Error: no stack is taken. */
export class AccessFault {
  readonly linear: bigint
  readonly errorCode: number
  constructor(linear: bigint, errorCode: number) {
    this.linear = linear
    this.errorCode = errorCode
  }
}

function place(vcpu: Vcpu, linear: number, write: boolean): number {
  const { walker, vm } = vcpu
  if (!walker.walk(0, linear, write ? PF_WRITE : 0, true)) throw new AccessFault(BigInt(linear >>> 0), walker.errorCode)
  return write ? vm.guest.hpaForWrite(walker.gpa, 1) : vm.guest.hpa(walker.gpa)
}

/** Supervisor accesses to the low 4 GiB of linear memory, to descriptor tables and task state segments. Outside memory: ones. */
export function readSystem(vcpu: Vcpu, linear: number, size: number): number {
  let value = 0
  for (let i = size - 1; i >= 0; i--) {
    const hpa = place(vcpu, (linear + i) >>> 0, false)
    value = (value << 8) | (hpa < 0 ? 0xff : Number(vcpu.vm.guest.load(hpa, 1)))
  }
  return value >>> 0
}

export function writeSystem(vcpu: Vcpu, linear: number, size: number, value: number): void {
  for (let i = 0; i < size; i++) {
    const hpa = place(vcpu, (linear + i) >>> 0, true)
    if (hpa >= 0) vcpu.vm.guest.store(hpa, 1, BigInt((value >>> (8 * i)) & 0xff))
  }
}
