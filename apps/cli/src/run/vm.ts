import { Worker } from 'node:worker_threads'
import type { MachineSpec, SessionCommand, SessionEvent } from '@guestmode/session'

/** A machine in a thread of its own. */
export interface Vm {
  send(command: SessionCommand): void
  /** Without regard to what it is doing. */
  terminate(): void
}

export type StartVm = (spec: MachineSpec, onEvent: (event: SessionEvent) => void) => Vm

export const startVmThread: StartVm = (spec, onEvent) => {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
  const worker = new Worker(new URL(`./vcpu-thread.${extension}`, import.meta.url), { name: 'vcpu 0' })
  let over = false
  const end = (event: SessionEvent): void => {
    if (over) return
    over = ['ended', 'refused', 'failed'].includes(event.type)
    onEvent(event)
    if (over) void worker.terminate()
  }
  worker.on('message', end)
  worker.on('error', (error: unknown) => end(failed(error)))
  worker.on('messageerror', (error: unknown) => end(failed(error)))
  worker.on('exit', () => end({ type: 'failed', message: 'the machine’s thread ended by itself', stack: undefined }))
  worker.postMessage(spec, transferable(spec))
  return {
    send: (command) => {
      if (!over) worker.postMessage(command)
    },
    terminate: () => void worker.terminate(),
  }
}

function failed(error: unknown): SessionEvent {
  const { message, stack } = error instanceof Error ? error : { message: String(error), stack: undefined }
  return { type: 'failed', message, stack }
}

/** Kernel and initrd change hands without a copy. */
function transferable({ boot }: MachineSpec): ArrayBuffer[] {
  const parts = [boot.image]
  if ('initrd' in boot && boot.initrd) parts.push(boot.initrd)
  if (boot.kind === 'multiboot') parts.push(...(boot.modules ?? []).map(({ image }) => image))
  const whole = parts.filter(({ buffer, byteLength }) => buffer instanceof ArrayBuffer && buffer.byteLength === byteLength)
  return [...new Set(whole.map(({ buffer }) => buffer as ArrayBuffer))]
}
