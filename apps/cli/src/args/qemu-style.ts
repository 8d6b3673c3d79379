import type { Command, Option } from 'commander'

/**
 * qemu writes long options with one dash. Turns `-kernel` into `--kernel`, and leaves alone what is the value of an option. Short
 * options here are one letter and take their value from the next word. `seen` is told of every option as the user wrote it.
 */
export function fromQemuStyle(
  words: readonly string[],
  options: readonly Option[],
  seen: (word: string) => void = () => {},
): string[] {
  const takesValue = new Set(options.filter(({ required }) => required).flatMap(({ short, long }) => [short, long]))
  const out: string[] = []
  for (let i = 0; i < words.length; i++) {
    const word = words[i] ?? ''
    if (word === '--') return [...out, ...words.slice(i)]
    if (word.startsWith('-')) seen(word)
    const option = /^-[^-]./.test(word) ? `-${word}` : word
    out.push(option)
    if (takesValue.has(option) && i + 1 < words.length) out.push(words[++i] ?? '')
  }
  return out
}

/** Help as qemu's users know it: one dash. */
export function qemuHelp(command: Command): Command {
  return command.configureHelp({
    optionTerm: ({ flags }) => toQemuStyle(flags),
    subcommandTerm: (sub) => `${sub.name()} ${sub.usage().replace('[options]', '').trim()}`.trim(),
  })
}

export function toQemuStyle(text: string): string {
  return text.replace(/--([a-z])/g, '-$1')
}
