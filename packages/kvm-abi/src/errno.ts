/** Linux errno values that the requests answer with [Linux include/uapi/asm-generic/errno-base.h, errno.h]. */
export const EPERM = 1
export const ENOENT = 2
export const EINTR = 4
export const EIO = 5
export const ENXIO = 6
export const E2BIG = 7
export const ENOEXEC = 8
export const EBADF = 9
export const EAGAIN = 11
export const ENOMEM = 12
export const EACCES = 13
export const EFAULT = 14
export const EBUSY = 16
export const EEXIST = 17
export const ENODEV = 19
export const EINVAL = 22
export const ENFILE = 23
export const EMFILE = 24
export const ENOTTY = 25
export const EFBIG = 27
export const ENOSPC = 28
export const ERANGE = 34
export const ENOSYS = 38
export const EOPNOTSUPP = 95

const NAMES: Readonly<Record<number, string>> = {
  [EPERM]: 'EPERM',
  [ENOENT]: 'ENOENT',
  [EINTR]: 'EINTR',
  [EIO]: 'EIO',
  [ENXIO]: 'ENXIO',
  [E2BIG]: 'E2BIG',
  [ENOEXEC]: 'ENOEXEC',
  [EBADF]: 'EBADF',
  [EAGAIN]: 'EAGAIN',
  [ENOMEM]: 'ENOMEM',
  [EACCES]: 'EACCES',
  [EFAULT]: 'EFAULT',
  [EBUSY]: 'EBUSY',
  [EEXIST]: 'EEXIST',
  [ENODEV]: 'ENODEV',
  [EINVAL]: 'EINVAL',
  [ENFILE]: 'ENFILE',
  [EMFILE]: 'EMFILE',
  [ENOTTY]: 'ENOTTY',
  [EFBIG]: 'EFBIG',
  [ENOSPC]: 'ENOSPC',
  [ERANGE]: 'ERANGE',
  [ENOSYS]: 'ENOSYS',
  [EOPNOTSUPP]: 'EOPNOTSUPP',
}

/** `EINVAL` for 22; a number without a name here stays a number. */
export function errnoName(errno: number): string {
  return NAMES[errno] ?? `errno ${errno}`
}

/** A request that failed, at the typed face. */
export class KvmError extends Error {
  /** Positive, as in C. */
  readonly errno: number
  /** The errno's name: `EINVAL`. */
  readonly code: string
  /** What was asked: `KVM_SET_SREGS`. */
  readonly request: string

  constructor(errno: number, request: string) {
    const code = errnoName(errno)
    super(`${request}: ${code}`)
    this.name = 'KvmError'
    this.errno = errno
    this.code = code
    this.request = request
  }
}
