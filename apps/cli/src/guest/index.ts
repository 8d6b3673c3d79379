export { defaultCacheDirectory } from './cache-directory.ts'
export { writeCpio, type CpioEntry } from './cpio.ts'
export {
  DEFAULT_GUEST_CMDLINE,
  getDefaultGuest,
  getFirmware,
  isDefaultGuestCached,
  type DefaultGuest,
  type DefaultGuestOptions,
  type Firmware,
} from './default-guest.ts'
export { explainFileError, GuestError, type GuestProblem } from './errors.ts'
export { readKernelBundle, type KernelBundle } from './kernel-bundle.ts'
export type { FetchOptions, GuestProgress } from './package-store.ts'
export type { PinnedFile, PinnedPackage } from './pins.ts'
