/** What people get wrong: one line that says what to change, status 2 (or 4), no stack trace. The machine runs in this thread. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startSession } from '@guestmode/session'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { main } from '../src/main.ts'
import { nodeHost } from '../src/run/node-host.ts'
import type { StartVm } from '../src/run/vm.ts'
import { fakeStreams } from './fake-streams.ts'

const inThisThread: StartVm = (spec, onEvent) => {
  const session = startSession(spec, onEvent, nodeHost)
  return { send: (command) => session.receive(command), terminate: () => session.receive({ type: 'stop' }) }
}

let folder: string
const at = (name: string) => join(folder, name)
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'guestmode-bad-'))
  writeFileSync(at('text'), 'This is no kernel.\n'.repeat(100))
  writeFileSync(at('empty'), '')
  writeFileSync(at('bzimage'), bzImage())
  writeFileSync(at('truncated'), bzImage().subarray(0, 3000))
  writeFileSync(at('large'), Buffer.alloc(40 << 20, 1))
  writeFileSync(at('small'), Buffer.alloc(4096, 1))
})
afterAll(() => rmSync(folder, { recursive: true }))

async function run(...words: string[]) {
  const { streams, err, out } = fakeStreams({ GUESTMODE_CACHE: at('cache'), GUESTMODE_OFFLINE: '1' })
  const outcome = await main(words, { streams, startVm: inThisThread })
  return { ...outcome, err: err(), out: out() }
}

test.each<[string[], RegExp]>([
  [['-kernel', '@none'], /^guestmode: -kernel .*none: there is no such file$/],
  [['-kernel', '@'], /^guestmode: -kernel .*: it is a folder$/],
  [['-kernel', '@empty'], /the file is empty$/],
  [['-kernel', '@text'], /not a kernel that can be booted: give a bzImage/],
  [['-kernel', '@truncated'], /the kernel is truncated: it has 3000 bytes of \d+; get it again$/],
  [['-kernel', '@bzimage', '-initrd', '@none'], /^guestmode: -initrd .*none: there is no such file$/],
  [['-m', '32M', '-kernel', '@bzimage', '-initrd', '@large'], /initrd.*\b40 MiB/],
  [['-m', '4M', '-kernel', '@bzimage'], /the kernel needs \d+ MiB of memory and the machine has 4 MiB: give it more$/],
  [['-m', '1', '-kernel', '@bzimage'], /-m 1: the machine needs at least 2 MiB/],
  [['-m', '100G', '-kernel', '@bzimage'], /-m 100G: a machine can have 3584 MiB at most/],
  [['-m', 'a lot', '-kernel', '@bzimage'], /give a number of MiB/],
  [['-frobnicate'], /unknown option '-frobnicate'/],
  [['-kernel', '@bzimage', '-append', 'x'.repeat(3000)], /command line.*2047/],
  [['-append', 'x'], /-append goes with -kernel/],
  [['-initrd', '@small'], /-initrd goes with -kernel/],
  [['-kernel', '@bzimage', '-serial', 'file:@no/such'], /there is no such file/],
  [['-kernel', '@bzimage', '-D', '@x'], /say with -d which/],
  [['-accel', 'kvm', '-kernel', '@bzimage'], /cannot be used yet/],
  [['guests', 'get', 'windows'], /there are default, firmware/],
])('%j', async (words, message) => {
  const { status, err, out } = await run(...words.map((word) => word.replace(/@/, `${folder}/`)))
  const lines = err.trimEnd().split('\n')
  expect(lines).toEqual([expect.stringMatching(message)])
  expect([status, out]).toEqual([2, ''])
})

test('the default guest without cache and network: the built-in one, and it says so', async () => {
  let booted = ''
  const { streams, err } = fakeStreams({ GUESTMODE_CACHE: at('cache'), GUESTMODE_OFFLINE: '1' })
  const startVm: StartVm = (spec, onEvent) => {
    booted = spec.boot.kind
    queueMicrotask(() => onEvent({ type: 'ended', end: { kind: 'power-off' }, stats: { time: 0n, vm: {}, vcpu: {} } }))
    return { send: () => {}, terminate: () => {} }
  }
  expect(await main([], { streams, startVm })).toEqual({ status: 0 })
  expect(booted).toBe('multiboot')
  expect(err()).toMatch(
    /is not in the cache .* A network is needed once[^]*Starting the built-in demonstration guest instead\.\n$/,
  )
})

test.each([[], ['guests', 'get']])('a damaged file in the cache is deleted and said: %j', async (...words) => {
  const folder = at('damaged/npm/superradcompany-microsandbox-linux-x64-gnu-0.7.2')
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'libkrunfw.so.5.6.1'), 'garbage')
  const { streams, err } = fakeStreams({ GUESTMODE_CACHE: at('damaged'), GUESTMODE_OFFLINE: '1' })
  expect(await main(words, { streams, startVm: inThisThread })).toEqual({ status: 4 })
  expect(err()).toMatch(/^guestmode: libkrunfw\.so\.5\.6\.1 in the cache .* was damaged and has been deleted\. .*\n$/)
})

test('a cache that cannot be written', async () => {
  const { streams, err } = fakeStreams({ GUESTMODE_CACHE: at('text') })
  expect(await main(['guests', 'get'], { streams, startVm: inThisThread })).toEqual({ status: 4 })
  expect(err()).toMatch(/^guestmode: Cannot write to the cache .*\n$/)
})

test('guests get, offline and with nothing in the cache', async () => {
  const { status, err } = await run('guests', 'get')
  expect(status).toBe(4)
  expect(err).toMatch(/^guestmode: .* is not in the cache \(.*\)\. A network is needed once to download it\.\n$/)
})

test('guests list and clean', async () => {
  expect((await run('guests')).out).toMatch(/^default .*: not fetched yet\ndemo .*: built in\ncache .*: 0 bytes\n$/)
  expect((await run('guests', 'clean')).out).toMatch(/^0 bytes deleted from /)
})

test('help and version go to stdout, with status 0', async () => {
  expect(await run('--help')).toMatchObject({ status: 0, err: '', out: expect.stringContaining('Examples:') as string })
  expect(await run('--version')).toMatchObject({ status: 0, out: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) as string })
  expect(await run('-d', 'help')).toMatchObject({ status: 0, out: expect.stringContaining('kvm_exit') as string })
})

/** A relocatable 64-bit kernel of no use, by its header. [Linux Documentation/arch/x86/boot.rst "The Real-Mode Kernel Header"] */
function bzImage(): Uint8Array {
  const setup = 5 * 512
  const image = new Uint8Array(setup + 0x2000)
  const view = new DataView(image.buffer)
  view.setUint8(0x1f1, 4)
  view.setUint32(0x1f4, 0x2000 / 16, true)
  view.setUint16(0x1fe, 0xaa55, true)
  view.setUint16(0x200, 0x6aeb, true)
  view.setUint32(0x202, 0x53726448, true)
  view.setUint16(0x206, 0x020f, true)
  view.setUint8(0x211, 1)
  view.setUint32(0x22c, 0x7fffffff, true)
  view.setUint8(0x234, 1)
  view.setUint16(0x236, 1, true)
  view.setUint32(0x238, 2047, true)
  view.setBigUint64(0x258, 0x1000000n, true)
  view.setUint32(0x260, 0x400000, true)
  return image
}
