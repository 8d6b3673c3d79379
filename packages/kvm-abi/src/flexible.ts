import type { Fields, Struct, StructInput, Type } from './struct.ts'
import { dataViewOf } from './struct.ts'

/** A struct that ends in a flexible array member, whose length is one of the header's fields. */
export interface Flexible<F extends Fields, V, I> {
  readonly cName: string
  /** The part before the array: what `sizeof` and the request number count. */
  readonly header: Struct<F>
  readonly size: number
  readonly count: keyof F & string
  readonly element: Type<V, unknown, I>
  readonly elementsOffset: number
  /** Name of the array member in C. */
  readonly elementsName: string
  sizeFor(count: number): number
  /** A zeroed buffer with room for `count` elements, and the count filled in. */
  allocate(count: number): Uint8Array
  encode(elements: readonly I[], header?: StructInput<Struct<F>>): Uint8Array
  /** As many elements as the header counts, but none beyond the buffer. */
  decode(bytes: Uint8Array): V[]
  countIn(bytes: Uint8Array): number
  setCount(bytes: Uint8Array, count: number): void
}

export function flexible<F extends Fields, V, I>(
  header: Struct<F>,
  count: keyof F & string,
  elementsName: string,
  elementsOffset: number,
  element: Type<V, unknown, I>,
): Flexible<F, V, I> {
  const countField = header.fields[count]!
  const sizeFor = (n: number) => Math.max(header.size, elementsOffset + n * element.size)
  const setCount = (buffer: Uint8Array, n: number) => countField.type.write(dataViewOf(buffer), countField.offset, n)
  const countIn = (buffer: Uint8Array) => countField.type.read(dataViewOf(buffer), countField.offset) as number
  const allocate = (n: number) => {
    const buffer = new Uint8Array(sizeFor(n))
    setCount(buffer, n)
    return buffer
  }
  return {
    cName: header.cName,
    header,
    size: header.size,
    count,
    element,
    elementsOffset,
    elementsName,
    sizeFor,
    allocate,
    countIn,
    setCount,
    encode(elements, fields) {
      const buffer = allocate(elements.length)
      const data = dataViewOf(buffer)
      if (fields !== undefined) header.write(data, 0, fields)
      elements.forEach((value, i) => element.write(data, elementsOffset + i * element.size, value))
      return buffer
    },
    decode(buffer) {
      const data = dataViewOf(buffer)
      const room = Math.floor((buffer.length - elementsOffset) / element.size)
      return Array.from({ length: Math.min(countIn(buffer), room) }, (_, i) =>
        element.read(data, elementsOffset + i * element.size),
      )
    },
  }
}
