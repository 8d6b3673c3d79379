import { Option, type Command } from 'commander'
import { ABSENT } from './refused.ts'

/** What commander makes of the command line of `run`. */
export interface RunWords {
  m?: string
  kernel?: string
  initrd?: string
  append?: string
  nographic?: boolean
  reboot: boolean
  cpu?: string
  smp?: string
  machine?: string
  accel?: string
  icount?: string | true
  rtc?: string
  seed?: string
  device?: string[]
  serial?: string[]
  debugcon?: string
  d?: string[]
  trace?: string[]
  D?: string
  stats?: boolean
  name?: string
  offline?: boolean
  verbose?: boolean
  [absent: string]: unknown
}

const collect = (value: string, before: string[] | undefined): string[] => [...(before ?? []), value]

/** The machine's options, for `run` and, less the kernel's, for `demo`. */
export function addMachineOptions(command: Command): Command {
  command
    .option('-m <size>', 'memory: MiB, or with a unit, as 512M or 2G (default: 256M; the default guest: 512M)')
    .option('--name <name>', 'a name for messages and for ps and top')
    .option('--no-reboot', 'a reset, or a triple fault, ends the machine')
    .option('--nographic', 'accepted: there is no other way yet')
    .option('--serial <backend>', 'COM1, then COM2 to COM4: stdio, none, or file:PATH (default: stdio)', collect)
    .option('--device <device>', 'isa-debug-exit[,iobase=0x501], virtio-console, virtio-rng', collect)
    .option('--debugcon <backend>', 'port 402h: stdio or file:PATH')
    .option('--cpu <model>', 'default; features are taken away with default,-FEATURE')
    .option('--smp <n>', 'processors: 1')
    .addOption(new Option('--machine <type>', 'pc[,virtio=acpi|command-line]: how the guest learns of virtio devices'))
    .option('--accel <engine>', 'guestmode[,mmu=nested|naive]: EPT, or shadow page tables')
    .option('--icount [shift=N]', 'time passes with instructions, 2^N ns each (default: 4), not with the host’s clock')
    .option('--rtc <base>', 'base=utc, or base=2026-01-31T12:00:00: what the clock shows at the start')
    .option('--seed <n>', 'all randomness of the machine comes from this number')
    .option('-d <points>', 'print these trace points of KVM to stderr: exit,pio,...; help lists them', collect)
    .addOption(new Option('--trace <points>', 'the same as -d').argParser(collect))
    .option('-D <file>', 'trace points go to a file')
    .option('--stats', 'print KVM’s counters at the end')
    .option('--verbose', 'say more: what the machine logs, where an error comes from')
  for (const [name] of ABSENT) command.addOption(new Option(`--${name} <type>`).hideHelp())
  return command.addOption(new Option('--nodefaults').hideHelp())
}

export function addKernelOptions(command: Command): Command {
  return command
    .option('--kernel <file>', 'bzImage, ELF vmlinux or multiboot kernel; without it the default guest boots')
    .option('--initrd <file>', 'initramfs; for a multiboot kernel its modules, separated by commas')
    .option('--append <text>', 'the kernel’s command line')
    .option('--offline', 'the default guest from the cache only')
}
