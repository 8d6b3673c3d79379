import { PassThrough } from 'node:stream'
import type { Streams } from '../src/streams.ts'

/** A process's streams, whose output is kept. */
export function fakeStreams(env: NodeJS.ProcessEnv = {}): {
  streams: Streams
  stdin: PassThrough
  out: () => string
  err: () => string
} {
  const stdin = new PassThrough()
  const keep = () => {
    const stream = new PassThrough()
    let text = ''
    stream.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')))
    return { stream, text: () => text }
  }
  const out = keep()
  const err = keep()
  const streams = { stdin, stdout: out.stream, stderr: err.stream, env } as unknown as Streams
  return { streams, stdin, out: out.text, err: err.text }
}
