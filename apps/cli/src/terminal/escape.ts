/** Keys of a terminal that has a guest behind it. */
export type Key = { kind: 'quit' } | { kind: 'help' } | { kind: 'bytes'; bytes: Uint8Array }

const CTRL_A = 0x01

/** Takes the keys that are for us out of what is typed: Ctrl-A and one more. */
export class EscapeKeys {
  #escaped = false

  read(input: Uint8Array): Key[] {
    const keys: Key[] = []
    let start = 0
    const upTo = (end: number): void => {
      if (end > start) keys.push({ kind: 'bytes', bytes: input.slice(start, end) })
      start = end
    }
    for (let at = 0; at < input.length; at++) {
      const byte = input[at] ?? 0
      if (!this.#escaped) {
        if (byte !== CTRL_A) continue
        upTo(at)
        start = at + 1
        this.#escaped = true
        continue
      }
      this.#escaped = false
      start = at + 1
      const letter = String.fromCharCode(byte).toLowerCase()
      if (letter === 'x') keys.push({ kind: 'quit' })
      else if (letter === 'h' || letter === '?') keys.push({ kind: 'help' })
      else if (letter === 'a' || byte === CTRL_A) keys.push({ kind: 'bytes', bytes: Uint8Array.of(CTRL_A) })
      else start = at
    }
    if (!this.#escaped) upTo(input.length)
    return keys
  }
}

export const KEY_HELP = [
  '',
  'Ctrl-A H        this help',
  'Ctrl-A X        quit: ends the machine at once',
  'Ctrl-A Ctrl-A   send Ctrl-A to the guest',
  '',
].join('\r\n')
