/** From the words of the command line to the machine, and what stands behind its channels. */
import { CPU_FEATURES, type CpuModel } from '@guestmode/devmodel'
import type { ChannelSpec, EngineSpec, MachineSpec, ScreenSize, VirtioSpec } from '@guestmode/session'
import { parseNumber, parseProperties } from '../args/properties.ts'
import { ABSENT } from '../args/refused.ts'
import type { RunWords } from '../args/run-options.ts'
import { parseMemorySize } from '../args/size.ts'
import { CliError } from '../errors.ts'
import { parseTracePoints } from '../trace/points.ts'

/** What a channel leads to. */
export type Backend = { kind: 'stdio' } | { kind: 'file'; path: string }

export interface Plan {
  name: string
  /** Without the boot configuration, whose files are read last. */
  spec: Omit<MachineSpec, 'boot'>
  /** By channel number. */
  backends: readonly Backend[]
  traceFile: string | undefined
  stats: boolean
  verbose: boolean
}

export interface PlanDefaults {
  name: string
  memory: number
  /** The guest's console: the serial port, or a virtio console. */
  console: 'serial' | 'virtio'
  screen: ScreenSize | undefined
}

const MIB = 2 ** 20

export function planMachine(words: RunWords, defaults: PlanDefaults): Plan {
  checkAbsent(words)
  const channels = new Channels(defaults.screen)
  const devices = parseDevices(words.device ?? [], defaults.console === 'virtio', channels)
  const hasConsole = devices.virtio.some(({ kind }) => kind === 'console')
  const serialWords = words.serial ?? (hasConsole ? [] : ['stdio'])
  if (serialWords.length > 4) throw new CliError(`-serial: the machine has 4 serial ports, not ${serialWords.length}`)
  const serial = serialWords.map((text) => channels.add('-serial', text))
  const debugConsole = words.debugcon === undefined ? undefined : channels.add('-debugcon', words.debugcon)
  const trace = parseTracePoints([...(words.d ?? []), ...(words.trace ?? [])])
  if (words.D !== undefined && !trace.length) throw new CliError('-D names a file for trace points: say with -d which')
  const cpu = parseCpu(words.cpu)
  checkSmp(words.smp)
  const announceVirtio = parseMachine(words.machine)
  return {
    name: words.name ?? defaults.name,
    spec: {
      memory: words.m === undefined ? defaults.memory : parseMemory(words.m),
      serial,
      virtio: devices.virtio,
      ...(announceVirtio && { announceVirtio }),
      ...(debugConsole && { debugConsole }),
      ...(devices.debugExit !== undefined && { debugExit: devices.debugExit }),
      ...(cpu && { cpu }),
      noReboot: !words.reboot,
      engine: parseEngine(words),
      trace,
    },
    backends: channels.backends,
    traceFile: words.D,
    stats: words.stats === true,
    verbose: words.verbose === true,
  }
}

/** Numbers channels; only one can have the terminal. */
class Channels {
  readonly backends: Backend[] = []
  readonly #screen: ScreenSize | undefined

  constructor(screen: ScreenSize | undefined) {
    this.#screen = screen
  }

  add(option: string, text: string): ChannelSpec | undefined {
    const word = text.replace(/^mon:/, '')
    if (word === 'none' || word === 'null') return undefined
    if (word === 'stdio') return this.terminal(option)
    const path = /^file:(.+)$/s.exec(word)?.[1]
    if (path === undefined) throw new CliError(`${option} ${text}: give stdio, none, or file:PATH`)
    this.backends.push({ kind: 'file', path })
    return { channel: this.backends.length - 1 }
  }

