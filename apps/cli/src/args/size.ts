import { CliError } from '../errors.ts'

const UNITS: Record<string, number> = { B: 0, K: 10, M: 20, G: 30, T: 40 }

/** As qemu's -m: a number of MiB, or with a unit; `size=` may stand before it. Rounded up to whole pages. */
export function parseMemorySize(text: string): number {
  const match = /^(?:size=)?(\d+(?:\.\d+)?)([BKMGT]?)(?:i?B)?$/i.exec(text.trim())
  if (!match) throw new CliError(`-m ${text}: give a number of MiB, or a size such as 512M or 2G`)
  const bytes = Number(match[1]) * 2 ** (UNITS[(match[2] || 'M').toUpperCase()] ?? 20)
  return Math.ceil(bytes / 4096) * 4096
}

/** Bytes for people. */
export function formatSize(bytes: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB']
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit++
  }
  return `${unit === 0 || Number.isInteger(value) ? value : value.toFixed(1)} ${units[unit]}`
}
