import { GuestError } from './errors.ts'

export type KernelBundle = {
  /** The kernel as it lies in memory. */
  image: Uint8Array
  loadAddress: number
  /** Entry of the 64-bit boot protocol. [Linux Documentation/arch/x86/boot.rst "64-bit Boot Protocol"] */
  entry64: number
}

const SHT_DYNSYM = 11

/**
 * Takes the kernel out of libkrunfw: the object KERNEL_BUNDLE is the image, and `krunfw_get_kernel` stores load address, entry and size
 * through its three pointer arguments as constants. The constants are read from its code; nothing is executed.
 */
export function readKernelBundle(library: Uint8Array): KernelBundle {
  const elf = new Elf64(library)
  const code = elf.bytes(elf.symbol('krunfw_get_kernel'))
  const constants: number[] = []
  // MOV qword [rax], imm32
  for (let at = 0; at + 7 <= code.length; at++) {
    if (code[at] !== 0x48 || code[at + 1] !== 0xc7 || code[at + 2] !== 0x00) continue
    constants.push(new DataView(code.buffer, code.byteOffset + at + 3, 4).getUint32(0, true))
    at += 6
  }
  const [loadAddress, entry64, size] = constants
  if (loadAddress === undefined || entry64 === undefined || size === undefined || constants.length !== 3)
    throw malformed('krunfw_get_kernel has an unknown form')
  const bundle = elf.bytes(elf.symbol('KERNEL_BUNDLE'))
  if (size > bundle.length || entry64 < loadAddress || entry64 >= loadAddress + size)
    throw malformed('the addresses of the kernel make no sense')
  return { image: bundle.subarray(0, size), loadAddress, entry64 }
}

const malformed = (reason: string): GuestError =>
  new GuestError('corrupt', `The library that carries the kernel is malformed: ${reason}.`)

type ElfSymbol = { value: number; size: number }

/** Just enough of an ELF64 shared object: dynamic symbols, and bytes at virtual addresses. [System V ABI "Object Files"] */
class Elf64 {
  readonly #bytes: Uint8Array
  readonly #view: DataView

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    if (bytes.length < 64 || this.#view.getUint32(0) !== 0x7f454c46 || bytes[4] !== 2 || bytes[5] !== 1)
      throw malformed('it is not a 64-bit little-endian ELF file')
  }

  #u64(at: number): number {
    if (at + 8 > this.#bytes.length) throw malformed('a table lies outside the file')
    return Number(this.#view.getBigUint64(at, true))
  }

  symbol(name: string): ElfSymbol {
    const sections = this.#u64(40)
    const entrySize = this.#view.getUint16(58, true)
    const count = this.#view.getUint16(60, true)
    for (let n = 0; n < count; n++) {
      const section = sections + n * entrySize
      if (this.#view.getUint32(section + 4, true) !== SHT_DYNSYM) continue
      const strings = this.#u64(sections + this.#view.getUint32(section + 40, true) * entrySize + 24)
      const start = this.#u64(section + 24)
      const end = start + this.#u64(section + 32)
      for (let at = start; at < end; at += 24) {
        if (this.#string(strings + this.#view.getUint32(at, true)) === name)
          return { value: this.#u64(at + 8), size: this.#u64(at + 16) }
      }
    }
    throw malformed(`it has no symbol ${name}`)
  }

  #string(at: number): string {
    let text = ''
    for (; this.#bytes[at]; at++) text += String.fromCharCode(this.#bytes[at] as number)
    return text
  }

  bytes({ value, size }: ElfSymbol): Uint8Array {
    const headers = this.#u64(32)
    const entrySize = this.#view.getUint16(54, true)
    const count = this.#view.getUint16(56, true)
    for (let n = 0; n < count; n++) {
      const header = headers + n * entrySize
      if (this.#view.getUint32(header, true) !== 1) continue
      const address = this.#u64(header + 16)
      const fileSize = this.#u64(header + 32)
      if (value < address || value + size > address + fileSize) continue
      const offset = this.#u64(header + 8) + value - address
      if (offset + size > this.#bytes.length) break
      return this.#bytes.subarray(offset, offset + size)
    }
    throw malformed('a symbol lies outside the file')
  }
}
