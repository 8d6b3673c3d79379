import { EFLAGS_DF, SEG_ES, Vmcs } from '@guestmode/x86'
import { PF_WRITE } from '../mmu/error-code.ts'
import { access, cpl, segmented } from '../emulation/linear.ts'
import { emulationFailed } from '../emulation/emulate.ts'
import { queueException, queuePageFault } from '../events/exceptions.ts'
import { PAGE_SIZE } from '../host-memory.ts'
import { instructionDone } from '../instruction.ts'
import { refreshWalker } from '../modes/paging.ts'
import type { Vcpu } from '../vcpu.ts'
import { getItem, ioExit, servesOut, setItem } from './io.ts'

const RCX = 1
const RSI = 6
const RDI = 7

interface StringIo {
  readonly port: number
  readonly size: number
  readonly repeated: boolean
  readonly addressWidth: 16 | 32 | 64
  readonly segment: number
  /** RSI or RDI. */
  readonly pointer: number
  readonly down: boolean
}

/** VM-exit instruction-information field for INS and OUTS. [SDM3 Table 28-9] */
export function handleStringIo(vcpu: Vcpu, direction: 'in' | 'out', port: number, size: number, repeated: boolean): boolean {
  const { processor } = vcpu
  const information = processor.vmread32(Vmcs.VM_EXIT_INSTRUCTION_INFO)
  const addressWidth = ([16, 32, 64] as const)[(information >> 7) & 3] ?? 64
  const down = (processor.vmread32(Vmcs.GUEST_RFLAGS) & EFLAGS_DF) !== 0
  const isIn = direction === 'in'
  const segment = isIn ? SEG_ES : (information >> 15) & 7
  const io: StringIo = { port, size, repeated, addressWidth, segment, pointer: isIn ? RDI : RSI, down }
  refreshWalker(vcpu)
  return isIn ? stringIn(vcpu, io) : stringOut(vcpu, io)
}

function register(vcpu: Vcpu, io: StringIo, index: number): bigint {
  return BigInt.asUintN(io.addressWidth, vcpu.processor.registers.gpr(index))
}

function addRegister(vcpu: Vcpu, io: StringIo, index: number, amount: bigint): void {
  const { registers } = vcpu.processor
  const old = registers.gpr(index)
  const value = BigInt.asUintN(io.addressWidth, old + amount)
  registers.setGpr(index, io.addressWidth === 16 ? (old & ~0xffffn) | value : value)
}

/** Items that are moved with one exit: those of a repeated instruction that follow within the page. */
function batch(vcpu: Vcpu, io: StringIo, gpa: number): number {
  if (!io.repeated) return 1
  const left = register(vcpu, io, RCX)
  const offset = gpa % PAGE_SIZE
  const room = Math.floor((io.down ? offset + io.size : PAGE_SIZE - offset) / io.size)
  return Math.max(1, Number(left < BigInt(room) ? left : BigInt(room)))
}

/** Guest physical address of the item at the pointer; undefined after a fault has been queued. */
function item(vcpu: Vcpu, io: StringIo, write: boolean): number | undefined {
  const place = segmented(vcpu, io.segment, register(vcpu, io, io.pointer), io.size, write)
  if ('fault' in place) {
    queueException(vcpu, place.fault)
    return undefined
  }
  const { walker } = vcpu
  const bits = access(cpl(vcpu), write ? PF_WRITE : 0)
  for (const offset of [io.size - 1, 0]) {
    const linear = BigInt.asUintN(64, place.linear + BigInt(offset))
    if (walker.walk(Number(linear >> 32n), Number(linear & 0xffff_ffffn), bits, true)) continue
    queuePageFault(vcpu, linear, walker.errorCode)
    return undefined
  }
  return walker.gpa
}

/** Moves the pointer past `count` items; true when the instruction is done. */
function advance(vcpu: Vcpu, io: StringIo, count: number): boolean {
  addRegister(vcpu, io, io.pointer, BigInt(io.down ? -io.size * count : io.size * count))
  if (!io.repeated) return true
  addRegister(vcpu, io, RCX, BigInt(-count))
  return register(vcpu, io, RCX) === 0n
}

function finish(vcpu: Vcpu, io: StringIo, count: number, rip: bigint, length: number): boolean {
  const { processor } = vcpu
  if (processor.vmread(Vmcs.GUEST_RIP) !== rip) return true
  return advance(vcpu, io, count) ? instructionDone(vcpu, rip + BigInt(length)) : true
}

