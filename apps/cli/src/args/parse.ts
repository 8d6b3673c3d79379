import { Command, CommanderError } from 'commander'
import { CliError } from '../errors.ts'
import { EXIT_HELP } from '../exit-status.ts'
import { fromQemuStyle, qemuHelp, toQemuStyle } from './qemu-style.ts'
import { refusal } from './refused.ts'
import { addKernelOptions, addMachineOptions, type RunWords } from './run-options.ts'

/** What the user wants. */
export type Request =
  | { kind: 'run'; words: RunWords }
  | { kind: 'demo'; words: RunWords }
  | { kind: 'guests'; action: 'list' | 'get' | 'clean'; offline: boolean; names: string[] }
  /** Help or version: text for stdout. */
  | { kind: 'print'; text: string }

const EXAMPLES = `
Examples:
  guestmode                                   Linux 6.12 with Nushell, fetched once (67 MB), then from the cache
  guestmode demo                              a small system of our own that shows the processor's modes; no download
  guestmode -m 512M -kernel vmlinuz -initrd initrd.img -append "console=ttyS0"
                                              your kernel, its console in this terminal
  guestmode -kernel vmlinuz -append "console=ttyS0 panic=-1" -no-reboot < /dev/null > boot.log
                                              in a script: the exit status tells how the machine ended
  guestmode -kernel vmlinuz -d exit,pio -D trace.txt
                                              what KVM does, under the names of Linux's trace points
  guestmode guests get                        fetch the default guest now, to be offline later

In the terminal, Ctrl-A X quits and Ctrl-A H shows the other keys. Options are qemu's, with one dash or two; all of
them: guestmode run --help
`

const KEYS = `
Keys, when a device of the machine is on this terminal:
  Ctrl-A X   quit       Ctrl-A Ctrl-A   send Ctrl-A to the guest
  Ctrl-A H   help       every other key, Ctrl-C too, goes to the guest
`

export function parseArguments(words: readonly string[], version: string): Request {
  let request: Request | undefined
  let printed = ''
  const program = qemuHelp(new Command('guestmode'))
    .description('Runs virtual machines: KVM, the processor under it and the PC around it, in TypeScript.')
    .usage('[command] [options]')
    .version(version, '--version', 'print the version')
    .helpOption('-h, --help', 'show this help')
    .helpCommand(false)
    .enablePositionalOptions()
  const sub = (name: string): Command => qemuHelp(program.command(name)).helpOption('-h, --help', 'show this help')

  const run = addMachineOptions(addKernelOptions(sub('run')))
    .description('run a machine; what is done when no command is named')
    .action((values: RunWords) => void (request = { kind: 'run', words: values }))
  const demo = addMachineOptions(sub('demo'))
    .description('run the built-in demonstration guest')
    .option('--append <text>', 'its command line: run:COMMAND;COMMAND types commands first')
    .action((values: RunWords) => void (request = { kind: 'demo', words: values }))
  for (const command of [run, demo]) command.addHelpText('after', `${KEYS}\n${EXIT_HELP}`)
  sub('guests')
    .description('list (list), fetch (get) or delete (clean) what is in the cache')
    .argument('[action]', 'list, get or clean', 'list')
    .argument('[names...]', 'guests; without any, the default one')
    .option('--offline', 'look into the cache only')
    .action((action: string, names: string[], values: { offline?: boolean }) => {
      if (action !== 'list' && action !== 'get' && action !== 'clean')
        throw new CliError(`guests: '${action}' is none of list, get, clean`)
      request = { kind: 'guests', action, names, offline: values.offline === true }
    })
  program.addHelpText('after', `${EXAMPLES}\n${EXIT_HELP}`)

  for (const command of [program, ...program.commands]) {
    command.exitOverride().configureOutput({ writeOut: (text) => void (printed += text), writeErr: () => {} })
  }
  const named = program.commands.find((known) => known.name() === words[0])
  const forProgram = named !== undefined || ['-h', '--help', '-help', '--version', '-version'].includes(words[0] ?? '')
  try {
    program.parse(fromQemuStyle(forProgram ? words : ['run', ...words], (named ?? run).options, refuse), { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    if (error.exitCode === 0) return { kind: 'print', text: printed }
    throw new CliError(explain(error))
  }
  if (!request) throw new Error('commander called no action')
  return request
}

function refuse(word: string): void {
  const why = refusal(word)
  if (why !== undefined) throw new CliError(`${word}: ${why}`)
}

/** commander's message on one line. */
function explain(error: CommanderError): string {
  const text = error.message.replace(/^error: /, '').replaceAll(/\s*\n\s*/g, ' ')
  if (error.code === 'commander.excessArguments') {
    return 'unknown command, or a word too many; guestmode --help shows how it is used'
  }
  const hint =
    error.code === 'commander.unknownOption' && !text.includes('Did you mean') ? '; guestmode run --help lists them' : ''
  return toQemuStyle(text) + hint
}
