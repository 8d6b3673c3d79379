/**
 * A declaration of fields in linear memory. One declaration yields byte offsets (for generated code), typed accessors
 * (for TypeScript) and names (for a debugger).
 */
export type FieldType = 'u8' | 'u16' | 'u32' | 'u64' | 'v128'

export interface FieldSpec {
  readonly type: FieldType
  /** Number of elements; 1 for a scalar. */
  readonly count: number
}

export interface Field extends FieldSpec {
  readonly name: string
  /** Byte offset from the start of the record. */
  readonly offset: number
  /** Byte size of one element. */
  readonly size: number
}

const sizes: Record<FieldType, number> = { u8: 1, u16: 2, u32: 4, u64: 8, v128: 16 }

export const u8: FieldSpec = { type: 'u8', count: 1 }
export const u16: FieldSpec = { type: 'u16', count: 1 }
export const u32: FieldSpec = { type: 'u32', count: 1 }
export const u64: FieldSpec = { type: 'u64', count: 1 }

export const array = (type: FieldType, count: number): FieldSpec => ({ type, count })

export interface Layout<Name extends string> {
  readonly fields: Readonly<Record<Name, Field>>
  /** Total size in bytes, a multiple of 16. */
  readonly size: number
}

/** Lays fields out in the order given, each aligned to its element size. */
export function layout<const Specs extends Record<string, FieldSpec>>(specs: Specs): Layout<Extract<keyof Specs, string>> {
  const fields: Record<string, Field> = {}
  let at = 0
  for (const [name, spec] of Object.entries(specs)) {
    const size = sizes[spec.type]
    at = (at + size - 1) & -size
    fields[name] = { name, type: spec.type, count: spec.count, offset: at, size }
    at += size * spec.count
  }
  return { fields: fields as Record<Extract<keyof Specs, string>, Field>, size: (at + 15) & -16 }
}
