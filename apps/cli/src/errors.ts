import { EXIT } from './exit-status.ts'

/** Ends the program with one line on stderr, which says what to change. */
export class CliError extends Error {
  readonly status: number

  constructor(message: string, status: number = EXIT.usage, cause?: unknown) {
    super(message, cause === undefined ? {} : { cause })
    this.name = 'CliError'
    this.status = status
  }
}

/** A file's error in words. */
export function fileError(what: string, path: string, error: unknown): CliError {
  const { code, message } = error as NodeJS.ErrnoException
  const reasons: Record<string, string> = {
    ENOENT: 'there is no such file',
    ENOTDIR: 'there is no such file',
    EISDIR: 'it is a folder',
    EACCES: 'you may not open it',
    EPERM: 'you may not open it',
    ENOSPC: 'there is no space left on its disk',
    EROFS: 'its disk is read-only',
    ERR_FS_FILE_TOO_LARGE: 'it is too large',
  }
  return new CliError(`${what} ${path}: ${(code && reasons[code]) ?? message}`, EXIT.usage, error)
}
