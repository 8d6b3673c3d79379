import { FitAddon } from '@xterm/addon-fit'
import { Terminal } from '@xterm/xterm'
import type { ScreenSize } from '@guestmode/session'

export interface ConsoleHandlers {
  input(bytes: Uint8Array): void
  resize(size: ScreenSize): void
}

/** The guest's console: a terminal as wide as the page. */
export class Console {
  readonly #terminal: Terminal
  readonly #encoder = new TextEncoder()

  constructor(parent: HTMLElement, handlers: ConsoleHandlers) {
    const terminal = new Terminal({
      fontFamily: 'ui-monospace, "Cascadia Mono", "DejaVu Sans Mono", Menlo, Consolas, monospace',
      fontSize: 15,
      scrollback: 5000,
      cursorBlink: true,
      theme: { background: '#14171c', foreground: '#d7dde5', cursor: '#6cb6ff', selectionBackground: '#34506e' },
    })
    const fit = new FitAddon()
    terminal.loadAddon(fit)
    terminal.open(parent)
    fit.fit()
    new ResizeObserver(() => fit.fit()).observe(parent)
    terminal.onData((text) => handlers.input(this.#encoder.encode(text)))
    terminal.onBinary((text) => handlers.input(Uint8Array.from(text, (character) => character.charCodeAt(0))))
    terminal.onResize(({ cols, rows }) => handlers.resize({ columns: cols, rows }))
    this.#terminal = terminal
  }

  get size(): ScreenSize {
    return { columns: this.#terminal.cols, rows: this.#terminal.rows }
  }

  write(bytes: Uint8Array, done: () => void): void {
    this.#terminal.write(bytes, done)
  }

  clear(): void {
    this.#terminal.reset()
  }

  focus(): void {
    this.#terminal.focus()
  }
}
