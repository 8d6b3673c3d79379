/**
 * Declares C struct layouts once and derives from each declaration: a reader to a plain object, a writer from a partial one, and a
 * live view with getters and setters. Offsets are written out, so that a declaration can be held against the header line by line.
 * Field names are the header's in camel case (`guestPhysAddr` is `guest_phys_addr`); where a union or an anonymous struct
 * stands between, the C path is given.
 */

/** A type with a fixed size: what it is read as, what a live view of it offers, and what may be written to it. */
export interface Type<Value, View = Value, Input = Value> {
  readonly size: number
  read(data: DataView, at: number): Value
  write(data: DataView, at: number, value: Input): void
  view(data: DataView, at: number): View
}

/** Any type at all: `write` is a method, whose parameter may be narrower. */
export type AnyType = Type<unknown>

export interface Field<T extends AnyType> {
  readonly type: T
  readonly offset: number
  /** Path in C from the struct, where it isn't the snake-case name. */
  readonly cPath: string | undefined
}

export type Fields = Readonly<Record<string, Field<AnyType>>>

type ValueOf<T> = T extends Type<infer V, unknown, unknown> ? V : never
type ViewOf<T> = T extends Type<unknown, infer V, unknown> ? V : never
type InputOf<T> = T extends Type<unknown, unknown, infer I> ? I : never

/** The plain object with every field. */
export type StructValue<S> = S extends Struct<infer F> ? { -readonly [K in keyof F]: ValueOf<F[K]['type']> } : never
/** The live view: scalars can be assigned, nested structs are views, byte arrays are windows on the same memory. */
export type StructView<S> = S extends Struct<infer F> ? { [K in keyof F]: ViewOf<F[K]['type']> } : never
/** What can be written: fields left out stay as they are (zero in a fresh buffer). */
export type StructInput<S> = S extends Struct<infer F> ? { [K in keyof F]?: InputOf<F[K]['type']> | undefined } : never

const DATA = Symbol('data')
const AT = Symbol('at')
const NESTED = Symbol('nested')

interface Based {
  readonly [DATA]: DataView
  readonly [AT]: number
  [NESTED]: Record<string, unknown> | undefined
}

export interface Scalar<T> extends Type<T> {
  /** One accessor pair per scalar kind keeps call sites monomorphic. */
  property(offset: number): PropertyDescriptor
}

export const u8: Scalar<number> = {
  size: 1,
  read: (data, at) => data.getUint8(at),
  write: (data, at, value) => data.setUint8(at, value),
  view: (data, at) => data.getUint8(at),
  property: (offset) => ({
    get(this: Based) {
      return this[DATA].getUint8(this[AT] + offset)
    },
    set(this: Based, value: number) {
      this[DATA].setUint8(this[AT] + offset, value)
    },
  }),
}

export const u16: Scalar<number> = {
  size: 2,
  read: (data, at) => data.getUint16(at, true),
  write: (data, at, value) => data.setUint16(at, value, true),
  view: (data, at) => data.getUint16(at, true),
  property: (offset) => ({
    get(this: Based) {
      return this[DATA].getUint16(this[AT] + offset, true)
    },
    set(this: Based, value: number) {
      this[DATA].setUint16(this[AT] + offset, value, true)
    },
  }),
}

export const s16: Scalar<number> = {
  size: 2,
  read: (data, at) => data.getInt16(at, true),
  write: (data, at, value) => data.setInt16(at, value, true),
  view: (data, at) => data.getInt16(at, true),
  property: (offset) => ({
    get(this: Based) {
      return this[DATA].getInt16(this[AT] + offset, true)
    },
    set(this: Based, value: number) {
      this[DATA].setInt16(this[AT] + offset, value, true)
    },
  }),
}

export const u32: Scalar<number> = {
  size: 4,
  read: (data, at) => data.getUint32(at, true),
  write: (data, at, value) => data.setUint32(at, value, true),
  view: (data, at) => data.getUint32(at, true),
  property: (offset) => ({
    get(this: Based) {
      return this[DATA].getUint32(this[AT] + offset, true)
    },
    set(this: Based, value: number) {
      this[DATA].setUint32(this[AT] + offset, value, true)
    },
  }),
}

export const s32: Scalar<number> = {
  size: 4,
  read: (data, at) => data.getInt32(at, true),
  write: (data, at, value) => data.setInt32(at, value, true),
  view: (data, at) => data.getInt32(at, true),
  property: (offset) => ({
    get(this: Based) {
      return this[DATA].getInt32(this[AT] + offset, true)
    },
    set(this: Based, value: number) {
      this[DATA].setInt32(this[AT] + offset, value, true)
    },
  }),
}

export const u64: Scalar<bigint> = {
  size: 8,
  read: (data, at) => data.getBigUint64(at, true),
  write: (data, at, value) => data.setBigUint64(at, value, true),
  view: (data, at) => data.getBigUint64(at, true),
  property: (offset) => ({
    get(this: Based) {
      return this[DATA].getBigUint64(this[AT] + offset, true)
    },
    set(this: Based, value: bigint) {
      this[DATA].setBigUint64(this[AT] + offset, value, true)
    },
  }),
}

export const s64: Scalar<bigint> = {
  size: 8,
  read: (data, at) => data.getBigInt64(at, true),
  write: (data, at, value) => data.setBigInt64(at, value, true),
  view: (data, at) => data.getBigInt64(at, true),
  property: (offset) => ({
    get(this: Based) {
      return this[DATA].getBigInt64(this[AT] + offset, true)
    },
    set(this: Based, value: bigint) {
      this[DATA].setBigInt64(this[AT] + offset, value, true)
    },
  }),
}

