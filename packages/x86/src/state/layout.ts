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

export const u8 = { type: 'u8', count: 1 } as const
export const u16 = { type: 'u16', count: 1 } as const
export const u32 = { type: 'u32', count: 1 } as const
export const u64 = { type: 'u64', count: 1 } as const

export const array = <const T extends FieldType, const N extends number>(
  type: T,
  count: N,
): { readonly type: T; readonly count: N } => ({ type, count })

export type Specs = Readonly<Record<string, FieldSpec>>

export interface Layout<S extends Specs> {
  readonly specs: S
  readonly fields: { readonly [Name in keyof S]: Field }
  /** Total size in bytes, a multiple of 16. */
  readonly size: number
}

/** Lays fields out in the order given, each aligned to its element size. */
export function layout<const S extends Specs>(specs: S): Layout<S> {
  const fields: Record<string, Field> = {}
  let at = 0
  for (const [name, spec] of Object.entries(specs)) {
    const size = sizes[spec.type]
    at = (at + size - 1) & -size
    fields[name] = { name, type: spec.type, count: spec.count, offset: at, size }
    at += size * spec.count
  }
  return { specs, fields: fields as { readonly [Name in keyof S]: Field }, size: (at + 15) & -16 }
}
