export type ElfOptions = {
  class: 32 | 64
  /** File contents of the one segment; mapped readable, writable and executable. */
  code: Uint8Array
  /** Address of the first byte of `code`. */
  loadAddress?: number
  /** Entry address; the load address by default. */
  entry?: number
  /** Zeroed bytes after `code`. */
  bss?: number
}

/** The default load address: the code follows the headers within the file's first page. */
export const ELF_LOAD_ADDRESS = 0x400080

/** Wraps code in a static ELF executable: header, one PT_LOAD, and the code. [ELF "Program Header"] */
export function defineElf64Static(options: Omit<ElfOptions, 'class'>): Uint8Array {
  return defineElf({ ...options, class: 64 })
}

export function defineElf32Static(options: Omit<ElfOptions, 'class'>): Uint8Array {
  return defineElf({ ...options, class: 32 })
}

const PAGE = 4096
const HEADERS = 128
const EM_386 = 3
const EM_X86_64 = 62

function defineElf({ class: bits, code, loadAddress = ELF_LOAD_ADDRESS, entry = loadAddress, bss = 0 }: ElfOptions): Uint8Array {
  const wide = bits === 64
  // The loader wants offset and address equal modulo the page size.
  const inPage = loadAddress % PAGE
  const fileOffset = inPage < HEADERS ? PAGE + inPage : inPage
  const out = new Uint8Array(fileOffset + code.length)
  const view = new DataView(out.buffer)
  let at = 0
  const half = (v: number) => (view.setUint16(at, v, true), (at += 2))
  const word = (v: number) => (view.setUint32(at, v, true), (at += 4))
  const address = (v: number) => (wide ? (view.setBigUint64(at, BigInt(v), true), (at += 8)) : word(v))
  out.set([0x7f, 0x45, 0x4c, 0x46, wide ? 2 : 1, 1, 1])
  at = 16
  half(2)
  half(wide ? EM_X86_64 : EM_386)
  word(1)
  address(entry)
  address(wide ? 64 : 52)
  address(0)
  word(0)
  half(wide ? 64 : 52)
  half(wide ? 56 : 32)
  half(1)
  half(wide ? 64 : 40)
  half(0)
  half(0)
  const flags = 7
  word(1)
  if (wide) word(flags)
  address(fileOffset)
  address(loadAddress)
  address(loadAddress)
  address(code.length)
  address(code.length + bss)
  if (!wide) word(flags)
  address(PAGE)
  out.set(code, fileOffset)
  return out
}
