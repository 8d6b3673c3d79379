/** Kernels with the right headers and nothing in them. */

export interface BzImageOptions {
  xloadflags?: number
  initrdMax?: number
  relocatable?: number
  version?: number
  loadflags?: number
  initSize?: number
  payload?: number
}

export function bzImage(options: BzImageOptions = {}): Uint8Array {
  const setup = 5 * 512
  const payload = options.payload ?? 0x2000
  const image = new Uint8Array(setup + payload)
  const view = new DataView(image.buffer)
  image.fill(0x90, setup)
  view.setUint8(0x1f1, 4)
  view.setUint32(0x1f4, payload / 16, true)
  view.setUint16(0x1fe, 0xaa55, true)
  view.setUint8(0x200, 0xeb)
  view.setUint8(0x201, 0x6a)
  view.setUint32(0x202, 0x53726448, true)
  view.setUint16(0x206, options.version ?? 0x020f, true)
  view.setUint8(0x211, options.loadflags ?? 1)
  view.setUint32(0x214, 0x100000, true)
  view.setUint32(0x22c, options.initrdMax ?? 0x7fffffff, true)
  view.setUint32(0x230, 0x200000, true)
  view.setUint8(0x234, options.relocatable ?? 1)
  view.setUint16(0x236, options.xloadflags ?? 1, true)
  view.setUint32(0x238, 2047, true)
  view.setBigUint64(0x258, 0x1000000n, true)
  view.setUint32(0x260, options.initSize ?? 0x400000, true)
  return image
}

export function elf(
  bits: 32 | 64,
  options: { entry: number; physical: number; bytes: Uint8Array; memorySize: number; machine?: number },
): Uint8Array {
  const headerSize = bits === 64 ? 64 : 52
  const entrySize = bits === 64 ? 56 : 32
  const start = headerSize + entrySize
  const image = new Uint8Array(start + options.bytes.length)
  const view = new DataView(image.buffer)
  const word = (at: number, value: number): void =>
    bits === 64 ? view.setBigUint64(at, BigInt(value), true) : view.setUint32(at, value, true)
  image.set([0x7f, 0x45, 0x4c, 0x46, bits === 64 ? 2 : 1, 1, 1])
  view.setUint16(18, options.machine ?? (bits === 64 ? 62 : 3), true)
  word(24, options.entry)
  word(bits === 64 ? 32 : 28, headerSize)
  view.setUint16(bits === 64 ? 54 : 42, entrySize, true)
  view.setUint16(bits === 64 ? 56 : 44, 1, true)
  view.setUint32(headerSize, 1, true)
  const [offset, physical, fileSize, memorySize] = bits === 64 ? [8, 24, 32, 40] : [4, 12, 16, 20]
  word(headerSize + (offset ?? 0), start)
  word(headerSize + (physical ?? 0), options.physical)
  word(headerSize + (fileSize ?? 0), options.bytes.length)
  word(headerSize + (memorySize ?? 0), options.memorySize)
  image.set(options.bytes, start)
  return image
}
