import { E2BIG, KvmError } from '../errno.ts'
import type { Flexible } from '../flexible.ts'
import type { KvmFd } from '../floor.ts'
import { KVM_MSRS } from '../msr.ts'
import type { KvmMsrEntry } from '../msr.ts'
import { requestName } from '../request-table.ts'
import type { Fields, Struct, StructInput, StructValue } from '../struct.ts'

/** The request's result, or KvmError. */
export function call(fd: KvmFd, request: number, argument?: number | bigint | Uint8Array): number {
  const result = argument === undefined ? fd.ioctl(request) : fd.ioctl(request, argument)
  if (result < 0) throw new KvmError(-result, requestName(request))
  return result
}

export function getStruct<F extends Fields>(
  fd: KvmFd,
  request: number,
  layout: Struct<F>,
  input?: StructInput<Struct<F>>,
): StructValue<Struct<F>> {
  const buffer = input === undefined ? layout.allocate() : layout.encode(input)
  call(fd, request, buffer)
  return layout.decode(buffer)
}

export function setStruct<F extends Fields>(
  fd: KvmFd,
  request: number,
  layout: Struct<F>,
  input: StructInput<Struct<F>>,
): number {
  return call(fd, request, layout.encode(input))
}

/** Lists whose length only the engine knows: it answers E2BIG while the buffer is too small. */
export function getList<V>(fd: KvmFd, request: number, layout: Flexible<Fields, V, unknown>): V[] {
  for (let room = 64; ; room *= 2) {
    const buffer = layout.allocate(room)
    const result = fd.ioctl(request, buffer)
    if (result >= 0) return layout.decode(buffer)
    if (result !== -E2BIG || room >= 0x10000) throw new KvmError(-result, requestName(request))
  }
}

/** KVM_GET_MSRS returns how many it read before one failed. */
export function getMsrs(fd: KvmFd, request: number, indices: readonly number[]): KvmMsrEntry[] {
  const buffer = KVM_MSRS.encode(indices.map((index) => ({ index })))
  const read = call(fd, request, buffer)
  return KVM_MSRS.decode(buffer).slice(0, read)
}
