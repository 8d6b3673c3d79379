#!/usr/bin/env node
import { main } from './main.ts'
import { startVmThread } from './run/vm.ts'

const { stdin, stdout, stderr, env } = process

/** A reader that has gone away is no reason to fail. */
for (const stream of [stdout, stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE' && error.code !== 'EIO') throw error
  })
}

const { status, signal } = await main(process.argv.slice(2), { streams: { stdin, stdout, stderr, env }, startVm: startVmThread })

/** What was written is out before the process ends; a pipe may take its time. */
const flushed = (stream: NodeJS.WriteStream): Promise<void> =>
  new Promise((resolve) => (stream.writableLength === 0 || stream.destroyed ? resolve() : void stream.write('', () => resolve())))
await Promise.all([flushed(stdout), flushed(stderr)])

if (signal !== undefined) process.kill(process.pid, signal)
// Where a signal does not end the process at once (Windows), its status does.
process.exit(signal === undefined ? status : 128)
