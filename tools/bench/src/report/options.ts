import { writeFileSync } from 'node:fs'
import { parseArgs, type ParseArgsConfig } from 'node:util'

/** A command line that is wrong; the message says what to change. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

type Options = NonNullable<ParseArgsConfig['options']>

/** Parses the options of a subcommand; undefined when help was asked for and has been printed. */
export function parseOptions(
  args: readonly string[],
  help: string,
  options: Options,
): Record<string, string | boolean | undefined> | undefined {
  let values: Record<string, unknown>
  try {
    ;({ values } = parseArgs({
      args: [...args],
      options: { ...options, help: { type: 'boolean', short: 'h' }, json: { type: 'string' } },
    }))
  } catch (error) {
    throw new UsageError(`${(error as Error).message}\n\n${help}`)
  }
  if (values['help']) {
    console.log(help)
    return undefined
  }
  return values as Record<string, string | boolean | undefined>
}

export function positiveInteger(text: string | boolean | undefined, name: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value <= 0) throw new UsageError(`--${name} takes a positive whole number, not '${text}'`)
  return value
}

export function writeJson(path: string | boolean | undefined, value: unknown): void {
  if (typeof path === 'string') writeFileSync(path, `${JSON.stringify(value, null, 2)}\n`)
}

/** What the figures were measured with. */
export const environment = (): { node: string; v8: string; platform: string } => ({
  node: process.version,
  v8: process.versions.v8,
  platform: `${process.platform}-${process.arch}`,
})
