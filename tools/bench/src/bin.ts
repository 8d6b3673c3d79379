import { UsageError } from './report/options.ts'

const help = `Compares engines in one run.

  bin.ts spike      one source of semantics: generated handlers against hand-written ones, and the first sketch of the compiler
  bin.ts boot       boot times and MIPS against v86 with its JIT off
  bin.ts hotloops   loops of a few instructions, here and on v86
  bin.ts checksums  the guest benchmark's checksums, in guests and natively

Each has --help, prints a table, and writes JSON with --json FILE.`

const commands: Readonly<Record<string, () => Promise<(args: readonly string[]) => Promise<number>>>> = {
  spike: async () => (await import('./spike/spike.ts')).spike,
  boot: async () => (await import('./boot.ts')).boot,
  hotloops: async () => (await import('./hotloops.ts')).hotloops,
  checksums: async () => (await import('./checksums.ts')).checksums,
}

async function main([name, ...rest]: readonly string[]): Promise<number> {
  const command = name === undefined ? undefined : commands[name]
  if (!command) {
    const asked = name === '--help' || name === 'help'
    ;(asked ? process.stdout : process.stderr).write(`${help}\n`)
    return asked ? 0 : 2
  }
  try {
    return await (
      await command()
    )(rest)
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    process.stderr.write(`${error.message}\n`)
    return 2
  }
}

process.exitCode = await main(process.argv.slice(2))
