/**
 * The zero page. [Linux Documentation/arch/x86/zero-page.rst] [Linux Documentation/arch/x86/boot.rst, "The Real-Mode Kernel
 * Header"]
 */
import type { GuestMemory } from '../machine/guest-memory.ts'
import { BOOT_COMMAND_LINE, BOOT_SETUP, BOOT_ZERO_PAGE, KIB, MIB, RSDP } from '../machine/layout.ts'
import { ConfigError } from '../errors.ts'
import { e820Map } from './e820.ts'
import { place } from './place.ts'

export const SETUP_HEADER = 0x1f1
export const HEADER_MAGIC = 0x5372_6448

export const LOADED_HIGH = 0x01
export const CAN_USE_HEAP = 0x80

/** "Undefined" boot loader. */
export const LOADER_TYPE = 0xff

const E820_TABLE = 0x2d0
const E820_ENTRIES_MAX = 128

export interface LoadedInitrd {
  readonly address: number
  readonly size: number
}

/** Writes the command line with its terminating zero; the result is its address. */
export function placeCommandLine(memory: GuestMemory, commandLine: string, limit: number): number {
  const bytes = encode(commandLine)
  const most = Math.min(limit, BOOT_SETUP - BOOT_COMMAND_LINE - 1)
  if (bytes.length > most)
    throw new ConfigError(`the kernel command line has ${bytes.length} bytes, this kernel takes ${most}: shorten it`)
  place(memory, 'the command line', BOOT_COMMAND_LINE, bytes, bytes.length + 1)
  return BOOT_COMMAND_LINE
}

/** `header` is the setup header from offset 1F1h on; kernels without one (ELF, raw) get what the kernel proper reads. */
export function writeZeroPage(
  memory: GuestMemory,
  options: { header: Uint8Array | undefined; commandLine: number; initrd: LoadedInitrd | undefined },
): void {
  const page = new Uint8Array(0x1000)
  const view = new DataView(page.buffer)
  if (options.header) page.set(options.header, SETUP_HEADER)
  else {
    view.setUint16(0x1fe, 0xaa55, true)
    view.setUint32(0x202, HEADER_MAGIC, true)
    view.setUint16(0x206, 0x020c, true)
    view.setUint8(0x211, LOADED_HIGH)
    view.setUint32(0x230, 16 * MIB, true)
  }
  writeHeaderFields(view, options)
  view.setBigUint64(0x070, BigInt(RSDP), true)
  const extended = (memory.lowSize - MIB) / KIB
  view.setUint16(0x002, Math.min(extended, 0xffff), true)
  view.setUint32(0x1e0, extended, true)
  const map = e820Map(memory).slice(0, E820_ENTRIES_MAX)
  view.setUint8(0x1e8, map.length)
  map.forEach(({ base, size, type }, i) => {
    view.setBigUint64(E820_TABLE + 20 * i, BigInt(base), true)
    view.setBigUint64(E820_TABLE + 20 * i + 8, BigInt(size), true)
    view.setUint32(E820_TABLE + 20 * i + 16, type, true)
  })
  memory.write(BOOT_ZERO_PAGE, page)
}

/** The fields that a boot loader fills in, in a zero page or in setup code. */
export function writeHeaderFields(view: DataView, options: { commandLine: number; initrd: LoadedInitrd | undefined }): void {
  view.setUint8(0x210, LOADER_TYPE)
  view.setUint32(0x218, options.initrd?.address ?? 0, true)
  view.setUint32(0x21c, options.initrd?.size ?? 0, true)
  view.setUint32(0x228, options.commandLine, true)
}

/** UTF-8, as a terminal would have sent it. */
export function encode(text: string): Uint8Array {
  const bytes: number[] = []
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0
    if (code < 0x80) bytes.push(code)
    else if (code < 0x800) bytes.push(0xc0 | (code >> 6), 0x80 | (code & 63))
    else if (code < 0x10000) bytes.push(0xe0 | (code >> 12), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63))
    else bytes.push(0xf0 | (code >> 18), 0x80 | ((code >> 12) & 63), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63))
  }
  return Uint8Array.from(bytes)
}
