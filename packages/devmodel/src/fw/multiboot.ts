/** Multiboot 1: ELF kernels and those with load addresses in their header. [Multiboot Specification 0.6.96] */
import { ConfigError } from '../errors.ts'
import type { GuestMemory } from '../machine/guest-memory.ts'
import { BOOT_MULTIBOOT_INFO, BOOT_MULTIBOOT_INFO_END, EBDA, KIB, MIB } from '../machine/layout.ts'
import type { BootEntry, MultibootBoot } from './boot-config.ts'
import { enterProtectedMode } from './cpu-state.ts'
import { isElf, parseElf } from './elf.ts'
import { e820Map } from './e820.ts'
import { encode } from './linux-params.ts'
import { place, placeElf } from './place.ts'

const HEADER_MAGIC = 0x1bad_b002
const BOOT_MAGIC = 0x2bad_b002n
const HEADER_SEARCH = 8192

const ALIGN_MODULES = 1 << 0
const MEMORY_INFO = 1 << 1
const ADDRESS_FIELDS = 1 << 16

const INFO_MEMORY = 1 << 0
const INFO_COMMAND_LINE = 1 << 2
const INFO_MODULES = 1 << 3
const INFO_MEMORY_MAP = 1 << 6
const INFO_LOADER_NAME = 1 << 9
const INFO_SIZE = 116

interface Header {
  offset: number
  flags: number
}

export function findMultibootHeader(image: Uint8Array): Header | undefined {
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength)
  for (let offset = 0; offset + 12 <= Math.min(image.length, HEADER_SEARCH); offset += 4) {
    if (view.getUint32(offset, true) !== HEADER_MAGIC) continue
    const flags = view.getUint32(offset + 4, true)
    if ((HEADER_MAGIC + flags + view.getUint32(offset + 8, true)) >>> 0 === 0) return { offset, flags }
  }
  return undefined
}

export function loadMultiboot(memory: GuestMemory, boot: MultibootBoot): BootEntry {
  const header = findMultibootHeader(boot.image)
  if (!header) throw new ConfigError('the kernel has no multiboot header in its first 8 KiB')
  // Bits 0-15 are requirements; a video mode (bit 2) is a wish that the specification lets a loader ignore.
  const unknown = header.flags & 0xffff & ~(ALIGN_MODULES | MEMORY_INFO | 4)
  if (unknown)
    throw new ConfigError(`the kernel asks for multiboot features that are not supported: flags ${unknown.toString(16)}h`)
  const { entry, end } = header.flags & ADDRESS_FIELDS ? loadByAddresses(memory, boot.image, header) : loadElf(memory, boot.image)
  writeInfo(memory, boot, end)
  return {
    needsBios: false,
    start: (vcpu, ram) =>
      enterProtectedMode(vcpu, ram, { rip: BigInt(entry), rax: BOOT_MAGIC, rbx: BigInt(BOOT_MULTIBOOT_INFO) }),
  }
}

function loadElf(memory: GuestMemory, image: Uint8Array): { entry: number; end: number } {
  if (!isElf(image)) throw new ConfigError('the multiboot kernel is no ELF file, and its header gives no load addresses')
  const elf = parseElf(image)
  if (elf.bits === 64) throw new ConfigError('the multiboot kernel is a 64-bit ELF file: multiboot enters 32-bit code')
  return { entry: elf.entry, end: placeElf(memory, elf) }
}

function loadByAddresses(memory: GuestMemory, image: Uint8Array, header: Header): { entry: number; end: number } {
  if (header.offset + 32 > image.length) throw new ConfigError('the kernel is truncated: its multiboot header is incomplete')
  const view = new DataView(image.buffer, image.byteOffset + header.offset, 32)
  const [headerAddress, load, loadEnd, bssEnd, entry] = [12, 16, 20, 24, 28].map((at) => view.getUint32(at, true)) as [
    number,
    number,
    number,
    number,
    number,
  ]
  const start = header.offset - (headerAddress - load)
  const size = loadEnd ? loadEnd - load : image.length - start
  if (headerAddress < load || start < 0 || size < 0 || start + size > image.length) {
    throw new ConfigError('the kernel is truncated, or the load addresses of its multiboot header are wrong')
  }
  const memorySize = bssEnd ? Math.max(bssEnd - load, size) : size
  place(memory, 'the kernel', load, image.subarray(start, start + size), memorySize)
  return { entry, end: load + memorySize }
}

/** Information structure, memory map, module list and strings, one after the other. */
function writeInfo(memory: GuestMemory, boot: MultibootBoot, kernelEnd: number): void {
  let next = BOOT_MULTIBOOT_INFO + INFO_SIZE
  const put = (bytes: Uint8Array): number => {
    const address = next
    next = (next + bytes.length + 3) & ~3
    if (next > BOOT_MULTIBOOT_INFO_END) throw new ConfigError('the multiboot command lines are too long: shorten them')
    memory.write(address, bytes)
    return address
  }
  const string = (value: string): number => put(Uint8Array.of(...encode(value), 0))

  const modules = placeModules(memory, boot.modules ?? [], kernelEnd)
  const list = new DataView(new ArrayBuffer(16 * modules.length))
  modules.forEach(({ start, end, commandLine }, i) => {
    list.setUint32(16 * i, start, true)
    list.setUint32(16 * i + 4, end, true)
    list.setUint32(16 * i + 8, string(commandLine), true)
  })
  const entries = e820Map(memory)
  const map = new DataView(new ArrayBuffer(24 * entries.length))
  entries.forEach(({ base, size, type }, i) => {
    // The size field does not count itself.
    map.setUint32(24 * i, 20, true)
    map.setBigUint64(24 * i + 4, BigInt(base), true)
    map.setBigUint64(24 * i + 12, BigInt(size), true)
    map.setUint32(24 * i + 20, type, true)
  })
  const info = new DataView(new ArrayBuffer(INFO_SIZE))
  const set = (offset: number, value: number): void => info.setUint32(offset, value, true)
  set(0, INFO_MEMORY | INFO_COMMAND_LINE | INFO_MODULES | INFO_MEMORY_MAP | INFO_LOADER_NAME)
  set(4, EBDA / KIB)
  set(8, (memory.lowSize - MIB) / KIB)
  set(16, string(boot.commandLine))
  set(20, modules.length)
  set(24, put(new Uint8Array(list.buffer)))
  set(44, map.byteLength)
  set(48, put(new Uint8Array(map.buffer)))
  set(64, string('guestmode'))
  memory.write(BOOT_MULTIBOOT_INFO, new Uint8Array(info.buffer))
}

/** Page-aligned, upwards from the kernel's end. */
function placeModules(
  memory: GuestMemory,
  modules: readonly { image: Uint8Array; commandLine: string }[],
  kernelEnd: number,
): { start: number; end: number; commandLine: string }[] {
  let next = Math.max(kernelEnd, MIB)
  return modules.map(({ image, commandLine }, i) => {
    const start = Math.ceil(next / 0x1000) * 0x1000
    place(memory, `multiboot module ${i + 1}`, start, image)
    next = start + image.length
    return { start, end: next, commandLine }
  })
}
