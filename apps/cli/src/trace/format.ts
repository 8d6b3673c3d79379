import { exitName, type KvmTraceEvent } from '@guestmode/kvm-abi'
import { ExitReason } from '@guestmode/x86'

const VMX_EXITS: ReadonlyMap<number, string> = new Map(
  Object.entries(ExitReason).flatMap(([name, value]) => (typeof value === 'number' ? [[value, name] as const] : [])),
)

/** Fields that people read in decimal. */
const DECIMAL = new Set(['vcpuId', 'size', 'count', 'len', 'level', 'errno', 'ns', 'pin', 'chip', 'gsi', 'irqchip', 'apicid'])

/** A line of a trace, in the order and with the words of Linux's: `kvm_pio: rw=write port=0x3f8 size=1 count=1 val=0x41` */
export function formatTraceEvent(event: KvmTraceEvent): string {
  const fields = Object.entries(event).filter(([name]) => name !== 'name')
  return `${event.name}: ${fields.map(([name, value]) => `${name}=${formatField(event, name, value)}`).join(' ')}`
}

function formatField(event: KvmTraceEvent, name: string, value: unknown): string {
  if (event.name === 'kvm_exit' && name === 'exitReason') return VMX_EXITS.get(event.exitReason & 0xffff) ?? String(value)
  if (event.name === 'kvm_userspace_exit' && name === 'reason') return exitName(event.reason)
  if (value instanceof Uint8Array) return [...value].map((byte) => byte.toString(16).padStart(2, '0')).join('')
  if (typeof value === 'bigint') return DECIMAL.has(name) ? String(value) : `0x${value.toString(16)}`
  if (typeof value === 'number') return DECIMAL.has(name) ? String(value) : `0x${(value < 0 ? value >>> 0 : value).toString(16)}`
  return String(value)
}
