import type { BootConfig } from '@guestmode/devmodel'
import type { MachineSpec, SessionEvent } from '@guestmode/session'
import { fetchGuest, fetchManifest } from './guest/fetch.ts'
import type { GuestEntry } from './guest/manifest.ts'
import { Console } from './page/console.ts'
import { endingOf } from './page/ending.ts'
import { Rates, formatUptime } from './page/status.ts'
import { View } from './page/view.ts'
import { Vm } from './vm/vm.ts'

const CHANNEL = 0

class Page {
  readonly #view = new View()
  readonly #rates = new Rates()
  readonly #console: Console
  readonly #guests = new Map<string, GuestEntry>()
  /** What has been fetched, for the next start. */
  readonly #fetched = new Map<string, BootConfig>()
  #vm: Vm | undefined
  /** Changes when what is being loaded or run no longer is. */
  #generation = 0

  constructor() {
    const view = this.#view
    this.#console = new Console(view.terminal, {
      input: (bytes) => this.#vm?.send({ type: 'input', channel: CHANNEL, bytes }),
      resize: (size) => this.#vm?.send({ type: 'resize', channel: CHANNEL, size }),
    })
    view.start.onclick = () => void this.#start()
    view.stop.onclick = () => this.#stop()
    view.reset.onclick = () => {
      this.#vm?.send({ type: 'reset' })
      this.#console.focus()
    }
    view.setState('off')
  }

  async open(): Promise<void> {
    const view = this.#view
    try {
      const { guests, missing } = await fetchManifest()
      for (const guest of guests) {
        this.#guests.set(guest.name, guest)
        view.guest.add(new Option(guest.title, guest.name))
      }
      const wanted = new URLSearchParams(location.search).get('guest')
      if (wanted !== null && this.#guests.has(wanted)) view.guest.value = wanted
      view.setState('off')
      const explanation = missing.map(({ title, reason }) => `${title} is not there: ${reason}`).join(' ')
      await this.#start(explanation)
    } catch (error) {
      this.#fail(error)
    }
  }

  async #start(explanation = ''): Promise<void> {
    const view = this.#view
    const entry = this.#guests.get(view.guest.value)
    if (!entry) return
    const generation = ++this.#generation
    this.#console.clear()
    this.#rates.reset()
    view.status()
    view.setState('loads')
    try {
      const boot =
        this.#fetched.get(entry.name) ??
        (await fetchGuest(entry, (part) => {
          if (generation === this.#generation) view.notice(`Fetching ${entry.title}`, { part })
        }))
      if (generation !== this.#generation) return
      this.#fetched.set(entry.name, boot)
      if (explanation) view.notice(`${explanation} This is ${entry.title}.`)
      else view.clearNotice()
      this.#vm = new Vm(this.#spec(entry, boot), (event) => this.#on(entry, event))
      this.#console.focus()
    } catch (error) {
      if (generation === this.#generation) this.#fail(error)
    }
  }

  #spec(entry: GuestEntry, boot: BootConfig): MachineSpec {
    const channel = { channel: CHANNEL, size: this.#console.size }
    const base = { memory: entry.memory, boot, noReboot: entry.resetIsEnd, statsInterval: 1000 }
    return entry.console === 'serial'
      ? { ...base, serial: [channel] }
      : { ...base, virtio: [{ kind: 'console', ...channel }], announceVirtio: 'command-line' }
  }

  #on(entry: GuestEntry, event: SessionEvent): void {
    const view = this.#view
    switch (event.type) {
      case 'started':
        view.setState('runs')
        break
      case 'output':
        this.#console.write(event.bytes, () => this.#vm?.send({ type: 'drained', amount: event.bytes.length }))
        break
      case 'stats': {
        const { exits, mips } = this.#rates.next(event.stats)
        view.status(
          formatUptime(event.stats.time),
          mips === undefined ? '' : `${mips.toFixed(1)} MIPS`,
          `${Math.round(exits).toLocaleString('en')} exits/s`,
          `${entry.memory / 2 ** 20} MiB`,
        )
        break
      }
      case 'log':
        console.info(event.message)
        break
      case 'reset':
        this.#console.clear()
        if (event.end.kind === 'triple-fault') view.notice('Triple fault: the machine was reset.')
        break
      case 'ended': {
        const { text, bad } = endingOf(event.end, entry.resetIsEnd)
        this.#vm = undefined
        view.setState(bad ? 'failed' : 'ended')
        view.notice(text, { error: bad })
        break
      }
      case 'refused':
      case 'failed':
        if (event.type === 'failed' && event.stack !== undefined) console.error(event.stack)
        this.#fail(new Error(event.message))
        break
      case 'taken':
      case 'trace':
    }
  }

  #stop(): void {
    this.#generation++
    if (this.#vm) this.#vm.send({ type: 'stop' })
    else {
      this.#view.setState('off')
      this.#view.clearNotice()
    }
  }

  #fail(error: unknown): void {
    this.#vm = undefined
    this.#view.setState('failed')
    this.#view.notice(error instanceof Error ? error.message : String(error), { error: true })
  }
}

await new Page().open()
