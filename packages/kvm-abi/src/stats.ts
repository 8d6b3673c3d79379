import { field, s16, struct, u16, u32, dataViewOf } from './struct.ts'
import type { KvmStats } from './trace.ts'

/** The start of the file behind KVM_GET_STATS_FD */
export const KVM_STATS_HEADER = struct('kvm_stats_header', 24, {
  flags: field(u32, 0),
  nameSize: field(u32, 4),
  numDesc: field(u32, 8),
  idOffset: field(u32, 12),
  descOffset: field(u32, 16),
  dataOffset: field(u32, 20),
})

/** A counter's description; its name follows, `nameSize` bytes with zeros at the end */
export const KVM_STATS_DESC = struct('kvm_stats_desc', 16, {
  flags: field(u32, 0),
  exponent: field(s16, 4),
  size: field(u16, 6),
  offset: field(u32, 8),
  bucketSize: field(u32, 12),
})

export const KVM_STATS_TYPE_MASK = 0xf
export const KVM_STATS_TYPE_CUMULATIVE = 0
export const KVM_STATS_TYPE_INSTANT = 1
export const KVM_STATS_TYPE_PEAK = 2
export const KVM_STATS_TYPE_LINEAR_HIST = 3
export const KVM_STATS_TYPE_LOG_HIST = 4

const NAME_SIZE = 48

/** The counters of a statistics file. A histogram yields the sum of its buckets. */
export function readStats(file: Uint8Array): KvmStats {
  const data = dataViewOf(file)
  const { nameSize, numDesc, descOffset, dataOffset } = KVM_STATS_HEADER.decode(file)
  const stats: Record<string, number> = {}
  for (let i = 0; i < numDesc; i++) {
    const at = descOffset + i * (KVM_STATS_DESC.size + nameSize)
    const { size, offset } = KVM_STATS_DESC.read(data, at)
    const name = file.subarray(at + KVM_STATS_DESC.size, at + KVM_STATS_DESC.size + nameSize)
    const end = name.indexOf(0)
    let sum = 0n
    for (let k = 0; k < size; k++) sum += data.getBigUint64(dataOffset + offset + k * 8, true)
    stats[String.fromCharCode(...name.subarray(0, end < 0 ? nameSize : end))] = Number(sum)
  }
  return stats
}

/** A statistics file of cumulative counters, for an engine that answers KVM_GET_STATS_FD. */
export function writeStats(id: string, stats: KvmStats): Uint8Array {
  const counters = Object.entries(stats)
  const idOffset = KVM_STATS_HEADER.size
  const descOffset = idOffset + NAME_SIZE
  const descSize = KVM_STATS_DESC.size + NAME_SIZE
  const dataOffset = descOffset + counters.length * descSize
  const file = new Uint8Array(dataOffset + counters.length * 8)
  const data = dataViewOf(file)
  KVM_STATS_HEADER.write(data, 0, { nameSize: NAME_SIZE, numDesc: counters.length, idOffset, descOffset, dataOffset })
  writeName(file, idOffset, id)
  counters.forEach(([name, value], i) => {
    const at = descOffset + i * descSize
    KVM_STATS_DESC.write(data, at, { flags: KVM_STATS_TYPE_CUMULATIVE, size: 1, offset: i * 8 })
    writeName(file, at + KVM_STATS_DESC.size, name)
    data.setBigUint64(dataOffset + i * 8, BigInt(value), true)
  })
  return file
}

function writeName(file: Uint8Array, at: number, name: string): void {
  if (name.length >= NAME_SIZE) throw new RangeError(`${name} is longer than ${NAME_SIZE - 1} characters`)
  for (let i = 0; i < name.length; i++) file[at + i] = name.charCodeAt(i)
}