function stringOut(vcpu: Vcpu, io: StringIo): boolean {
  const { vm, processor } = vcpu
  const rip = processor.vmread(Vmcs.GUEST_RIP)
  const length = processor.vmread32(Vmcs.VM_EXIT_INSTRUCTION_LENGTH)
  const first = item(vcpu, io, false)
  if (first === undefined) return true
  const { port, size } = io
  const count = crossesPage(first, size) ? 1 : batch(vcpu, io, first)
  for (let i = 0; i < count; i++) {
    const value = readItem(vcpu, io, first, io.down ? -i * size : i * size)
    if (value === undefined) return emulationFailed(vcpu, undefined, 'OUTS from a device')
    setItem(vcpu, i, size, value)
  }
  vm.trace?.({ name: 'kvm_pio', rw: 'write', port, size, count, val: getItem(vcpu, 0, size) })
  if (servesOut(vcpu, port, size, getItem(vcpu, 0, size))) {
    for (let i = 1; i < count; i++) servesOut(vcpu, port, size, getItem(vcpu, i, size))
    return finish(vcpu, io, count, rip, length)
  }
  vcpu.completion = () => finish(vcpu, io, count, rip, length)
  return ioExit(vcpu, 'out', port, size, count)
}

const crossesPage = (gpa: number, size: number): boolean => (gpa % PAGE_SIZE) + size > PAGE_SIZE

function readItem(vcpu: Vcpu, io: StringIo, first: number, offset: number): number | undefined {
  const { guest } = vcpu.vm
  const { size } = io
  if (!crossesPage(first, size)) {
    const hpa = guest.hpa(first + offset)
    return hpa < 0 ? undefined : Number(guest.load(hpa, size))
  }
  let value = 0
  for (let i = size - 1; i >= 0; i--) {
    const hpa = guest.hpa(byteOf(vcpu, io, i))
    if (hpa < 0) return undefined
    value = (value << 8) | Number(guest.load(hpa, 1))
  }
  return value >>> 0
}

/** Of an item across pages, one byte: `item` has found both pages mapped. */
function byteOf(vcpu: Vcpu, io: StringIo, offset: number): number {
  const place = segmented(vcpu, io.segment, register(vcpu, io, io.pointer), io.size, false)
  if ('fault' in place) throw new Error('a segment changed during an instruction')
  const linear = BigInt.asUintN(64, place.linear + BigInt(offset))
  vcpu.walker.walk(Number(linear >> 32n), Number(linear & 0xffff_ffffn), access(cpl(vcpu), 0), false)
  return vcpu.walker.gpa
}

function stringIn(vcpu: Vcpu, io: StringIo): boolean {
  const { vm, processor } = vcpu
  const rip = processor.vmread(Vmcs.GUEST_RIP)
  const length = processor.vmread32(Vmcs.VM_EXIT_INSTRUCTION_LENGTH)
  // Both the pages and the segment are checked before the device is read: a read cannot be taken back.
  const first = item(vcpu, io, true)
  if (first === undefined) return true
  const { port, size } = io
  const count = crossesPage(first, size) ? 1 : batch(vcpu, io, first)
  const complete = (): boolean => {
    vm.trace?.({ name: 'kvm_pio', rw: 'read', port, size, count, val: getItem(vcpu, 0, size) })
    refreshWalker(vcpu)
    for (let i = 0; i < count; i++) {
      if (!writeItem(vcpu, io, first, io.down ? -i * size : i * size, getItem(vcpu, i, size)))
        return emulationFailed(vcpu, undefined, 'INS to a device')
    }
    return finish(vcpu, io, count, rip, length)
  }
  if (vm.ports.has(port)) {
    for (let i = 0; i < count; i++) setItem(vcpu, i, size, vm.ports.read(port, size))
    return complete()
  }
  vcpu.completion = complete
  return ioExit(vcpu, 'in', port, size, count)
}

function writeItem(vcpu: Vcpu, io: StringIo, first: number, offset: number, value: number): boolean {
  const { guest } = vcpu.vm
  const { size } = io
  if (!crossesPage(first, size)) {
    const hpa = guest.hpaForWrite(first + offset, size)
    if (hpa >= 0) guest.store(hpa, size, BigInt(value))
    return hpa >= 0
  }
  for (let i = 0; i < size; i++) {
    const hpa = guest.hpaForWrite(byteOf(vcpu, io, i), 1)
    if (hpa < 0) return false
    guest.store(hpa, 1, BigInt((value >>> (8 * i)) & 0xff))
  }
  return true
}
