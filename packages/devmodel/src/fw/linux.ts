/**
 * Linux boot protocol: bzImage by its 64-bit, 32-bit or 16-bit entry, ELF vmlinux, and a raw 64-bit image.
 * [Linux Documentation/arch/x86/boot.rst]
 */
import { ConfigError } from '../errors.ts'
import type { GuestMemory } from '../machine/guest-memory.ts'
import { BOOT_SETUP, BOOT_STACK, BOOT_ZERO_PAGE, MIB } from '../machine/layout.ts'
import type { BootEntry, LinuxBoot, RawBoot } from './boot-config.ts'
import { enterLongMode, enterProtectedMode, enterRealMode } from './cpu-state.ts'
import { isElf, parseElf } from './elf.ts'
import {
  CAN_USE_HEAP,
  HEADER_MAGIC,
  LOADED_HIGH,
  SETUP_HEADER,
  placeCommandLine,
  writeHeaderFields,
  writeZeroPage,
  type LoadedInitrd,
} from './linux-params.ts'
import { mib, place, placeElf, placeInitrd } from './place.ts'

const SECTOR = 512
const XLF_KERNEL_64 = 1
/** Where an initrd may end for kernels that don't say. */
const OLD_INITRD_LIMIT = 0x3800_0000
const CURRENT_COMMAND_LINE_LIMIT = 2047

/** Setup code, its heap and stack share a segment: the stack starts at its top, below the EBDA. */
const SETUP_STACK = 0xe000

export interface BzImageHeader {
  /** Size of setup code with the boot sector. */
  readonly setupSize: number
  readonly version: number
  readonly loadFlags: number
  readonly relocatable: boolean
  readonly has64BitEntry: boolean
  readonly commandLineLimit: number
  /** First address that an initrd may not touch. */
  readonly initrdLimit: number
  readonly preferredAddress: number
  readonly initSize: number
}

export function isBzImage(image: Uint8Array): boolean {
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength)
  return image.length >= 0x264 && view.getUint16(0x1fe, true) === 0xaa55 && view.getUint32(0x202, true) === HEADER_MAGIC
}

export function parseBzImage(image: Uint8Array): BzImageHeader {
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength)
  const version = view.getUint16(0x206, true)
  const setupSize = ((image[0x1f1] || 4) + 1) * SECTOR
  const loadFlags = view.getUint8(0x211)
  const payload = version >= 0x0204 ? view.getUint32(0x1f4, true) * 16 : 0
  // The size is in paragraphs, rounded up, and may count a checksum that isn't in the file.
  if (image.length < setupSize || image.length + 32 < setupSize + payload) {
    throw new ConfigError(`the kernel is truncated: it has ${image.length} bytes of ${setupSize + payload}; get it again`)
  }
  if (!(loadFlags & LOADED_HIGH)) throw new ConfigError('the kernel is a zImage, which loads below 640 KiB: give a bzImage')
  const since = <T>(since: number, value: () => T, before: T): T => (version >= since ? value() : before)
  return {
    setupSize,
    version,
    loadFlags,
    relocatable: since(0x0205, () => view.getUint8(0x234) !== 0, false),
    has64BitEntry: since(0x020c, () => (view.getUint16(0x236, true) & XLF_KERNEL_64) !== 0, false),
    commandLineLimit: since(0x0206, () => view.getUint32(0x238, true), 255),
    initrdLimit: since(0x0203, () => view.getUint32(0x22c, true) + 1, OLD_INITRD_LIMIT),
    preferredAddress: since(0x020a, () => Number(view.getBigUint64(0x258, true)), MIB),
    initSize: since(0x020a, () => view.getUint32(0x260, true), 0),
  }
}

/** Loads the kernel and returns how to start it. `longMode` says whether the guest's CPU has it. */
export function loadLinux(memory: GuestMemory, boot: LinuxBoot, longMode: boolean): BootEntry {
  if (isElf(boot.image)) return loadVmlinux(memory, boot)
  if (boot.image.length === 0) throw new ConfigError('the kernel file is empty')
  if (!isBzImage(boot.image)) {
    throw new ConfigError('the kernel file is not a kernel that can be booted: give a bzImage (vmlinuz) or an ELF vmlinux')
  }
  const header = parseBzImage(boot.image)
  const entry = boot.entry ?? (header.has64BitEntry && longMode ? '64-bit' : '32-bit')
  if (entry === '64-bit' && !header.has64BitEntry) throw new ConfigError('this kernel has no 64-bit entry: choose the 32-bit one')
  if (entry === '64-bit' && !longMode) throw new ConfigError('the 64-bit entry needs a CPU with long mode')
  return loadBzImage(memory, boot, header, entry)
}

