import type { MachineSpec, SessionCommand, SessionEvent } from '@guestmode/session'

/** A machine in a worker of its own. */
export class Vm {
  readonly #worker: Worker
  #over = false

  constructor(spec: MachineSpec, onEvent: (event: SessionEvent) => void) {
    this.#worker = new Worker(new URL('./vcpu-worker.ts', import.meta.url), { type: 'module', name: 'vcpu 0' })
    const on = (event: SessionEvent): void => {
      if (this.#over) return
      if (event.type === 'ended' || event.type === 'refused' || event.type === 'failed') this.terminate()
      onEvent(event)
    }
    this.#worker.onmessage = ({ data }: MessageEvent<SessionEvent>) => on(data)
    this.#worker.onerror = ({ message }) =>
      on({ type: 'failed', message: message || 'the worker could not be started', stack: undefined })
    this.#worker.postMessage(spec)
  }

  send(command: SessionCommand): void {
    if (!this.#over) this.#worker.postMessage(command)
  }

  terminate(): void {
    this.#over = true
    this.#worker.terminate()
  }
}