function window(data: DataView, at: number, length: number): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset + at, length)
}

/** `__u8 name[length]`: read as a copy, viewed as a window on the same memory. */
export function bytes(length: number): Type<Uint8Array> {
  return {
    size: length,
    read: (data, at) => window(data, at, length).slice(),
    write(data, at, value) {
      if (value.length > length) throw new RangeError(`${value.length} bytes do not fit in ${length}`)
      window(data, at, length).set(value)
    },
    view: (data, at) => window(data, at, length),
  }
}

/** A live view of a C array. */
export interface Elements<View, Input> extends Iterable<View> {
  readonly length: number
  at(index: number): View
  set(index: number, value: Input): void
}

export interface ArrayType<V, W, I> extends Type<V[], Elements<W, I>, readonly I[]> {
  readonly element: Type<V, W, I>
}

/** `type name[length]` of anything but bytes. */
export function array<V, W, I>(element: Type<V, W, I>, length: number): ArrayType<V, W, I> {
  const { size } = element
  return {
    element,
    size: size * length,
    read: (data, at) => Array.from({ length }, (_, i) => element.read(data, at + i * size)),
    write(data, at, values) {
      if (values.length > length) throw new RangeError(`${values.length} elements do not fit in ${length}`)
      values.forEach((value, i) => element.write(data, at + i * size, value))
    },
    view(data, at) {
      const place = (index: number) => {
        if (!(index >= 0 && index < length)) throw new RangeError(`index ${index} is outside 0..${length - 1}`)
        return at + index * size
      }
      return {
        length,
        at: (index) => element.view(data, place(index)),
        set: (index, value) => element.write(data, place(index), value),
        *[Symbol.iterator]() {
          for (let i = 0; i < length; i++) yield element.view(data, at + i * size)
        },
      }
    },
  }
}

export interface Struct<F extends Fields> extends Type<
  { [K in keyof F]: ValueOf<F[K]['type']> },
  { [K in keyof F]: ViewOf<F[K]['type']> },
  { [K in keyof F]?: InputOf<F[K]['type']> | undefined }
> {
  /** `kvm_regs`, or empty for a struct that has no name in C. */
  readonly cName: string
  readonly fields: F
  /** The class of the live views, for a view with more to it. */
  readonly View: new (data: DataView, at: number) => { [K in keyof F]: ViewOf<F[K]['type']> }
  /** A zeroed buffer of the struct's size. */
  allocate(): Uint8Array
  encode(value: { [K in keyof F]?: InputOf<F[K]['type']> | undefined }): Uint8Array
  decode(bytes: Uint8Array): { [K in keyof F]: ValueOf<F[K]['type']> }
  /** A live view of the struct at an offset of a buffer. */
  viewOf(bytes: Uint8Array, offset?: number): { [K in keyof F]: ViewOf<F[K]['type']> }
}

export function field<T extends AnyType>(type: T, offset: number, cPath?: string): Field<T> {
  return { type, offset, cPath }
}

/** A DataView on the same bytes. */
export function dataViewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

export function isStruct(type: AnyType): type is Struct<Fields> {
  return 'fields' in type
}

function propertyOf(name: string, { type, offset }: Field<AnyType>): PropertyDescriptor {
  if ('property' in type) return (type as Scalar<unknown>).property(offset)
  return {
    get(this: Based) {
      const nested = (this[NESTED] ??= {})
      return (nested[name] ??= type.view(this[DATA], this[AT] + offset))
    },
    set(this: Based, value: unknown) {
      type.write(this[DATA], this[AT] + offset, value)
    },
  }
}

export function struct<F extends Fields>(cName: string, size: number, fields: F): Struct<F> {
  const entries = Object.entries(fields)
  for (const [name, { type, offset }] of entries) {
    if (offset + type.size > size) throw new RangeError(`${cName}.${name} ends at ${offset + type.size}, outside ${size} bytes`)
  }
  class View implements Based {
    readonly [DATA]: DataView
    readonly [AT]: number;
    [NESTED]: Record<string, unknown> | undefined
    constructor(data: DataView, at: number) {
      this[DATA] = data
      this[AT] = at
      this[NESTED] = undefined
    }
  }
  for (const [name, place] of entries) {
    Object.defineProperty(View.prototype, name, { ...propertyOf(name, place), enumerable: true, configurable: true })
  }
  const ViewClass = View as unknown as Struct<Fields>['View']
  const self: Struct<Fields> = {
    cName,
    size,
    fields,
    View: ViewClass,
    read(data, at) {
      const value: Record<string, unknown> = {}
      for (const [name, { type, offset }] of entries) value[name] = type.read(data, at + offset)
      return value
    },
    write(data, at, value) {
      for (const [name, { type, offset }] of entries) {
        const given = value[name]
        if (given !== undefined) type.write(data, at + offset, given)
      }
    },
    view: (data, at) => new ViewClass(data, at),
    allocate: () => new Uint8Array(size),
    encode(value) {
      const buffer = new Uint8Array(size)
      self.write(dataViewOf(buffer), 0, value)
      return buffer
    },
    decode: (buffer) => self.read(dataViewOf(buffer), 0),
    viewOf: (buffer, offset = 0) => new ViewClass(dataViewOf(buffer), offset),
  }
  return self as unknown as Struct<F>
}
