import { describe, expect, test } from 'vitest'
import { startSession, type MachineSpec, type SessionCommand, type SessionEvent } from '../src/index.ts'
import { emptyKernel, fakeEngine, type Guest } from './fake-engine.ts'

const COM1 = 0x3f8

function start(guests: (() => Guest)[], spec: Partial<MachineSpec> = {}) {
  const engine = fakeEngine(guests)
  const events: SessionEvent[] = []
  let onEvent = (_event: SessionEvent): void => {}
  const session = startSession(
    {
      memory: 4 << 20,
      boot: { kind: 'multiboot', image: emptyKernel(), commandLine: '' },
      serial: [{ channel: 7 }],
      ...spec,
    },
    (event) => {
      events.push(event)
      onEvent(event)
    },
    {
      clock: { now: () => process.hrtime.bigint() },
      loop: {
        turn: () => new Promise((resolve) => setImmediate(resolve)),
        after: (ns, callback) => {
          const timer = setTimeout(callback, Number(ns) / 1e6)
          return () => clearTimeout(timer)
        },
      },
      random: (bytes) => bytes.fill(1),
      unixTime: () => 0,
      openKvm: engine.openKvm,
    },
  )
  const when = (type: SessionEvent['type'], then: () => void): void => {
    onEvent = (event) => {
      if (event.type === type) then()
    }
  }
  const kinds = () => events.map(({ type }) => type)
  const text = () => events.map((event) => (event.type === 'output' ? String.fromCharCode(...event.bytes) : '')).join('')
  const send = (command: SessionCommand): void => session.receive(command)
  return { session, events, engine, when, kinds, text, send, last: () => events.at(-1) }
}

function* print(text: string): Guest {
  for (const character of text) yield { out: COM1, value: character.charCodeAt(0) }
}

test('a reset and a triple fault build the machine anew', async () => {
  const first = function* (): Guest {
    yield* print('one ')
    yield { out: 0xcf9, value: 4 }
  }
  const second = function* (): Guest {
    yield* print('two')
  }
  const { session, kinds, text, last, engine } = start([first, second], { noReboot: false })
  // The second guest ends in a triple fault, and no third one is left.
  await session.done
  expect(text()).toBe('one two')
  const life = kinds().filter((kind) => kind !== 'output')
  expect(life).toEqual(['started', 'reset', 'started', 'reset', 'failed'])
  expect(last()).toMatchObject({ message: 'no guest is left' })
  expect(engine.opened()).toBe(3)
})

test('noReboot: a reset and a triple fault are ends, with the counters', async () => {
  const reset = start([function* () { yield { out: 0xcf9, value: 4 } }], { noReboot: true }) // prettier-ignore
  await reset.session.done
  expect(reset.last()).toMatchObject({
    type: 'ended',
    end: { kind: 'reset', by: 'reset control register' },
    stats: { vm: { remote_tlb_flush: 1 }, vcpu: { exits: 3 } },
  })
  const fault = start([function* () {}], { noReboot: true }) // prettier-ignore
  await fault.session.done
  expect(fault.last()).toMatchObject({ type: 'ended', end: { kind: 'triple-fault' } })
})

describe('the debug exit', () => {
  const guest = function* (): Guest {
    yield { out: 0xf4, value: 3 }
    yield { out: 0x501, value: 5 }
  }
  test.each<[number | undefined, object]>([
    [0xf4, { kind: 'debug-exit', status: 7 }],
    [0x501, { kind: 'debug-exit', status: 11 }],
    [undefined, { kind: 'triple-fault' }],
  ])('at %s', async (debugExit, end) => {
    const { session, last } = start([guest], { noReboot: true, ...(debugExit !== undefined && { debugExit }) })
    await session.done
    expect(last()).toMatchObject({ type: 'ended', end })
  })
})

test('input waits until the device has room, and is told of when taken', async () => {
  const guest = function* (): Guest {
    // As many as the 16550's receiver holds without its FIFO: one.
    for (let i = 0; i < 3;) {
      const status = yield { in: COM1 + 5 }
      if (!(status & 1)) yield { spin: true }
      else {
        const byte = yield { in: COM1 }
        yield { out: COM1, value: byte + 1 }
        i++
      }
    }
  }
  const { session, send, events, text } = start([guest], { noReboot: true })
  send({ type: 'input', channel: 7, bytes: Uint8Array.of(0x41, 0x42) })
  setTimeout(() => send({ type: 'input', channel: 7, bytes: Uint8Array.of(0x43) }), 20)
  setTimeout(() => send({ type: 'input', channel: 9, bytes: Uint8Array.of(0x43) }), 20)
  await session.done
  expect(text()).toBe('BCD')
  expect(events.reduce((sum, event) => sum + (event.type === 'taken' && event.channel === 7 ? event.count : 0), 0)).toBe(3)
})

describe('commands', () => {
  const forever = function* (): Guest {
    for (;;) yield { spin: true }
  }
  const asleep = function* (): Guest {
    for (;;) yield { halt: true }
  }

  test.each([forever, asleep])('stop: %s', async (guest) => {
    const { session, send, when, last } = start([guest])
    when('started', () => setTimeout(() => send({ type: 'stop' }), 10))
    await session.done
    expect(last()).toMatchObject({ type: 'ended', end: { kind: 'quit' } })
  })

  test('stop before the start', async () => {
    const { session, send, kinds } = start([])
    send({ type: 'stop' })
    await session.done
    expect(kinds()).toEqual(['ended'])
  })

  test('reset, even under noReboot', async () => {
    const done = function* (): Guest {
      yield* print('again')
    }
    const { session, send, when, text, events } = start([forever, done], { noReboot: true })
    let pressed = false
    when('started', () => {
      if (!pressed) setTimeout(() => send({ type: 'reset' }), 10)
      pressed = true
    })
    await session.done
    expect(text()).toBe('again')
    expect(events).toContainEqual({ type: 'reset', end: { kind: 'reset', by: 'reset button' } })
  })
})

test('a guest waits for a reader that is slow', async () => {
  const length = 1 << 19
  let printed = 0
  const guest = function* (): Guest {
    for (; printed < length; printed++) yield { out: COM1, value: 0x61 }
  }
  const { session, send, when, events } = start([guest], { noReboot: true })
  let held = -1
  while (held !== printed || printed === 0) {
    held = printed
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
  expect(held).toBeGreaterThan(1 << 18)
  expect(held).toBeLessThan(length)
  send({ type: 'drained', amount: held })
  when('output', () => send({ type: 'drained', amount: 4096 }))
  await session.done
  expect(printed).toBe(length)
  expect(events.reduce((sum, event) => sum + (event.type === 'output' ? event.bytes.length : 0), 0)).toBe(length)
}, 30_000)

test('only the trace points asked for are reported', async () => {
  const { session, events } = start([() => print('ab')], { noReboot: true, trace: ['kvm_entry'] })
  await session.done
  const traced = events.flatMap((event) => (event.type === 'trace' ? event.events : []))
  expect(traced.map(({ name }) => name)).toEqual(['kvm_entry', 'kvm_entry', 'kvm_entry'])
})

test('a configuration that cannot work is refused with what to change', async () => {
  const { session, last } = start([() => print('')], { memory: 1 << 20 })
  await session.done
  expect(last()).toMatchObject({ type: 'refused', message: expect.stringMatching(/at least 2 MiB/) as string })
})

test('a broken invariant is a failure, not an end', async () => {
  const { session, last } = start([])
  await session.done
  expect(last()).toMatchObject({ type: 'failed', message: 'no guest is left' })
})
