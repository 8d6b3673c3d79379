import type { GuestProgress } from '../guest/index.ts'

const BAR = 30
const WORDS = { download: 'downloading', check: 'checking', unpack: 'unpacking' } as const

/** Shows how fetching goes: a bar on a terminal, a few lines elsewhere. */
export class ProgressLine {
  readonly #stream: NodeJS.WriteStream
  #shown = false
  #last = ''

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream
  }

  readonly update = ({ step, name, done, total }: GuestProgress): void => {
    const part = total > 0 ? done / total : 1
    if (this.#stream.isTTY) {
      const bar = '#'.repeat(Math.round(part * BAR)).padEnd(BAR, '.')
      const size = `${(done / 1e6).toFixed(1)} of ${(total / 1e6).toFixed(1)} MB`
      this.#stream.write(
        `\r\x1b[K${WORDS[step].padEnd(11)} [${bar}] ${size}  ${shortName(name)}`.slice(0, this.#stream.columns + 3),
      )
      this.#shown = true
    } else if (step === 'download') {
      const text = `guestmode: downloading ${name}: ${Math.floor(part * 4) * 25}% of ${(total / 1e6).toFixed(1)} MB\n`
      if (text !== this.#last) this.#stream.write(text)
      this.#last = text
    }
  }

  clear(): void {
    if (this.#shown) this.#stream.write('\r\x1b[K')
    this.#shown = false
  }
}

function shortName(name: string): string {
  return name.replace(/^@[^/]+\//, '')
}
