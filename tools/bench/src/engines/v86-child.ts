/**
 * v86 in a process of its own: the guest's serial console is the standard output. A line `@@ INSTRUCTIONS n` on the standard error output
 * answers each marker line of the guest.
 */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, dirname } from 'node:path'
import { parseArgs } from 'node:util'
import { V86 } from 'v86'

const { values } = parseArgs({
  options: {
    kernel: { type: 'string' },
    initrd: { type: 'string' },
    append: { type: 'string', default: '' },
    multiboot: { type: 'string' },
    memory: { type: 'string', default: '256' },
    seabios: { type: 'string' },
    vgabios: { type: 'string' },
    'no-jit': { type: 'boolean', default: false },
  },
})

const image = (path: string | undefined): { buffer: ArrayBuffer } | undefined =>
  path === undefined ? undefined : { buffer: Uint8Array.from(readFileSync(path)).buffer }
const present = <T extends object>(entries: T): Partial<T> =>
  Object.fromEntries(Object.entries(entries).filter(([, value]) => value !== undefined)) as Partial<T>

const emulator = new V86({
  wasm_path: join(dirname(createRequire(import.meta.url).resolve('v86')), 'v86.wasm'),
  memory_size: Number(values.memory) << 20,
  vga_memory_size: 2 << 20,
  autostart: true,
  acpi: values.kernel !== undefined,
  disable_jit: values['no-jit'],
  ...present({
    bios: image(values.seabios),
    vga_bios: image(values.vgabios),
    bzimage: image(values.kernel),
    initrd: image(values.initrd),
    multiboot: image(values.multiboot),
    cmdline: values.kernel === undefined ? undefined : values.append,
  }),
} as ConstructorParameters<typeof V86>[0])

/** The counter has 32 bits and is read often enough to see each time it wraps. */
let instructions = 0
function countInstructions(): number {
  const now = emulator.get_instruction_counter() >>> 0
  const before = instructions % 2 ** 32
  instructions += now >= before ? now - before : now + 2 ** 32 - before
  return instructions
}
setInterval(countInstructions, 500).unref()

const newline = 10
let line = ''
let output: number[] = []
emulator.add_listener('serial0-output-byte', (byte: number) => {
  output.push(byte)
  if (byte !== newline) {
    line += String.fromCharCode(byte)
    return
  }
  process.stdout.write(Uint8Array.from(output))
  if (line.includes('@@ ')) process.stderr.write(`@@ INSTRUCTIONS ${countInstructions()}\n`)
  output = []
  line = ''
})
emulator.add_listener('emulator-stopped', () => process.exit(0))
