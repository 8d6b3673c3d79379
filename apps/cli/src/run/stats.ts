import type { SessionStats } from '@guestmode/session'

/** KVM's counters, those that counted anything. */
export function formatStats({ time, vm, vcpu }: SessionStats): string {
  const seconds = Number(time) / 1e9
  const rows = Object.entries({ ...vm, ...vcpu }).filter(([, value]) => value !== 0)
  const width = Math.max(0, ...rows.map(([name]) => name.length))
  const lines = rows.map(([name, value]) => {
    const rate = seconds > 0 ? `  ${Math.round(value / seconds).toLocaleString('en')}/s` : ''
    return `  ${name.padEnd(width)}  ${value.toLocaleString('en').padStart(16)}${rate}`
  })
  return [`KVM counters after ${seconds.toFixed(1)} s:`, ...lines, ''].join('\n')
}