  terminal(option: string): ChannelSpec {
    if (this.backends.some(({ kind }) => kind === 'stdio')) {
      throw new CliError(`${option}: the terminal has another device already; give one of them none, or file:PATH`)
    }
    this.backends.push({ kind: 'stdio' })
    return { channel: this.backends.length - 1, ...(this.#screen && { size: this.#screen }) }
  }
}

function parseDevices(
  texts: readonly string[],
  console: boolean,
  channels: Channels,
): { virtio: VirtioSpec[]; debugExit: number | undefined } {
  const virtio: VirtioSpec[] = console ? [{ kind: 'console', ...channels.terminal('the console') }] : []
  let debugExit: number | undefined
  for (const text of texts) {
    const name = text.split(',', 1)[0]
    switch (name) {
      case 'isa-debug-exit': {
        const { values } = parseProperties('-device', text, ['iobase', 'iosize'])
        debugExit = parseNumber('-device isa-debug-exit,iobase', values.get('iobase') ?? '0x501', [0, 0xffff])
        break
      }
      case 'virtio-console':
      case 'virtconsole':
        parseProperties('-device', text, [])
        virtio.push({ kind: 'console', ...channels.terminal(`-device ${name}`) })
        break
      case 'virtio-serial-device':
      case 'virtio-serial':
        break
      case 'virtio-rng':
      case 'virtio-rng-device':
        parseProperties('-device', text, [])
        virtio.push({ kind: 'rng' })
        break
      default:
        throw new CliError(`-device ${text}: the devices to add are isa-debug-exit, virtio-console and virtio-rng`)
    }
  }
  return { virtio, debugExit }
}

function parseMemory(text: string): number {
  const bytes = parseMemorySize(text)
  if (bytes < 2 * MIB) throw new CliError(`-m ${text}: the machine needs at least 2 MiB, and a Linux kernel 64 MiB or more`)
  // Host memory is one WebAssembly memory of 32-bit addresses, which also holds the processor's own tables.
  if (bytes > 3584 * MIB) throw new CliError(`-m ${text}: a machine can have 3584 MiB at most; give it less`)
  return bytes
}

function parseCpu(text: string | undefined): CpuModel | undefined {
  if (text === undefined) return undefined
  const [model, ...rest] = text.split(',')
  if (model !== 'default') throw new CliError(`-cpu ${text}: the only model is 'default', so far`)
  const disable = rest.map((part) => {
    const name = /^-(\w+)$/.exec(part)?.[1] ?? /^(\w+)=off$/.exec(part)?.[1]
    if (name === undefined || !CPU_FEATURES.includes(name)) {
      throw new CliError(`-cpu ${text}: '${part}' takes no feature away; write -FEATURE, with one of ${CPU_FEATURES.join(', ')}`)
    }
    return name as NonNullable<CpuModel['disable']>[number]
  })
  return disable.length ? { disable } : undefined
}

function checkSmp(text: string | undefined): void {
  if (text === undefined || /^(cpus=)?1$/.test(text)) return
  throw new CliError(`-smp ${text}: the machine has one processor: -smp 1`)
}

function parseMachine(text: string | undefined): 'acpi' | 'command-line' | undefined {
  if (text === undefined) return undefined
  const { name, values } = parseProperties('-machine', text, ['virtio'])
  if (name !== 'pc') throw new CliError(`-machine ${text}: the only machine is 'pc'`)
  const virtio = values.get('virtio')
  if (virtio === undefined || virtio === 'acpi') return virtio
  if (virtio === 'command-line' || virtio === 'cmdline') return 'command-line'
  throw new CliError(`-machine ${text}: virtio=acpi or virtio=command-line`)
}

function parseEngine(words: RunWords): EngineSpec {
  return { ...parseAccel(words.accel), ...parseIcount(words.icount), ...parseRtc(words.rtc), ...parseSeed(words.seed) }
}

function parseAccel(text: string | undefined): EngineSpec {
  if (text === undefined) return {}
  const { name, values } = parseProperties('-accel', text, ['mmu'])
  if (name === 'kvm') throw new CliError('-accel kvm: the host’s own KVM cannot be used yet; leave -accel out')
  if (name !== 'guestmode') throw new CliError(`-accel ${text}: the engine is 'guestmode'`)
  const mmu = values.get('mmu')
  if (mmu !== undefined && mmu !== 'nested' && mmu !== 'naive') {
    throw new CliError(`-accel ${text}: mmu=nested (EPT) or mmu=naive (shadow page tables)`)
  }
  return mmu === undefined ? {} : { mmu }
}

function parseIcount(text: string | true | undefined): EngineSpec {
  if (text === undefined) return {}
  const shift = text === true ? 4 : parseNumber('-icount shift', text.replace(/^shift=/, ''), [0, 10])
  return { instructionsPerMicrosecond: 1000 / 2 ** shift }
}

function parseRtc(text: string | undefined): EngineSpec {
  if (text === undefined || text === 'base=utc') return {}
  const date = /^base=(\d{4}-\d\d-\d\d(?:T\d\d:\d\d:\d\d)?)$/.exec(text)?.[1]
  const time = date === undefined ? NaN : Date.parse(date.includes('T') ? `${date}Z` : date)
  if (Number.isNaN(time)) throw new CliError(`-rtc ${text}: give base=utc, or a time as base=2026-01-31T12:00:00`)
  return { unixTime: time / 1000 }
}

function parseSeed(text: string | undefined): EngineSpec {
  return text === undefined ? {} : { seed: parseNumber('-seed', text, [0, Number.MAX_SAFE_INTEGER]) }
}

function checkAbsent(words: RunWords): void {
  for (const [option, accepted, why] of ABSENT) {
    const value = words[option]
    if (typeof value === 'string' && !accepted.includes(value)) throw new CliError(`-${option} ${value}: ${why}`)
  }
}
