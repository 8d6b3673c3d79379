/** The page's elements, by what they are for. */
function element<T extends HTMLElement>(id: string, type: { new (): T; prototype: T }): T {
  const found = document.getElementById(id)
  if (!(found instanceof type)) throw new Error(`the page has no #${id}`)
  return found
}

export type State = 'off' | 'loads' | 'runs' | 'ended' | 'failed'

export class View {
  readonly terminal = element('terminal', HTMLDivElement)
  readonly guest = element('guest', HTMLSelectElement)
  readonly start = element('start', HTMLButtonElement)
  readonly stop = element('stop', HTMLButtonElement)
  readonly reset = element('reset', HTMLButtonElement)
  readonly #notice = element('notice', HTMLDivElement)
  readonly #noticeText = element('notice-text', HTMLParagraphElement)
  readonly #progress = element('progress', HTMLProgressElement)
  readonly #state = element('state', HTMLSpanElement)
  readonly #status = ['uptime', 'mips', 'exits', 'memory'].map((id) => element(id, HTMLSpanElement))

  setState(state: State): void {
    this.#state.dataset['state'] = state
    this.#state.textContent = state
    const busy = state === 'loads' || state === 'runs'
    this.start.disabled = busy || this.guest.options.length === 0
    this.guest.disabled = busy
    this.stop.disabled = !busy
    this.reset.disabled = state !== 'runs'
  }

  /** `part`: how much of something is done. */
  notice(text: string, options: { error?: boolean; part?: number } = {}): void {
    this.#notice.hidden = false
    this.#notice.classList.toggle('error', options.error === true)
    this.#noticeText.textContent = text
    this.#progress.hidden = options.part === undefined
    if (options.part !== undefined) this.#progress.value = options.part
  }

  clearNotice(): void {
    this.#notice.hidden = true
  }

  status(...texts: readonly string[]): void {
    this.#status.forEach((span, i) => (span.textContent = texts[i] ?? ''))
  }
}
