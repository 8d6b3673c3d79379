import type { BootConfig } from '@guestmode/devmodel'
import type { RunWords } from '../args/run-options.ts'
import { CliError } from '../errors.ts'
import { getDemoGuest } from '../demo/index.ts'
import { defaultCacheDirectory, getDefaultGuest } from '../guest/index.ts'
import { explainGuestError, fetching, isOutOfReach } from '../guests/fetch.ts'
import type { Streams } from '../streams.ts'
import { ownCopy, readKernel } from './kernel.ts'
import { planMachine, type PlanDefaults } from './plan.ts'
import { runMachine, type Outcome } from './run-machine.ts'
import type { StartVm } from './vm.ts'

export interface RunPlace {
  streams: Streams
  startVm: StartVm
}

const MIB = 2 ** 20

/** `guestmode run`, with a kernel of the user's or without: then the default guest, or without a network the built-in one. */
export async function runCommand(words: RunWords, place: RunPlace): Promise<Outcome> {
  if (words.kernel !== undefined) {
    const plan = planMachine(words, { ...common(place), name: nameOf(words.kernel), memory: 256 * MIB, console: 'serial' })
    const boot = readKernel({ kernel: words.kernel, initrd: words.initrd, append: words.append })
    return runMachine({ plan, boot, resetIsEnd: false, ...place })
  }
  if (words.initrd !== undefined) throw new CliError('-initrd goes with -kernel: give both')
  if (words.append !== undefined) throw new CliError('-append goes with -kernel: give both')
  // What is wrong with the command line is said before the download.
  const plan = planMachine(words, { ...common(place), name: 'default', memory: 512 * MIB, console: 'virtio' })
  const { stderr } = place.streams
  let boot: BootConfig
  try {
    boot = await defaultBoot(place.streams, words.offline === true)
  } catch (error) {
    if (!isOutOfReach(error)) throw explainGuestError(error)
    stderr.write(`guestmode: ${error.message}\nguestmode: Starting the built-in demonstration guest instead.\n`)
    return demoCommand(words, place)
  }
  // The kernel has no ACPI: it learns of the devices from its command line.
  const spec = { ...plan.spec, announceVirtio: plan.spec.announceVirtio ?? 'command-line', noReboot: true } as const
  hint(place.streams, 'Linux boots; this takes a moment.')
  return runMachine({ plan: { ...plan, spec }, boot, resetIsEnd: true, ...place })
}

/** `guestmode demo` */
export async function demoCommand(words: RunWords, place: RunPlace): Promise<Outcome> {
  const plan = planMachine(words, { ...common(place), name: 'demo', memory: 64 * MIB, console: 'serial' })
  const boot: BootConfig = { kind: 'multiboot', image: ownCopy(getDemoGuest().kernel), commandLine: words.append ?? '' }
  hint(place.streams, 'the demonstration guest; it knows help.')
  return runMachine({ plan, boot, resetIsEnd: false, ...place })
}

async function defaultBoot(streams: Streams, offline: boolean): Promise<BootConfig> {
  const cacheDir = defaultCacheDirectory(streams.env)
  const { kernel, initrd, cmdline } = await fetching(streams, offline, (ways) => getDefaultGuest({ cacheDir, ...ways }))
  return {
    kind: 'raw',
    image: ownCopy(kernel.image),
    loadAddress: kernel.loadAddress,
    entry: kernel.entry64,
    // The machine itself tells the guest where its devices are.
    commandLine: cmdline.replaceAll(/\s*virtio_mmio\.device=\S+/g, ''),
    initrd: ownCopy(initrd),
  }
}

function common({ streams: { stdout } }: RunPlace): Pick<PlanDefaults, 'screen'> {
  return { screen: stdout.isTTY ? { columns: stdout.columns, rows: stdout.rows } : undefined }
}

/** For a person at a terminal. */
function hint({ stdin, stderr }: Streams, text: string): void {
  if (stdin.isTTY && stderr.isTTY) stderr.write(`guestmode: ${text} Ctrl-A X quits, Ctrl-A H helps.\n`)
}

function nameOf(path: string): string {
  return path.split(/[\\/]/).at(-1) ?? path
}
