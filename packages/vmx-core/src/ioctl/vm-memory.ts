import {
  EEXIST,
  EINVAL,
  ENOENT,
  ENOSPC,
  KVM_CLEAR_DIRTY_LOG,
  KVM_CLEAR_DIRTY_LOG_ARGUMENT,
  KVM_COALESCED_MMIO_ZONE,
  KVM_DIRTY_LOG,
  KVM_DIRTY_LOG_INITIALLY_SET,
  KVM_GET_DIRTY_LOG,
  KVM_GET_NR_MMU_PAGES,
  KVM_MEM_LOG_DIRTY_PAGES,
  KVM_MEM_READONLY,
  KVM_REGISTER_COALESCED_MMIO,
  KVM_RESET_DIRTY_RINGS,
  KVM_SET_IDENTITY_MAP_ADDR,
  KVM_SET_NR_MMU_PAGES,
  KVM_SET_TSS_ADDR,
  KVM_SET_USER_MEMORY_REGION,
  KVM_UNREGISTER_COALESCED_MMIO,
  KVM_USERSPACE_MEMORY_REGION,
  type KvmCoalescedMmioZone,
} from '@guestmode/kvm-abi'
import { PAGE_SIZE } from '../host-memory.ts'
import { dirtyBitmapBytes, MAX_SLOTS, type Memslot } from '../mmu/memslots.ts'
import type { Vm } from '../vm.ts'
import { decode, Errno, pointer, value, type Handlers } from './argument.ts'

const isPageAligned = (address: bigint): boolean => (address & 0xfffn) === 0n
const MAX_ADDRESS = 1n << 52n
const FOUR_GIB = 0x1_0000_0000
const LEAST_MMU_PAGES = 20

function setMemoryRegion(vm: Vm, argument: Uint8Array | number | bigint | undefined): number {
  const { slot: id, flags, guestPhysAddr, memorySize, userspaceAddr } = decode(argument, KVM_USERSPACE_MEMORY_REGION)
  if ((flags & ~(KVM_MEM_LOG_DIRTY_PAGES | KVM_MEM_READONLY)) !== 0 || id >= MAX_SLOTS) return -EINVAL
  if (!isPageAligned(guestPhysAddr) || !isPageAligned(memorySize) || !isPageAligned(userspaceAddr)) return -EINVAL
  if (guestPhysAddr + memorySize > MAX_ADDRESS) return -EINVAL
  const [gpa, size, hpa] = [Number(guestPhysAddr), Number(memorySize), Number(userspaceAddr)]
  const old = vm.slots.byId(id)
  if (size === 0) {
    if (old === undefined) return -EINVAL
    vm.slots.delete(id)
    vm.slotsChanged()
    return 0
  }
  const readonly = (flags & KVM_MEM_READONLY) !== 0
  const logs = (flags & KVM_MEM_LOG_DIRTY_PAGES) !== 0
  if (old !== undefined && (old.size !== size || old.hpa !== hpa || old.readonly !== readonly)) return -EINVAL
  if (!vm.host.isUserMemory(hpa, size)) return -EINVAL
  if (vm.slots.overlaps(gpa, size, id)) return -EEXIST
  if (old !== undefined && old.gpa === gpa && (old.dirty !== undefined) === logs) return 0
  vm.slots.set({ id, gpa, size, hpa, readonly, dirty: logs ? (old?.dirty ?? newBitmap(vm, size)) : undefined })
  vm.slotsChanged()
  return 0
}

function newBitmap(vm: Vm, size: number): Uint8Array {
  const bitmap = new Uint8Array(dirtyBitmapBytes(size))
  if ((vm.manualDirtyLog & KVM_DIRTY_LOG_INITIALLY_SET) !== 0) bitmap.fill(0xff)
  return bitmap
}

function loggingSlot(vm: Vm, id: number): Memslot & { dirty: Uint8Array } {
  if (id >= MAX_SLOTS) throw new Errno(EINVAL)
  const slot = vm.slots.byId(id)
  if (slot?.dirty === undefined) throw new Errno(ENOENT)
  return slot as Memslot & { dirty: Uint8Array }
}

