import { DEMO_BINARY } from './demo-binary.ts'

export type DemoGuest = {
  /** A multiboot kernel with load addresses in its header. */
  kernel: Uint8Array
}

/**
 * The built-in demonstration guest. It talks on COM1, checks itself in real mode, protected mode, 32-bit paging, PAE and long mode, runs
 * three processes and takes commands. What follows `run:` on its command line is typed first, commands parted by semicolons.
 */
export function getDemoGuest(): DemoGuest {
  return { kernel: Buffer.from(DEMO_BINARY, 'base64') }
}
