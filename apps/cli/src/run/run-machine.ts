/** Runs one machine, with the process's streams and signals behind its devices. */
import type { BootConfig } from '@guestmode/devmodel'
import { TRACE_EVENT_WEIGHT, type SessionEvent } from '@guestmode/session'
import { CliError } from '../errors.ts'
import { EXIT } from '../exit-status.ts'
import type { Streams } from '../streams.ts'
import { KEY_HELP } from '../terminal/escape.ts'
import { Terminal } from '../terminal/terminal.ts'
import { formatTraceEvent } from '../trace/format.ts'
import { endingOf, formatFacts } from './ending.ts'
import { Input } from './input.ts'
import { openOutputs, toFile, type Output } from './output.ts'
import type { Plan } from './plan.ts'
import { formatStats } from './stats.ts'
import type { StartVm, Vm } from './vm.ts'

/** How long a machine that was told to stop may take. */
const STOP_MS = 2000
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

export interface Outcome {
  status: number
  /** The machine was ended by this signal: the process shall end by it too. */
  signal?: NodeJS.Signals
}

export interface MachineRun {
  plan: Plan
  boot: BootConfig
  /** The guest ends by a reset, having no power-off. */
  resetIsEnd: boolean
  streams: Streams
  startVm: StartVm
}

export function runMachine(run: MachineRun): Promise<Outcome> {
  return new Runner(run).outcome
}

class Runner {
  readonly outcome: Promise<Outcome>
  readonly #run: MachineRun
  readonly #outputs: Output[]
  readonly #trace: Output | undefined
  readonly #input: Input | undefined
  readonly #terminal: Terminal | undefined
  readonly #stdio: number
  readonly #vm: Vm
  #resolve!: (outcome: Outcome) => void
  #reject!: (error: unknown) => void
  #signal: NodeJS.Signals | undefined
  #quietly = false
  #deadline: NodeJS.Timeout | undefined

  constructor(run: MachineRun) {
    this.#run = run
    const { plan, boot, streams } = run
    const { stdin, stdout } = streams
    this.outcome = new Promise<Outcome>((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    this.#outputs = openOutputs(plan.backends, stdout)
    this.#trace = plan.traceFile === undefined ? undefined : toFile('-D', plan.traceFile)
    this.#stdio = plan.backends.findIndex(({ kind }) => kind === 'stdio')
    process.title = `guestmode ${plan.name}`
    if (this.#stdio >= 0 && stdin.isTTY) this.#terminal = new Terminal(streams)
    this.#vm = run.startVm({ ...plan.spec, boot }, (event) => this.#guarded(() => this.#on(event)))
    if (this.#stdio >= 0) {
      this.#input = new Input(stdin, {
        bytes: (bytes) => this.#vm.send({ type: 'input', channel: this.#stdio, bytes }),
        quit: () => this.#stop(),
        help: () => void stdout.write(KEY_HELP),
      })
    }
    for (const signal of SIGNALS) process.on(signal, this.#onSignal)
    stdout.on('resize', this.#onResize)
    stdout.on('error', this.#onStdoutError)
    streams.stderr.on('error', () => {})
    this.#terminal?.enter()
  }

  #on(event: SessionEvent): void {
    switch (event.type) {
      case 'started':
        break
      case 'output':
        this.#outputs[event.channel]?.write(event.bytes, () => this.#vm.send({ type: 'drained', amount: event.bytes.length }))
        break
      case 'taken':
        if (event.channel === this.#stdio) this.#input?.taken(event.count)
        break
      case 'log':
        if (this.#run.plan.verbose) this.#say(event.message)
        break
      case 'trace':
        this.#writeTrace(event.events.map((each) => `${formatTraceEvent(each)}\n`).join(''), event.events.length)
        break
      case 'stats':
        break
      case 'reset':
        if (event.end.kind === 'triple-fault') this.#say('triple fault: the machine is reset')
        break
      case 'ended': {
        const { status, message, facts } = endingOf(event.end, this.#run.resetIsEnd)
        this.#finish({ status })
        if (this.#run.plan.stats) this.#write(formatStats(event.stats))
        if (message !== undefined && !this.#quietly && this.#signal === undefined) this.#say(message)
        if (facts && Object.keys(facts).length) this.#write(`${formatFacts(facts)}\n`)
        break
      }
      case 'refused':
        throw new CliError(event.message)
      case 'failed': {
        const error = new CliError(`guestmode failed: ${event.message}`, EXIT.failure)
        if (event.stack !== undefined) error.stack = event.stack
        throw error
      }
    }
  }

  #writeTrace(text: string, count: number): void {
    const drained = (): void => this.#vm.send({ type: 'drained', amount: count * TRACE_EVENT_WEIGHT })
    if (this.#trace) this.#trace.write(Buffer.from(text), drained)
    else this.#run.streams.stderr.write(this.#lines(text), drained)
  }

  /** A line about the machine. */
  #say(message: string): void {
    this.#write(`guestmode: ${message}\n`)
  }

  #write(text: string): void {
    this.#run.streams.stderr.write(this.#lines(text))
  }

  /** In raw mode a line feed alone does not return the carriage. */
  #lines(text: string): string {
    return this.#terminal ? text.replaceAll('\n', '\r\n') : text
  }

  #stop(): void {
    this.#vm.send({ type: 'stop' })
    this.#deadline ??= setTimeout(() => {
      this.#vm.terminate()
      this.#finish({ status: EXIT.failure })
      this.#say('the engine did not stop when it was told to; its thread was ended')
    }, STOP_MS)
  }

  readonly #onSignal = (signal: NodeJS.Signals): void => {
    this.#signal = signal
    this.#stop()
  }

  readonly #onResize = (): void => {
    const { columns, rows } = this.#run.streams.stdout
    if (this.#stdio >= 0) this.#vm.send({ type: 'resize', channel: this.#stdio, size: { columns, rows } })
  }

  /** Whoever read our output has gone: there is nobody left to run for. */
  readonly #onStdoutError = (error: NodeJS.ErrnoException): void => {
    if (error.code !== 'EPIPE' && error.code !== 'EIO') this.#say(`the output cannot be written: ${error.message}`)
    this.#quietly = true
    this.#stop()
  }

  #guarded(body: () => void): void {
    try {
      body()
    } catch (error) {
      this.#vm?.terminate()
      this.#close()
      this.#reject(error)
    }
  }

  #finish(outcome: Outcome): void {
    this.#close()
    this.#resolve(this.#signal === undefined ? outcome : { ...outcome, signal: this.#signal })
  }

  #close(): void {
    clearTimeout(this.#deadline)
    for (const signal of SIGNALS) process.off(signal, this.#onSignal)
    this.#run.streams.stdout.off('resize', this.#onResize)
    this.#input?.close()
    const wrote = this.#terminal !== undefined
    this.#terminal?.restore()
    if (wrote) this.#run.streams.stderr.write('\n')
    for (const output of [...this.#outputs, this.#trace]) output?.close()
  }
}
