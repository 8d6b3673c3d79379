/** ELF executables, as far as loading a kernel needs them. [ELF-64 Object File Format 1.5] [System V ABI, "Object Files"] */
import { ConfigError } from '../errors.ts'

export interface ElfSegment {
  readonly physical: number
  readonly bytes: Uint8Array
  readonly memorySize: number
}

export interface ElfImage {
  readonly bits: 32 | 64
  readonly entry: number
  readonly segments: ElfSegment[]
}

const MACHINE_386 = 3
const MACHINE_X86_64 = 62
const PT_LOAD = 1

export function isElf(image: Uint8Array): boolean {
  return image[0] === 0x7f && image[1] === 0x45 && image[2] === 0x4c && image[3] === 0x46
}

export function parseElf(image: Uint8Array): ElfImage {
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength)
  const bits = image[4] === 2 ? 64 : 32
  if (image.length < (bits === 64 ? 64 : 52)) throw new ConfigError('the kernel is truncated: its ELF header is incomplete')
  if (image[5] !== 1) throw new ConfigError('the kernel is a big-endian ELF file: give one for x86')
  const machine = view.getUint16(18, true)
  if (machine !== MACHINE_386 && machine !== MACHINE_X86_64)
    throw new ConfigError(`the kernel is an ELF file for machine ${machine}: give one for x86`)
  const word = (at: number): number => (bits === 64 ? Number(view.getBigUint64(at, true)) : view.getUint32(at, true))
  const entry = word(24)
  const headers = word(bits === 64 ? 32 : 28)
  const size = view.getUint16(bits === 64 ? 54 : 42, true)
  const count = view.getUint16(bits === 64 ? 56 : 44, true)
  if (size < (bits === 64 ? 56 : 32) || headers + size * count > image.length) {
    throw new ConfigError('the kernel is truncated: its program headers are incomplete')
  }
  const segments: ElfSegment[] = []
  for (let i = 0; i < count; i++) {
    const at = headers + i * size
    if (view.getUint32(at, true) !== PT_LOAD) continue
    const [offset, physical, fileSize, memorySize] =
      bits === 64
        ? [word(at + 8), word(at + 24), word(at + 32), word(at + 40)]
        : [word(at + 4), word(at + 12), word(at + 16), word(at + 20)]
    if (offset + fileSize > image.length)
      throw new ConfigError('the kernel is truncated: an ELF segment reaches past the end of the file')
    if (fileSize > memorySize) throw new ConfigError('the kernel is damaged: an ELF segment is larger in the file than in memory')
    if (memorySize) segments.push({ physical, bytes: image.subarray(offset, offset + fileSize), memorySize })
  }
  if (!segments.length) throw new ConfigError('the kernel is an ELF file with nothing to load')
  return { bits, entry, segments }
}
