import { expect, test } from 'vitest'
import type { CharBackend } from '../backends/char.ts'
import { FakeHost, FakeKvm, type Guest } from '../testing/fake-kvm.ts'
import { bzImage } from '../testing/kernels.ts'
import * as L from './layout.ts'
import { createPc, type Pc, type PcConfig, type PcDeps } from './pc.ts'
import type { VmEnd } from './vm-end.ts'

class Terminal implements CharBackend {
  output = ''
  onReceive?: (bytes: Uint8Array) => number
  write(bytes: Uint8Array): void {
    this.output += String.fromCharCode(...bytes)
  }
}

function depsOf(fake: FakeKvm, host: FakeHost): PcDeps {
  return {
    kvm: fake.kvm,
    clock: host.clock,
    loop: host.loop,
    random: (bytes) => host.random(bytes),
    unixTime: () => host.unixTime(),
    log: (message) => host.log(message),
  }
}

function boot(
  guest: Guest | ((host: FakeHost) => Guest),
  config: Partial<PcConfig> = {},
): { pc: Pc; host: FakeHost; fake: FakeKvm; run: () => Promise<VmEnd> } {
  const host = new FakeHost()
  const fake = new FakeKvm(typeof guest === 'function' ? guest(host) : guest)
  const full: PcConfig = {
    memory: 64 * L.MIB,
    boot: { kind: 'linux', image: bzImage(), commandLine: 'console=ttyS0' },
    ...config,
  }
  const pc = createPc(full, depsOf(fake, host))
  return { pc, host, fake, run: () => pc.run() }
}

test('the VM is set up as real VMMs do', () => {
  const { fake } = boot((function* () {})())
  expect(fake.calls).toEqual(['setTssAddr', 'setIdentityMapAddr', 'createIrqchip', 'createPit2'])
  expect(fake.regions.map(({ guestPhysAddr, memorySize }) => [guestPhysAddr, memorySize])).toEqual([
    [0n, 0xa0000n],
    [0xc0000n, BigInt(64 * L.MIB - 0xc0000)],
  ])
  expect(fake.routing.filter(({ gsi }) => gsi === 0)).toEqual([
    { gsi: 0, type: 1, irqchip: { irqchip: 0, pin: 0 } },
    { gsi: 0, type: 1, irqchip: { irqchip: 2, pin: 2 } },
  ])
  expect(fake.routing.length).toBe(15 + 23)
  expect(fake.pics.map(({ elcr, imr }) => [elcr, imr])).toEqual([
    [0, 0xff],
    [0x0e, 0xff],
  ])
  expect(fake.vcpu.cpuid[0]?.ebx).toBe(0x00010000)
  expect(fake.vcpu.regs.rip).toBe(0x1000200n)
  expect([0x200, 0x201, 0x2ff].map((index) => fake.vcpu.msrs.get(index))).toEqual([0xc0000000n, 0xfc0000800n, 0x806n])
})

test('serial output comes out, in one piece, and the exit tells the status', async () => {
  const terminal = new Terminal()
  const { run } = boot(
    (function* (): Guest {
      for (const character of 'hello\n') yield { out: 0x3f8, value: character.charCodeAt(0) }
      yield { outs: 0x3f8, bytes: [0x61, 0x62, 0x63] }
      expect(yield { in: 0x3fd }).toBe(0x60)
      expect(yield { in: 0x2fd }).toBe(0xff)
      yield { out: 0xf4, value: 3 }
    })(),
    { serial: [terminal] },
  )
  expect(await run()).toEqual({ kind: 'debug-exit', status: 7 })
  expect(terminal.output).toBe('hello\nabc')
})

test('power off through ACPI, after enabling it as the FADT says', async () => {
  const { run } = boot(
    (function* (): Guest {
      yield { out: 0xb2, value: 0xf1 }
      expect(yield { in: L.PORT_PM + 4, size: 2 }).toBe(1)
      yield { out: L.PORT_PM + 4, value: 0x2001, size: 2 }
    })(),
  )
  expect(await run()).toEqual({ kind: 'power-off' })
})

test.each([
  ['keyboard controller', 0x64, 0xfe],
  ['reset control register', 0xcf9, 0x06],
  ['system control port A', 0x92, 0x03],
])('reset by %s', async (by, port, value) => {
  const { run } = boot(
    (function* (): Guest {
      yield { out: port, value }
    })(),
  )
  expect(await run()).toEqual({ kind: 'reset', by })
})

test('triple fault and engine errors tell the registers', async () => {
  const { run } = boot(
    (function* (): Guest {
      yield { exit: 8 }
    })(),
  )
  expect(await run()).toMatchObject({ kind: 'triple-fault', facts: { rip: '10:1000200' } })
  const second = boot(
    (function* (): Guest {
      yield { exit: 17 }
    })(),
  )
  expect(await second.run()).toMatchObject({ kind: 'internal-error', facts: { suberror: '0' } })
  const third = boot(
    (function* (): Guest {
      yield { error: 14 }
    })(),
  )
  expect(await third.run()).toMatchObject({ kind: 'internal-error', reason: 'KVM_RUN failed with EFAULT' })
})

test('a slice that is over gives the host a turn; stop ends the run', async () => {
  const { pc, host, run } = boot(function* (host): Guest {
    for (;;) {
      host.time += 6_000_000n
      yield { interrupted: true }
    }
  })
  host.onIdle = () => {
    if (host.turns === 3) pc.stop()
  }
  expect(await run()).toEqual({ kind: 'quit' })
  expect(host.turns).toBe(3)
})

