import { IOAPIC_BASE, IOAPIC_SIZE } from '../irqchip/irqchip.ts'
import type { Vcpu } from '../vcpu.ts'

const PAGE_MASK = ~0xfff
const WORD = 0xffff_ffffn

/** Whether the hypervisor serves an address itself. */
export function isInternal(vcpu: Vcpu, gpa: number): boolean {
  return isLapic(vcpu, gpa) || isIoapic(vcpu, gpa)
}

function isLapic(vcpu: Vcpu, gpa: number): boolean {
  return gpa >= vcpu.lapicPage && gpa < vcpu.lapicPage + 0x1000
}

function isIoapic(vcpu: Vcpu, gpa: number): boolean {
  return gpa >= IOAPIC_BASE && gpa < IOAPIC_BASE + IOAPIC_SIZE && vcpu.vm.router?.chips !== undefined
}

/** A read of at most 32 bits of a register that `isInternal` is true of. */
export function readRegister(vcpu: Vcpu, gpa: number): number {
  if (!isLapic(vcpu, gpa)) return vcpu.vm.router!.chips!.ioapic.read(gpa - IOAPIC_BASE)
  const offset = gpa & ~PAGE_MASK
  const value = vcpu.lapic!.read(offset)
  vcpu.vm.trace?.({ name: 'kvm_apic', rw: 'read', reg: offset, val: BigInt(value) })
  return value
}

const APIC_TPR = 0x80
const APIC_EOI = 0xb0

export function writeRegister(vcpu: Vcpu, gpa: number, value: number): void {
  if (!isLapic(vcpu, gpa)) {
    vcpu.vm.router!.chips!.ioapic.write(gpa - IOAPIC_BASE, value)
    return
  }
  const offset = gpa & ~PAGE_MASK
  vcpu.vm.trace?.({ name: 'kvm_apic', rw: 'write', reg: offset, val: BigInt(value) })
  vcpu.lapic!.write(offset, value)
  if (offset !== APIC_EOI && offset !== APIC_TPR) vcpu.vm.timersChanged()
}

/** A read of guest-physical space without memory: its value if the hypervisor has the device. */
export function readMmio(vcpu: Vcpu, gpa: number, size: number): bigint | undefined {
  if (!isInternal(vcpu, gpa)) return undefined
  const value = BigInt(readRegister(vcpu, gpa))
  return size >= 8 ? value : value & ((1n << BigInt(8 * size)) - 1n)
}

/** True when no exit is needed. */
export function writeMmio(vcpu: Vcpu, gpa: number, size: number, value: bigint): boolean {
  if (isInternal(vcpu, gpa)) {
    writeRegister(vcpu, gpa, Number(value & WORD))
    return true
  }
  const { vm } = vcpu
  if (vm.memoryEvents.write(gpa, size, value)) {
    vm.trace?.({ name: 'kvm_fast_mmio', gpa: BigInt(gpa) })
    return true
  }
  return vm.coalesced.write(vcpu.mapping, gpa, size, value, false)
}
