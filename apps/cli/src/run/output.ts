import { closeSync, openSync, writeSync } from 'node:fs'
import { fileError } from '../errors.ts'
import type { Backend } from './plan.ts'

/** Where the guest's output on a channel goes. `done` is called when the bytes have left. */
export interface Output {
  write(bytes: Uint8Array, done: () => void): void
  close(): void
}

/** Opens what the channels lead to; files at once, so that a bad path is an error before the machine starts. */
export function openOutputs(backends: readonly Backend[], stdout: NodeJS.WriteStream): Output[] {
  return backends.map((backend) => (backend.kind === 'stdio' ? toStream(stdout) : toFile('-serial', backend.path)))
}

function toStream(stream: NodeJS.WriteStream): Output {
  return { write: (bytes, done) => void stream.write(bytes, () => done()), close: () => {} }
}

export function toFile(option: string, path: string): Output {
  let file: number
  try {
    file = openSync(path, 'w')
  } catch (error) {
    throw fileError(option, path, error)
  }
  return {
    write: (bytes, done) => {
      try {
        for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at)
      } catch (error) {
        throw fileError(option, path, error)
      }
      done()
    },
    close: () => closeSync(file),
  }
}