/** Bytes of the VMM's memory, by userspace address. */
function userBytes(vm: Vm, address: bigint, length: number): Uint8Array {
  const { memory } = vm.host
  const at = Number(address)
  if (!vm.host.isUserMemory(at, length)) throw new Errno(EINVAL)
  return memory.u8.subarray(memory.physBase + at, memory.physBase + at + length)
}

function protect(vm: Vm, slot: Memslot, firstPage: number, bitmap: Uint8Array): void {
  vm.nested.protectPages(slot, firstPage, bitmap)
  vm.vcpu?.shadow?.protectPages()
}

function getDirtyLog(vm: Vm, argument: Uint8Array | number | bigint | undefined): number {
  const { slot: id, dirtyBitmap } = decode(argument, KVM_DIRTY_LOG)
  const slot = loggingSlot(vm, id)
  userBytes(vm, dirtyBitmap, slot.dirty.length).set(slot.dirty)
  if (vm.manualDirtyLog !== 0) return 0
  const taken = slot.dirty.slice()
  slot.dirty.fill(0)
  protect(vm, slot, 0, taken)
  return 0
}

function clearDirtyLog(vm: Vm, argument: Uint8Array | number | bigint | undefined): number {
  const { slot: id, numPages, firstPage, dirtyBitmap } = decode(argument, KVM_CLEAR_DIRTY_LOG_ARGUMENT)
  const slot = loggingSlot(vm, id)
  const pages = slot.size / PAGE_SIZE
  const first = Number(firstPage)
  if (first % 64 !== 0 || first > pages || numPages > pages - first) return -EINVAL
  if (numPages % 64 !== 0 && first + numPages !== pages) return -EINVAL
  const asked = userBytes(vm, dirtyBitmap, dirtyBitmapBytes(numPages * PAGE_SIZE)).slice()
  const taken = asked.map((bits, i) => bits & (slot.dirty[first / 8 + i] ?? 0))
  taken.forEach((bits, i) => {
    slot.dirty[first / 8 + i]! &= ~bits
  })
  protect(vm, slot, first, taken)
  return 0
}

function zone(argument: Uint8Array | number | bigint | undefined): { address: number; size: number; pio: boolean } {
  const { addr, size, pio }: KvmCoalescedMmioZone = decode(argument, KVM_COALESCED_MMIO_ZONE)
  if (pio > 1) throw new Errno(EINVAL)
  return { address: Number(addr), size, pio: pio === 1 }
}

export const memoryHandlers: Handlers<Vm> = {
  [KVM_SET_USER_MEMORY_REGION]: setMemoryRegion,
  [KVM_GET_DIRTY_LOG]: getDirtyLog,
  [KVM_CLEAR_DIRTY_LOG]: clearDirtyLog,
  [KVM_REGISTER_COALESCED_MMIO]: (vm, argument) => (vm.coalesced.add(zone(argument)) ? 0 : -ENOSPC),
  [KVM_UNREGISTER_COALESCED_MMIO](vm, argument) {
    vm.coalesced.remove(zone(argument))
    return 0
  },
  // Shadow tables are freed at every flush: there is nothing to limit.
  [KVM_SET_NR_MMU_PAGES]: (vm, argument) => {
    const pages = value(argument)
    if (pages < LEAST_MMU_PAGES) return -EINVAL
    vm.mmuPages = pages
    return 0
  },
  [KVM_GET_NR_MMU_PAGES]: (vm) => vm.mmuPages,
  // Dirty rings are not offered.
  [KVM_RESET_DIRTY_RINGS]: () => -EINVAL,
  [KVM_SET_TSS_ADDR]: (_vm, argument) => (value(argument) > FOUR_GIB - 3 * PAGE_SIZE ? -EINVAL : 0),
  [KVM_SET_IDENTITY_MAP_ADDR](vm, argument) {
    pointer(argument, 8)
    return vm.vcpu === undefined ? 0 : -EINVAL
  },
}
