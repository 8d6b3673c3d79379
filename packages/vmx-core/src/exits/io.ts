import { KVM_EXIT_IO, KVM_EXIT_IO_IN, KVM_EXIT_IO_OUT, KVM_PIO_PAGE_OFFSET, PAGE_SIZE } from '@guestmode/kvm-abi'
import { Vmcs } from '@guestmode/x86'
import { skipInstruction, skipOnCompletion } from '../instruction.ts'
import type { Vcpu } from '../vcpu.ts'
import { handleStringIo } from './string-io.ts'

export const PIO_DATA = KVM_PIO_PAGE_OFFSET * PAGE_SIZE
const QUALIFICATION_IN = 1 << 3
const QUALIFICATION_STRING = 1 << 4
const QUALIFICATION_REP = 1 << 5

/** A write of CPU reset hacks: VMMs want RIP behind it already at the exit. [Linux Documentation/virt/kvm/api.rst KVM_X86_QUIRK_OUT_7E_INC_RIP] */
const RESET_HACK_PORT = 0x7e

/** Fills in KVM_EXIT_IO for items that stand, or will stand, in the mapping's PIO page. */
export function ioExit(vcpu: Vcpu, direction: 'in' | 'out', port: number, size: number, count: number): false {
  const { run } = vcpu
  vcpu.counters.io_exits++
  run.exitReason = KVM_EXIT_IO
  run.io.direction = direction === 'in' ? KVM_EXIT_IO_IN : KVM_EXIT_IO_OUT
  run.io.size = size
  run.io.port = port
  run.io.count = count
  run.io.dataOffset = BigInt(PIO_DATA)
  return false
}

export function getItem(vcpu: Vcpu, index: number, size: number): number {
  const at = PIO_DATA + index * size
  let value = 0
  for (let i = size - 1; i >= 0; i--) value = (value << 8) | vcpu.mapping[at + i]!
  return value >>> 0
}

export function setItem(vcpu: Vcpu, index: number, size: number, value: number): void {
  const at = PIO_DATA + index * size
  for (let i = 0; i < size; i++) vcpu.mapping[at + i] = (value >>> (8 * i)) & 0xff
}

/** Exit qualification for I/O instructions. [SDM3 Table 28-5] */
export function handleIo(vcpu: Vcpu): boolean {
  const qualification = vcpu.processor.vmread32(Vmcs.EXIT_QUALIFICATION)
  const size = (qualification & 7) + 1
  const port = qualification >>> 16
  const isIn = (qualification & QUALIFICATION_IN) !== 0
  if ((qualification & QUALIFICATION_STRING) !== 0) {
    return handleStringIo(vcpu, isIn ? 'in' : 'out', port, size, (qualification & QUALIFICATION_REP) !== 0)
  }
  return isIn ? portIn(vcpu, port, size) : portOut(vcpu, port, size)
}

function portOut(vcpu: Vcpu, port: number, size: number): boolean {
  const { vm, processor } = vcpu
  const value = Number(processor.registers.gpr(0) & 0xffff_ffffn & ((1n << BigInt(8 * size)) - 1n))
  vm.trace?.({ name: 'kvm_pio', rw: 'write', port, size, count: 1, val: value })
  if (servesOut(vcpu, port, size, value)) return skipInstruction(vcpu)
  setItem(vcpu, 0, size, value)
  if (port === RESET_HACK_PORT) skipInstruction(vcpu)
  else vcpu.completion = skipOnCompletion(vcpu)
  return ioExit(vcpu, 'out', port, size, 1)
}

/** A write that needs no exit. */
export function servesOut(vcpu: Vcpu, port: number, size: number, value: number): boolean {
  const { vm } = vcpu
  if (vm.ports.has(port)) {
    vm.ports.write(port, size, value)
    return true
  }
  if (!vm.portEvents.isEmpty && vm.portEvents.write(port, size, BigInt(value))) return true
  return vm.coalesced.write(vcpu.mapping, port, size, BigInt(value), true)
}

function portIn(vcpu: Vcpu, port: number, size: number): boolean {
  const { vm } = vcpu
  if (vm.ports.has(port)) {
    const value = vm.ports.read(port, size)
    vm.trace?.({ name: 'kvm_pio', rw: 'read', port, size, count: 1, val: value })
    setAccumulator(vcpu, size, value)
    return skipInstruction(vcpu)
  }
  const skip = skipOnCompletion(vcpu)
  vcpu.completion = () => {
    const value = getItem(vcpu, 0, size)
    vm.trace?.({ name: 'kvm_pio', rw: 'read', port, size, count: 1, val: value })
    setAccumulator(vcpu, size, value)
    return skip()
  }
  return ioExit(vcpu, 'in', port, size, 1)
}

/** A 32-bit result clears the upper half of RAX, a shorter one keeps the rest. */
function setAccumulator(vcpu: Vcpu, size: number, value: number): void {
  const { registers } = vcpu.processor
  const mask = (1n << BigInt(8 * size)) - 1n
  registers.setGpr(0, size === 4 ? BigInt(value) : (registers.gpr(0) & ~mask) | BigInt(value))
}
