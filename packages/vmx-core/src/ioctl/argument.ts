import { EFAULT, requestOf, type Descriptor, type Fields, type Flexible, type Struct, type StructValue } from '@guestmode/kvm-abi'

/** A request that fails with an errno. Thrown inside handlers, caught by `dispatch`. Not an Error: no stack is taken. */
export class Errno {
  readonly errno: number
  constructor(errno: number) {
    this.errno = errno
  }
}

export type Argument = number | bigint | Uint8Array | undefined

/** The bytes that a pointer points to. */
export function pointer(argument: Argument, size: number): Uint8Array {
  if (!(argument instanceof Uint8Array) || argument.length < size) throw new Errno(EFAULT)
  return argument
}

export function value(argument: Argument): number {
  if (argument instanceof Uint8Array) throw new Errno(EFAULT)
  return Number(argument ?? 0)
}

export function decode<F extends Fields>(argument: Argument, layout: Struct<F>): StructValue<Struct<F>> {
  return layout.decode(pointer(argument, layout.size)) as StructValue<Struct<F>>
}

export function encode<F extends Fields>(
  argument: Argument,
  layout: Struct<F>,
  fields: Parameters<Struct<F>['encode']>[0],
): number {
  pointer(argument, layout.size).set(layout.encode(fields))
  return 0
}

/** The elements of a list that the VMM gave. */
export function list<V>(argument: Argument, layout: Flexible<Fields, V, unknown>): V[] {
  const bytes = pointer(argument, layout.size)
  pointer(argument, layout.sizeFor(layout.countIn(bytes)))
  return layout.decode(bytes)
}

/** Fills in a list; `tooLong` is the errno if there is no room, the count needed is put in place all the same. */
export function fill<I>(
  argument: Argument,
  layout: Flexible<Fields, unknown, I>,
  elements: readonly I[],
  tooLong: number,
): number {
  const bytes = pointer(argument, layout.size)
  const room = layout.countIn(bytes)
  if (elements.length > room) {
    layout.setCount(bytes, elements.length)
    return -tooLong
  }
  pointer(argument, layout.sizeFor(elements.length))
  bytes.set(layout.encode(elements))
  return 0
}

export type Handler<T> = (target: T, argument: Argument) => number
export type Handlers<T> = Readonly<Record<number, Handler<T>>>

/** Runs the handler of a request. `unknown`: the errno for a request that is none here. */
export function dispatch<T>(
  kind: Descriptor,
  handlers: Handlers<T>,
  target: T,
  request: number,
  argument: Argument,
  unknown: number,
): number {
  const handler = requestOf(kind, request) === undefined ? undefined : handlers[request]
  if (handler === undefined) return -unknown
  try {
    return handler(target, argument)
  } catch (error) {
    if (error instanceof Errno) return -error.errno
    throw error
  }
}
