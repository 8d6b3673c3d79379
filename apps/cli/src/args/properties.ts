import { CliError } from '../errors.ts'

/** `name,key=value,flag=on` as qemu writes it; `,,` is a comma within a value. */
export function parseProperties(
  option: string,
  text: string,
  known: readonly string[],
): { name: string; values: Map<string, string> } {
  const [name = '', ...rest] = text.split(/,(?!,)(?<!,,)/).map((part) => part.replaceAll(',,', ','))
  const values = new Map<string, string>()
  for (const part of rest) {
    const at = part.indexOf('=')
    const key = at < 0 ? part : part.slice(0, at)
    if (!known.includes(key)) {
      const choice = known.length ? `it has ${known.join(', ')}` : 'it has none'
      throw new CliError(`${option} ${text}: ${name} has no property '${key}': ${choice}`)
    }
    values.set(key, at < 0 ? 'on' : part.slice(at + 1))
  }
  return { name, values }
}

/** A number in decimal, or hexadecimal with 0x. */
export function parseNumber(option: string, text: string, range: readonly [number, number]): number {
  const value = /^(0x[0-9a-f]+|\d+)$/i.test(text) ? Number(text) : NaN
  if (!(value >= range[0] && value <= range[1])) {
    throw new CliError(`${option}: '${text}' is not a number from ${range[0]} to ${range[1]}`)
  }
  return value
}