function loadBzImage(
  memory: GuestMemory,
  boot: LinuxBoot,
  header: BzImageHeader,
  entry: '16-bit' | '32-bit' | '64-bit',
): BootEntry {
  const kernel = boot.image.subarray(header.setupSize)
  const preferred = header.relocatable && entry !== '16-bit' ? header.preferredAddress : MIB
  const needed = Math.max(header.initSize, kernel.length)
  const address = preferred + needed <= memory.lowSize ? preferred : MIB
  // A kernel that is not at its preferred address moves itself there, or decompresses to it.
  const end = Math.max(address, header.preferredAddress) + needed
  if (end > memory.lowSize) {
    throw new ConfigError(`the kernel needs ${mib(end)} of memory and the machine has ${mib(memory.lowSize)}: give it more`)
  }
  place(memory, 'the kernel', address, kernel)
  const initrd = loadInitrd(memory, boot.initrd, { lowest: end, highest: header.initrdLimit })
  const commandLine = placeCommandLine(memory, boot.commandLine, header.commandLineLimit)
  if (entry === '16-bit') return loadSetup(memory, boot.image.subarray(0, header.setupSize), { commandLine, initrd })
  const view = new DataView(boot.image.buffer, boot.image.byteOffset)
  const headerEnd = Math.min(0x202 + view.getUint8(0x201), 0x290)
  const setupHeader = boot.image.slice(SETUP_HEADER, headerEnd)
  new DataView(setupHeader.buffer).setUint32(0x214 - SETUP_HEADER, address, true)
  writeZeroPage(memory, { header: setupHeader, commandLine, initrd })
  return entry === '64-bit' ? longModeEntry(address + 0x200) : protectedModeEntry(address)
}

/** The 16-bit entry: setup code runs in real mode and asks the BIOS. */
function loadSetup(
  memory: GuestMemory,
  setup: Uint8Array,
  options: { commandLine: number; initrd: LoadedInitrd | undefined },
): BootEntry {
  if (setup.length > SETUP_STACK - 0x1000) throw new ConfigError('the kernel is damaged: its setup code is too large')
  const code = setup.slice()
  const view = new DataView(code.buffer)
  writeHeaderFields(view, options)
  view.setUint8(0x211, view.getUint8(0x211) | CAN_USE_HEAP)
  view.setUint16(0x224, SETUP_STACK - 0x200, true)
  place(memory, 'the setup code', BOOT_SETUP, code)
  const data = BOOT_SETUP / 16
  return {
    needsBios: true,
    start: (vcpu) => enterRealMode(vcpu, { cs: data + 0x20, data }, { rip: 0n, rsp: BigInt(SETUP_STACK) }),
  }
}

function loadVmlinux(memory: GuestMemory, boot: LinuxBoot): BootEntry {
  const elf = parseElf(boot.image)
  if (boot.entry && boot.entry !== `${elf.bits}-bit`) throw new ConfigError(`this kernel has a ${elf.bits}-bit entry only`)
  const end = placeElf(memory, elf)
  writeParameters(memory, boot, end)
  return elf.bits === 64 ? longModeEntry(elf.entry) : protectedModeEntry(elf.entry)
}

/** An image that runs where it is loaded, entered in 64-bit mode. */
export function loadRaw(memory: GuestMemory, boot: RawBoot): BootEntry {
  if (boot.entry < boot.loadAddress || boot.entry >= boot.loadAddress + boot.image.length) {
    throw new ConfigError('the entry point of the raw kernel is outside of its image')
  }
  place(memory, 'the kernel', boot.loadAddress, boot.image)
  writeParameters(memory, boot, boot.loadAddress + boot.image.length)
  return longModeEntry(boot.entry)
}

function writeParameters(memory: GuestMemory, boot: { commandLine: string; initrd?: Uint8Array }, end: number): void {
  const initrd = loadInitrd(memory, boot.initrd, { lowest: end, highest: 0x8000_0000 })
  const commandLine = placeCommandLine(memory, boot.commandLine, CURRENT_COMMAND_LINE_LIMIT)
  writeZeroPage(memory, { header: undefined, commandLine, initrd })
}

function loadInitrd(
  memory: GuestMemory,
  initrd: Uint8Array | undefined,
  limits: { lowest: number; highest: number },
): LoadedInitrd | undefined {
  if (!initrd) return undefined
  return { address: placeInitrd(memory, initrd, limits), size: initrd.length }
}

function protectedModeEntry(address: number): BootEntry {
  return {
    needsBios: false,
    start: (vcpu, memory) =>
      enterProtectedMode(vcpu, memory, { rip: BigInt(address), rsi: BigInt(BOOT_ZERO_PAGE), rsp: BigInt(BOOT_STACK) }),
  }
}

function longModeEntry(address: number): BootEntry {
  return {
    needsBios: false,
    start: (vcpu, memory) =>
      enterLongMode(vcpu, memory, { rip: BigInt(address), rsi: BigInt(BOOT_ZERO_PAGE), rsp: BigInt(BOOT_STACK) }),
  }
}
