/**
 * Writer of ACPI Machine Language: each function returns the encoded term. [ACPI 6.5 chapter 20 "ACPI Machine Language (AML)
 * Specification"]
 */

export type Aml = readonly number[]

export function integer(value: number): Aml {
  if (value === 0 || value === 1) return [value]
  if (value < 0x100) return [0x0a, value]
  return value < 0x10000 ? [0x0b, ...little(value, 2)] : [0x0c, ...little(value, 4)]
}

export function text(value: string): Aml {
  return [0x0d, ...ascii(value), 0]
}

/** A path such as `\_SB.PCI0` or `_HID`; segments are padded to four characters. */
export function nameString(path: string): Aml {
  const root = path.startsWith('\\') ? [0x5c] : []
  const segments = path.slice(root.length).split('.').filter(Boolean)
  const encoded = segments.flatMap((segment) => [...ascii(segment.padEnd(4, '_'))])
  if (segments.length === 0) return [...root, 0]
  if (segments.length === 1) return [...root, ...encoded]
  if (segments.length === 2) return [...root, 0x2e, ...encoded]
  return [...root, 0x2f, segments.length, ...encoded]
}

export function name(path: string, value: Aml): Aml {
  return [0x08, ...nameString(path), ...value]
}

export function scope(path: string, ...terms: Aml[]): Aml {
  return [0x10, ...withLength([...nameString(path), ...terms.flat()])]
}

export function device(path: string, ...terms: Aml[]): Aml {
  return [0x5b, 0x82, ...withLength([...nameString(path), ...terms.flat()])]
}

export function amlPackage(...elements: Aml[]): Aml {
  return [0x12, ...withLength([elements.length, ...elements.flat()])]
}

export function buffer(bytes: Aml): Aml {
  return [0x11, ...withLength([...integer(bytes.length), ...bytes])]
}

/** Compressed identifier such as PNP0A03. [ACPI 6.5 19.3.4 "ASL Macros", EISAID] */
export function eisaId(id: string): Aml {
  const letters = [...ascii(id.slice(0, 3))].reduce((value, code) => (value << 5) | (code - 0x40), 0)
  const digits = parseInt(id.slice(3), 16)
  return [0x0c, letters >> 8, letters & 0xff, digits >> 8, digits & 0xff]
}

/**
 * PkgLength covers itself: one byte up to 63, else a nibble and up to three more bytes. [ACPI 6.5 20.2.4 "Package Length
 * Encoding"]
 */
function withLength(body: number[]): number[] {
  for (let extra = 0; ; extra++) {
    const length = body.length + 1 + extra
    if (extra === 0 && length < 0x40) return [length, ...body]
    if (extra > 0 && length < 2 ** (4 + 8 * extra)) return [(extra << 6) | (length & 15), ...little(length >> 4, extra), ...body]
  }
}

export function little(value: number, size: number): number[] {
  return Array.from({ length: size }, (_, i) => Math.floor(value / 256 ** i) & 0xff)
}

export function ascii(value: string): number[] {
  return Array.from(value, (character) => character.charCodeAt(0))
}