test('a halted guest sleeps until the engine’s timer', async () => {
  const { host, run } = boot(function* (host): Guest {
    yield { halt: host.time + 30_000_000n }
    yield { out: 0xf4, value: 0 }
  })
  expect(await run()).toEqual({ kind: 'debug-exit', status: 1 })
  expect(host.slept).toEqual([30_000_000n])
})

test('input wakes a halted guest through the serial port’s interrupt', async () => {
  const terminal = new Terminal()
  const { run, fake } = boot(
    (function* (): Guest {
      yield { out: 0x3fc, value: 0x08 }
      yield { out: 0x3f9, value: 0x01 }
      queueMicrotask(() => terminal.onReceive?.(Uint8Array.of(0x41)))
      yield { halt: undefined }
      expect(yield { in: 0x3f8 }).toBe(0x41)
      yield { out: 0xf4, value: 0 }
    })(),
    { serial: [terminal] },
  )
  await run()
  expect(fake.irqs).toEqual([
    [4, 1],
    [4, 0],
  ])
})

test('the RTC’s periodic interrupt wakes a halted guest in time', async () => {
  const { host, run, fake } = boot(
    (function* (): Guest {
      yield { out: 0x70, value: 0x0b }
      yield { out: 0x71, value: 0x42 }
      yield { halt: undefined }
      yield { out: 0xf4, value: 0 }
    })(),
  )
  await run()
  expect(fake.irqs).toEqual([[8, 1]])
  expect(host.slept[0]).toBeLessThanOrEqual(976_563n)
})

test('PCI configuration space shows the chipset and nothing else', async () => {
  const { run } = boot(
    (function* (): Guest {
      const config = function* (
        address: number,
      ): Generator<{ out: number; value: number; size: 4 } | { in: number; size: 4 }, number, number> {
        yield { out: 0xcf8, value: (0x80000000 | address) >>> 0, size: 4 }
        return yield { in: 0xcfc, size: 4 }
      }
      expect(yield* config(0x0000)).toBe(0x12378086)
      expect(yield* config(0x0800)).toBe(0x71108086)
      expect(yield* config(0x0b00)).toBe(0x71138086)
      expect(yield* config(0x0b40)).toBe(0x601)
      expect(yield* config(0x1000)).toBe(0xffffffff)
      expect(yield { in: 0xcf8, size: 4 }).toBe(0x80001000)
      yield { out: 0xf4, value: 0 }
    })(),
  )
  expect(await run()).toEqual({ kind: 'debug-exit', status: 1 })
})

test('virtio devices answer in their windows and are announced on the command line', async () => {
  const { run, fake } = boot(
    (function* (): Guest {
      expect(yield { load: 0xd0000000, size: 4 }).toBe(0x74726976)
      expect(yield { load: 0xd0000008, size: 4 }).toBe(3)
      expect(yield { load: 0xd0001008, size: 4 }).toBe(4)
      expect(yield { load: 0xd0002000, size: 4 }).toBe(0xffffffff)
      yield { out: 0xf4, value: 0 }
    })(),
    { virtio: [{ kind: 'console', backend: new Terminal() }, { kind: 'rng' }], announceVirtio: 'command-line' },
  )
  expect(await run()).toEqual({ kind: 'debug-exit', status: 1 })
  const line = String.fromCharCode(...(fake.memory?.bytes.subarray(L.BOOT_COMMAND_LINE, L.BOOT_COMMAND_LINE + 200) ?? [])).split(
    '\0',
  )[0]
  expect(line).toBe('console=ttyS0 virtio_mmio.device=4K@0xd0000000:5 virtio_mmio.device=4K@0xd0001000:6')
})

test('hooks see and replace accesses', async () => {
  const seen: string[] = []
  const { pc, run } = boot(
    (function* (): Guest {
      expect(yield { in: 0x1234, size: 2 }).toBe(0xbeef)
      yield { out: 0xf4, value: 0 }
      yield { out: 0xf4, value: 1 }
    })(),
  )
  pc.hooks.exit = (reason) => seen.push(`exit ${reason}`)
  pc.hooks.portRead = (port) => (port === 0x1234 ? 0xbeef : undefined)
  pc.hooks.portWrite = (_port, value) => value === 0
  expect(await run()).toEqual({ kind: 'debug-exit', status: 3 })
  expect(seen).toEqual(['exit 2', 'exit 2', 'exit 2'])
})

test.each([
  [{ memory: L.MIB }, /at least 2 MiB/],
  [{ memory: 5000000 }, /multiple of 4096/],
  [
    { boot: { kind: 'linux', image: new TextEncoder().encode('just a text file\n'.repeat(100)), commandLine: '' } },
    /not a kernel/,
  ],
  [{ cpu: { disable: ['nonsense'] } }, /unknown CPU feature nonsense/],
  [{ virtio: Array(7).fill({ kind: 'rng' }) }, /room for 6 virtio devices/],
] as unknown as [Partial<PcConfig>, RegExp][])('bad configuration %# says what to change', (config, message) => {
  expect(() => boot((function* (): Guest {})(), config)).toThrow(message)
})

test('a machine that cannot be built gives its VM back', () => {
  const fake = new FakeKvm((function* (): Guest {})())
  const boot = { kind: 'linux', image: new Uint8Array(1), commandLine: '' } as const
  expect(() => createPc({ memory: 4 * L.MIB, boot }, depsOf(fake, new FakeHost()))).toThrow(/not a kernel/)
  expect(fake.calls.at(-1)).toBe('close')
})

test('a CPU without long mode takes the 32-bit entry', () => {
  const { fake } = boot((function* (): Guest {})(), { cpu: { disable: ['lm'] } })
  expect(fake.vcpu.regs.rip).toBe(0x1000000n)
  expect(fake.vcpu.sregs.cr0 & 0x80000001n).toBe(1n)
})
