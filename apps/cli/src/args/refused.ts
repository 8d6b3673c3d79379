/** Options of qemu that people try, and what to do instead. */
const REFUSED: Readonly<Record<string, string>> = {
  hda: 'the machine has no disk yet',
  hdb: 'the machine has no disk yet',
  cdrom: 'the machine has no CD drive yet',
  fda: 'the machine has no floppy drive yet',
  drive: 'the machine has no disk yet',
  blockdev: 'the machine has no disk yet',
  boot: 'the machine boots a kernel: give -kernel',
  bios: 'the machine runs without firmware: give -kernel',
  pflash: 'the machine runs without firmware: give -kernel',
  netdev: 'the machine has no network yet',
  vnc: 'the machine has no display: its console is the serial port',
  gdb: 'there is no debugger yet',
  'enable-kvm': 'only this project’s own engine is there: leave it out',
  'no-shutdown': 'a machine that is off has nothing to show yet: leave it out',
  daemonize: 'let the shell put it into the background',
  qmp: 'there is no monitor',
  chardev: 'give -serial what it shall be: stdio, none, or file:PATH',
  S: 'there is no debugger yet',
  s: 'there is no debugger yet',
  snapshot: 'the machine has no disk yet',
  loadvm: 'a machine cannot be saved yet',
  incoming: 'a machine cannot be moved yet',
  k: 'the machine has no keyboard: its console is the serial port',
}

export function refusal(word: string): string | undefined {
  const name = word.replace(/^--?/, '')
  return Object.hasOwn(REFUSED, name) ? REFUSED[name] : undefined
}

/** Options whose only accepted values say that a thing, which this machine has not, shall not be there. */
export const ABSENT: readonly [option: string, accepted: readonly string[], why: string][] = [
  ['display', ['none'], 'the machine has no display: only -display none'],
  ['vga', ['none'], 'the machine has no display: only -vga none'],
  ['monitor', ['none', 'null'], 'there is no monitor: only -monitor none'],
  ['net', ['none'], 'the machine has no network yet: only -net none'],
  ['nic', ['none'], 'the machine has no network yet: only -nic none'],
]
