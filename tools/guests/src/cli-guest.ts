/**
 * The npm part lives in the command-line program, which needs it at run time. A package dependency on it would close a circle with the
 * tests of the packages that it depends on, so its module is loaded by its place in the repository.
 */
type CliGuest = {
  defaultCacheDirectory(): string
  writeCpio(entries: readonly CpioEntry[]): Uint8Array
  getDefaultGuest(options: NpmOptions): Promise<{
    kernel: { image: Uint8Array; loadAddress: number; entry64: number }
    initrd: Uint8Array
    cmdline: string
  }>
  getFirmware(options: NpmOptions): Promise<{ seabios: Uint8Array; vgabios: Uint8Array }>
}

type NpmOptions = {
  cacheDir?: string
  offline?: boolean
  progress?: (progress: { step: string; name: string; done: number; total: number }) => void
}

export type CpioEntry =
  | { path: string; kind: 'directory'; mode?: number }
  | { path: string; kind: 'file'; mode?: number; content: Uint8Array }
  | { path: string; kind: 'symlink'; target: string }
  | { path: string; kind: 'character-device'; mode?: number; major: number; minor: number }

export function loadCliGuest(): Promise<CliGuest> {
  const inSource = import.meta.url.endsWith('.ts')
  const place = `../../../apps/cli/${inSource ? 'src/guest/index.ts' : 'dist/guest/index.js'}`
  return import(new URL(place, import.meta.url).href) as Promise<CliGuest>
}
